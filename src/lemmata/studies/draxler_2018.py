"""Essentially no barriers in neural network energy landscape (Draxler, Veschgini, Salmhofer and Hamprecht, 2018).

Question. How high must one climb to get from one minimum of a network's loss to another? The paper relaxes elastic
bands, a chain of pivots that descends across itself, between minima found from different seeds, adds pivots where the
loss is still high, and finds paths that are essentially flat in training loss and test error. What barrier is left is
the higher, the narrower and the shallower the networks are.

The barrier is the largest height of the training loss on the path, between pivots too, above the straight line between
the losses of its ends; the rise of the test error is its largest value less that of the worse end. *Essentially flat*
is read as a tenth or less of what the straight line between the same two networks has. No number of the paper is used:
those of its tables could not be checked.

Laptop scale: 500 digits of `mnist-5k`, 28x28 mean-pooled to 14x14, perceptrons of ReLU units, SGD with momentum 0.9
and batches of 50. All networks, of any width and depth, are trained until the mean training loss of an epoch is below
0.1 and no longer: minima of narrow networks that are trained for as long as wide ones have a higher loss, and heights
above them cannot be compared. Bands begin with three pivots and have three rounds of ten epochs, two pivots being
added before the second and third.

Deviations from the paper: data, networks (those of the paper are convolutional, on CIFAR), sizes; bands of the same
number of pivots for every pair, and straight from end to end at first. Choices after first runs: that depth 1 is
compared with depth 3 (barriers at depths 2 and 3 differ by less than their spread), and that ends are trained to one
loss. In a run in which all were trained for 40 epochs instead (`ends.fitted` 0, `ends.step_size` 0.05), the barrier
*rose* with the width (rank correlation 0.78, 95 % interval 0.44 to 1.12, 8 seeds): narrow networks were then far from
fitting the data, and what stands on a high floor is low. The claim about widths is one about networks that fit alike.
Seeds were cut from eight to five, and epochs of the bands from twelve to ten, for time.

Controls: pivots that hardly move; networks that are trained for as long as one another and not to the same loss; for
the depths, the straight line, which a band at rest would be; and a straight line that ends a quarter beyond the second
network, on which the highest point must move. Networks that were never trained had been the control of the last two
claims: between them there is nothing to cross, so that it could not have passed.

Streams. All of the above was chosen on seeds from 0; the recorded runs add 910,000 to every seed and test five seeds on
disjoint fifths of the digits.

Seeds are independent draws of split, both networks' initial weights and orders, and the band's batches.
"""

from lemmata.studies import _draxler_2018_figures as figures
from lemmata.studies._draxler_2018_bands import Relaxed, relaxed
from lemmata.study import Paper, Study
from lemmata.study.kinds import ordering, ratio, trend, value

study = Study(
    "draxler-2018",
    topic="loss landscapes",
    paper=Paper(
        key="draxler2018",
        title="Essentially No Barriers in Neural Network Energy Landscape",
        authors=("Felix Draxler", "Kambis Veschgini", "Manfred Salmhofer", "Fred A. Hamprecht"),
        year=2018,
        venue="International Conference on Machine Learning",
        arxiv="1803.00885",
        entry="inproceedings",
    ),
    question="How high is the lowest pass between two minima, and is it higher for narrow and shallow networks?",
)

WIDTHS = [8, 12, 16, 32]
SMALL = {
    "n": 100, "n_test": 200, "pool": 4, "points": 41, "band.rounds": 2, "band.epochs": 4, "ends.epochs": 80,
    "ends.fitted": 0.2,
}  # fmt: skip
MNIST = {
    "data": "mnist", "pool": 1, "n": 60_000, "n_test": 10_000, "ends.batch": 128, "band.batch": 128,
}  # fmt: skip

passes = study.experiment(
    "passes",
    config=Relaxed,
    sweep=[{"path": ["line", "band"], "ends.width": WIDTHS}, {"ends.width": [16], "ends.depth": [1, 3]}],
    seeds={"smoke": 3, "laptop": 5, "paper": 5},
    scales={"smoke": SMALL, "paper": MNIST},
    vectorised=("seed", "path", "reach"),
    block=32,
    data=lambda config: config.data,
)
passes.trial(relaxed)
passes.figure(figures.along)
passes.figure(figures.heights)

WIDE = {"ends.width": 32, "ends.depth": 2}
AS_LONG = {"ends.fitted": 0.0, "ends.epochs": 40, "ends.step_size": 0.05}
STILL = {"band.step_size": 1e-6}

flat = passes.claim(
    "on an elastic band the training loss is essentially flat",
    name="flat-training-loss",
    where="abstract",
    kind=ratio(of="barrier", over="path", between=("line", "band")),
    select=WIDE,
    within=(-float("inf"), 0.1),
    note="its barrier is at most a tenth of that on the straight line between the same two networks",
)
flat.control("pivots that hardly move", STILL)

passes.claim(
    "so is the test error",
    name="flat-test-error",
    where="abstract",
    kind=ratio(of="test_rise", over="path", between=("line", "band")),
    select=WIDE,
    within=(-float("inf"), 0.1),
    note="its rise is at most a tenth of that on the straight line",
).control("pivots that hardly move", STILL)

middle = passes.claim(
    "the barrier on the line, where the band begins, is highest in the middle",
    name="highest-in-the-middle",
    where="ours: the two networks are exchangeable",
    kind=value(of="highest_at"),
    select={"path": "line", **WIDE},
    paper=0.5, quoted="0.5 (symmetry)", margin=0.05,
    note="margin: about a point of the path",
)  # fmt: skip
middle.control("a line that ends a quarter beyond the second network", moves="the highest point", to=0.4, reach=1.25)

passes.claim(
    "the narrower the networks, the higher the barrier that is left",
    name="narrower-is-higher",
    where="the paper's comparison of widths",
    kind=trend(of="barrier", over="ends.width", at_least=0.0, falling=True),
    select={"path": "band", "ends.depth": 2},
    note="a direction: any negative rank correlation. All networks are trained to the same loss",
).control("networks that are trained for as long, so that the narrow ones fit the data less", AS_LONG)

passes.claim(
    "the barrier that is left is higher for shallow networks than for deep ones",
    name="shallower-is-higher",
    where="the paper's comparison of depths",
    kind=ordering(of="barrier", over="ends.depth", order=(3, 1)),
    select={"path": "band", "ends.width": 16, "ends.depth": [1, 3]},
    note="a direction: one hidden layer against three, at width 16",
).control("the straight line, where the band begins", path="line")
