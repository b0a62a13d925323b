"""Linear mode connectivity and the lottery ticket hypothesis (Frankle, Dziugaite, Roy, Carbin, 2020).

Question. Train a network for k steps, then two copies of it to the end, on the same data in different orders. Do they
end in the same, linearly connected, part of the minimum?

The paper's answer. It depends on k: LeNet on MNIST is stable already from its initial weights; larger networks are not,
but are from some early step on, long before training is over.

Experiments. `instability` is the largest test error on the line between the copies, less the mean of its ends'.

    mnist1d   perceptrons with five hidden layers of 100 units (and with two, and none) on MNIST-1D, 4,000 samples, SGD
              with momentum 0.9, step 0.05, batches of 50, 20 epochs. The copies part after 0 to 5 epochs
    lenet     LeNet-300-100 on 4,000 of 5,000 digits, Adam, 4 epochs, copies from the initial weights. Its control joins
              networks with unrelated initial weights

Deviations. The paper's larger networks are convolutional, on CIFAR-10 and ImageNet; here size is depth. The claims are
those of direction, with thresholds of ours: stable is an instability below 0.02, unstable one above it, since errors
are measured on 1,000 samples, and the largest of nine has an instability of about 0.01 where nothing rises. They were
set after one run of three seeds: 0.24 to 0.31 with five layers from the start and 0.01 after ten epochs. Copies hardly
part with two hidden layers, and less with Adam, and so the five with SGD were taken. After a second run, of five seeds
and 25 epochs (0.31, 0.10, 0.07, 0.02, 0.005 and 0.013 after 0, 1/2, 1, 2, 5 and 10 epochs), 20 epochs were taken,
10 epochs were left out, which had been inconclusive, and an order of three was asked for where it had been a rank
correlation of -0.8 over all, inconclusive for the noise of the last. The two pairs that part after 1/2 and 2 epochs, of
which nothing is claimed, are left to the paper scale. Momentum begins anew where the copies part.

Streams. First runs, the choices above among them, used seeds 0, 1, ...; the recorded runs add 200,000 to every seed, so
that no weight, order or split is one on which something was chosen. The samples that are split are the same.

That the error is highest in the middle, since either copy may be the first, was added with these runs, and tried on six
seeds of the first streams, of which all had it there. Its control looks at three quarters of the line.

On five such seeds the order of three is hardly decided: from 1 to 5 epochs instability falls by 0.045 (95 % interval
0.023 to 0.066), of which 0.02 is asked for.

Seeds are independent draws of weights and data orders; the first five test on disjoint fifths of the 5,000 samples.
"""

from lemmata.studies import _frankle_2020_figures as figures
from lemmata.studies._frankle_2020_copies import Copies, LeNet, instabilities
from lemmata.study import Paper, Study
from lemmata.study.kinds import difference, ordering, value

INF = float("inf")
DEPTH, STABLE = figures.DEPTH, figures.STABLE

study = Study(
    "frankle-2020",
    paper=Paper(
        key="frankle2020",
        title="Linear Mode Connectivity and the Lottery Ticket Hypothesis",
        authors=("Jonathan Frankle", "Gintare Karolina Dziugaite", "Daniel M. Roy", "Michael Carbin"),
        year=2020,
        venue="International Conference on Machine Learning",
        arxiv="1912.05671",
        entry="inproceedings",
    ),
    topic="loss landscapes",
    question="From which step on do two trainings with different data orders end linearly connected?",
)

PARTS = [0.0, 1.0, 5.0]
LATE = PARTS[-1]

copies = study.experiment(
    "mnist1d",
    config=Copies,
    sweep=[{"layers": [DEPTH], "part": PARTS}, {"layers": [0, 2], "part": [0.0]}],
    seeds={"smoke": 3, "laptop": 5, "paper": 20},
    scales={"smoke": {"n": 600, "epochs": 8, "part": PARTS}, "paper": {"part": [0.0, 0.5, 1.0, 2.0, 5.0]}},
    vectorised=("seed", "part", "reach"),
    data="mnist1d",
)
copies.trial(instabilities)
copies.figure(figures.by_part)
copies.figure(figures.by_depth)

START = {"layers": DEPTH, "part": 0.0}

copies.claim(
    "five hidden layers: copies of the initial weights are not connected",
    name="unstable-at-start",
    where="abstract (stable early in training)",
    kind=value(of="instability", null=0.0),
    select=START,
    quoted="unstable; read as: above 0.02",
    within=(STABLE, INF),
).control("softmax regression, whose loss is convex", layers=0).control(
    "copies of the weights after 5 epochs", part=LATE
)

copies.claim(
    "between copies of the initial weights the error is highest in the middle",
    name="highest-in-the-middle",
    where="ours: the two copies are exchangeable",
    kind=value(of="highest_at"),
    select=START,
    paper=0.5, quoted="0.5 (symmetry)", margin=1 / 16,
    note="margin: a point of the line",
).control("a line that ends three quarters of the way", moves="the highest point", to=2 / 3, reach=0.75)  # fmt: skip

copies.claim(
    "copies of the weights after 5 of 20 epochs are connected",
    name="stable-later",
    where="abstract (stable early in training)",
    kind=value(of="instability"),
    select={"layers": DEPTH, "part": LATE},
    quoted="stable; read as: below 0.02",
    within=(-INF, STABLE),
).control("copies of the initial weights", part=0.0).control("unrelated initial weights", unrelated=True)

copies.claim(
    "the later the copies part, the less the error rises between them",
    name="falls",
    where="abstract (stable early in training)",
    kind=ordering(of="instability", over="part", order=(LATE, 1.0, 0.0), gap=STABLE),
    select={"layers": DEPTH, "part": [0.0, 1.0, LATE]},
    quoted="read as: by 0.02 at least from 0 to 1 to 5 epochs",
).control("softmax regression, whose loss is convex", layers=0)

copies.claim(
    "from the initial weights the larger network is less stable",
    name="depth",
    where="LeNet on MNIST beside larger networks",
    kind=difference(of="instability", over="layers", between=(2, DEPTH)),
    select={"layers": [2, DEPTH], "part": 0.0},
    quoted="read as: by 0.02 at least",
    within=(STABLE, INF),
    note="five hidden layers less two",
).control("parted after 5 epochs", part=LATE)

lenet = study.experiment(
    "lenet",
    config=LeNet,
    seeds={"smoke": 3, "laptop": 5, "paper": 20},
    scales={"smoke": {"n": 400}},
    data="mnist-5k",
)
lenet.trial(instabilities)
lenet.figure(figures.lenet)

lenet.claim(
    "LeNet on digits: copies of the initial weights are connected",
    name="lenet-stable",
    where="LeNet on MNIST, stable at initialisation",
    kind=value(of="instability"),
    quoted="stable; read as: below 0.02",
    within=(-INF, STABLE),
).control("unrelated initial weights", unrelated=True)
