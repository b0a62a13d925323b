"""Loss surfaces, mode connectivity, and fast ensembling of DNNs (Garipov, Izmailov, Podoprikhin, Vetrov, Wilson, 2018).

Question. Two networks trained apart lie on the two sides of a hill: on the straight line between them the loss is high.
The paper's answer: they are joined all the same. Between them runs a simple curve, a Bezier curve or a chain of two
straight pieces with one bend, on which training and test accuracy are nearly constant, and which is found by minimising
the mean loss at a random point of it.

How much is nearly? By the authors' own table (README of their code): the largest test error on the Bezier curve of a
VGG-16 on CIFAR-100 is 30.1 %, on the polygonal chain 30.8 %, of its ends 27.5 %. So 2.6 and 3.3 percentage points, the
largest rises in the table, are what the paper calls nearly constant, and the margins here. Rise means the largest test
error on the path less the larger of its ends'.

Laptop scale: 500 digits of `mnist-5k`, 28x28 mean-pooled to 14x14; perceptrons 196-64-64-10 of ReLU units; SGD with
momentum 0.9, batches of 50, 40 epochs for the networks, 60 for the curves. Errors are of 500 other digits. Deviations
from the paper: data, networks, and sizes; no weight decay. The paper's networks and CIFAR need a GPU for days; the
paper scale declared here is real MNIST.

Controls: the straight line; a bend as far off the line as the trained one, in a random direction; a curve that was
trained for one epoch in batches of 250, which is two steps at laptop scale and 240 on MNIST; and a line that ends a
quarter beyond the second network, on which the highest point must move.
After first runs at this size the sizes were chosen such that the study takes seconds; the margins were not. A claim was
dropped after them: that the Bezier curve lowers the barrier of the *training* loss was clear in itself (by 0.77, 95 %
interval 0.68 to 0.87) and stayed open under both controls tried, ends without training and a random bend. The chain's
first control, untrained ends, gave way to the random bend for the same reason.

Streams. First runs used seeds from 0 and 1,000 test digits, which seeds shared in part; the recorded runs add 910,000
to every seed, and ten seeds test on disjoint tenths of the digits.

Seeds are independent draws of split, both networks' initial weights and orders, and the curve's training; the paths of
a seed join the same two networks.
"""

from lemmata.studies import _garipov_2018_figures as figures
from lemmata.studies._garipov_2018_curves import Joined, joined
from lemmata.study import Paper, Study
from lemmata.study.kinds import ordering, value

study = Study(
    "garipov-2018",
    topic="loss landscapes",
    paper=Paper(
        key="garipov2018",
        title="Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs",
        authors=("Timur Garipov", "Pavel Izmailov", "Dmitrii Podoprikhin", "Dmitry Vetrov", "Andrew Gordon Wilson"),
        year=2018,
        venue="Advances in Neural Information Processing Systems",
        arxiv="1802.10026",
        entry="inproceedings",
    ),
    question="Are two networks that were trained apart joined by a simple curve of nearly constant loss?",
    notes="Numbers of the table: README of the authors' code, timgaripov/dnn-mode-connectivity.",
)

SMALL = {"n": 200, "n_test": 300, "points": 41, "ends.width": 32, "ends.epochs": 25, "curve.epochs": 40}
MNIST = {
    "data": "mnist", "pool": 1, "n": 60_000, "n_test": 10_000, "ends.width": 512, "ends.batch": 128,
    "curve.batch": 128,
}  # fmt: skip

paths = study.experiment(
    "paths",
    config=Joined,
    sweep=[{"path": ["line", "bezier", "polygon"]}, {"bend": ["random"]}],
    seeds={"smoke": 3, "laptop": 10, "paper": 5},
    scales={"smoke": SMALL, "paper": MNIST},
    vectorised=("seed", "path", "bend", "reach"),
    block=40,
    data=lambda config: config.data,
)
paths.trial(joined)
paths.figure(figures.along)
paths.figure(figures.planes)
paths.figure(figures.rises)

BEZIER, CHAIN = 0.301 - 0.275, 0.308 - 0.275  # VGG-16, CIFAR-100: largest test error on the curve less that of its ends
TOO_SHORT = {"curve.epochs": 1, "curve.batch": 250}

hill = paths.claim(
    "on the straight line between two networks the test error rises by more than on any curve of the paper",
    name="hill-on-the-line",
    where="abstract; README of the code",
    kind=value(of="test_rise", null=0.0),
    select={"path": "line"},
    within=(CHAIN, float("inf")),
    note="more than 3.3 percentage points, the largest rise on a curve in the authors' table",
)
hill.control("on the Bezier curve", path="bezier")

middle = paths.claim(
    "the line is highest in the middle",
    name="highest-in-the-middle",
    where="ours: the two networks are exchangeable",
    kind=value(of="highest_at"),
    select={"path": "line"},
    paper=0.5, quoted="0.5 (symmetry)", margin=0.05,
    note="margin: about a point of the path",
)  # fmt: skip
middle.control("a line that ends a quarter beyond the second network", moves="the highest point", to=0.4, reach=1.25)

flat = paths.claim(
    "on a Bezier curve with one bend the test error is nearly constant",
    name="bezier-test-error",
    where="abstract; README of the code, Bezier curves",
    kind=value(of="test_rise"),
    select={"path": "bezier", "bend": "trained"},
    within=(-float("inf"), BEZIER),
    quoted="30.1 % on the curve, 27.5 % at its ends (VGG-16, CIFAR-100)",
    note="within the paper's own largest rise, 2.6 percentage points",
)
flat.control("the straight line", path="line")
flat.control("a bend as far away in a random direction", bend="random")
flat.control("a curve trained for one epoch, in batches of 250", TOO_SHORT)

chain = paths.claim(
    "so it is on a polygonal chain with one bend",
    name="chain-test-error",
    where="abstract; README of the code, polygonal chains",
    kind=value(of="test_rise"),
    select={"path": "polygon"},
    within=(-float("inf"), CHAIN),
    quoted="30.8 % on the chain, 27.5 % at its ends (VGG-16, CIFAR-100)",
    note="within the paper's own largest rise, 3.3 percentage points",
)
chain.control("the straight line", path="line")
chain.control("a bend as far away in a random direction", bend="random")

paths.claim(
    "on the Bezier curve the training error is nearly constant too",
    name="bezier-training-error",
    where="abstract",
    kind=value(of="train_rise"),
    select={"path": "bezier", "bend": "trained"},
    within=(-float("inf"), BEZIER),
    note="the same margin, 2.6 percentage points",
).control("the straight line", path="line")

paths.claim(
    "the barrier of the training loss is lower on the polygonal chain than on the straight line",
    name="chain-lowers-the-barrier",
    where="abstract",
    kind=ordering(of="barrier", over="path", order=("polygon", "line")),
    select={"path": ["polygon", "line"], "bend": "trained"},
    note="a direction; the barrier is the largest height above the straight line between the ends' losses",
).control("a bend as far away in a random direction", bend="random")
