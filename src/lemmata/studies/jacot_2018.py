"""Neural tangent kernel: convergence and generalization in neural networks (Jacot, Gabriel, Hongler, 2018).

Question. Descent on a network's parameters moves its function along a kernel, which is random at the start and changes
during training. Are both negligible in wide networks, so that training is descent with one fixed kernel?

The paper's answer. In its parameterisation the kernel converges in probability to a deterministic limit as the widths
go to infinity (Theorem 1), and stays there during training (Theorem 2). So for the squared error the function follows
a linear differential equation; "the convergence is fastest along the largest kernel principal components" (abstract).

The theorems state no rate. A mean of `width` independent terms deviates by width^(-1/2), and so should the kernel at
initialisation; that of the change in training is bounded by width^(-1/2) in their proof, and -1 is what the theory of
finite widths expects for smooth units (Dyer, Gur-Ari 2020; Huang, Yau 2020). Margins are ours.

Here. Networks of four weight layers, rectified units, beta = 0.1, as in the paper's experiments, at 64 to 2,048 units
(the paper: 500 and 10,000). Kernel: on 24 points of the unit circle, trained on f*(x) = x_1 x_2 at 16 standard normal
inputs, by descent of total time 200, step size 4. Principal components: the first 128 of a random order of mnist-5k
(the paper: 512 digits of MNIST), 7 x 7 pixels; the target is f_0 + v / 2 with v an eigenvector of the limit kernel.
The limit is computed in closed form (`kernels.analytic_ntk`).

Controls: a layer that stays narrow; the limit of other networks; an output layer of 1/width with the step size scaled
up, so that units move at every width (feature learning); targets along random directions.

Seeds are independent initial weights. Data are the same for all networks: intervals are over initialisations.
"""

import math

from lemmata.studies import _jacot_2018_figures as figures
from lemmata.studies._jacot_2018_circle import Circle, follow
from lemmata.studies._jacot_2018_digits import Digits, along
from lemmata.study import Paper, Study
from lemmata.study.kinds import scaling, trend, value

study = Study(
    "jacot-2018",
    paper=Paper(
        key="jacot2018",
        title="Neural tangent kernel: convergence and generalization in neural networks",
        authors=("Arthur Jacot", "Franck Gabriel", "Clément Hongler"),
        year=2018,
        venue="Advances in Neural Information Processing Systems 31",
        arxiv="1806.07572",
        entry="inproceedings",
    ),
    topic="kernels",
    question="Does the tangent kernel of wide networks converge, and stay, so that training is kernel descent?",
)

ROOT = -0.5
MARGIN = 0.1  # of an exponent

# ---- initialisation --------------------------------------------------------------------------------------------------

initial = study.experiment(
    "initialisation",
    config=Circle,
    sweep={"width": [64, 128, 256, 512, 1024, 2048], "steps": [0]},
    seeds={"smoke": 5, "laptop": 30, "paper": 100},
    scales={
        "smoke": {"width": [32, 64, 128, 256]},
        "paper": {"width": [128, 256, 512, 1024, 2048, 4096, 8192]},
    },
    vectorised=("seed",),
    block=15,
)
initial.trial(follow)
initial.figure(figures.deviation)

initial.claim(
    "at initialisation the kernel converges to its limit, as width^(-1/2)",
    name="converges",
    where="Theorem 1; the rate is that of a mean",
    kind=scaling(of="deviation", over="width"),
    paper=ROOT,
    quoted="converges in probability",
    margin=MARGIN,
    note="relative Frobenius distance on 24 points of the circle; exponent of each seed over all widths",
).control("a first hidden layer of 8 units, whatever the width of the others", bottleneck=8)

initial.claim(
    "the limit is the one of the closed form",
    name="limit",
    where="Theorem 1, recursion for the limiting kernel",
    kind=value(of="overlap", null=None),
    select={"width": 512},
    paper=1.0,
    quoted="the limit itself",
    margin=0.1,
    note="<K, Theta> / |Theta|^2 at width 512, whose mean over networks is 1 up to corrections of order 1/width",
).control("the limit of networks with a layer less", limit_depth=3)

# ---- training --------------------------------------------------------------------------------------------------------

trained = study.experiment(
    "training",
    config=Circle,
    sweep={"width": [64, 128, 256, 512, 1024]},
    seeds={"smoke": 4, "laptop": 8, "paper": 20},
    scales={
        "smoke": {"width": [32, 64, 128, 256]},
        "paper": {"width": [128, 256, 512, 1024, 2048, 4096, 8192], "steps": 200, "step_size": 1.0},
    },
    vectorised=("seed",),
)
trained.trial(follow)
trained.figure(figures.on_the_circle)
trained.figure(figures.change)

trained.claim(
    "the kernel stays during training: the change falls with width, as width^(-1/2) or faster",
    name="stays",
    where="Theorem 2, Figure 1",
    kind=scaling(of="change", over="width"),
    quoted="“stays constant during training”",
    within=(-math.inf, ROOT + MARGIN),
    note="relative Frobenius change after a time of 200",
).control("output layer 1/width: units move at every width", parameterisation="feature learning")

# ---- principal components --------------------------------------------------------------------------------------------

digits = study.experiment(
    "digits",
    config=Digits,
    sweep=[{"component": [1, 2, 4, 8, 16]}, {"width": [64, 128, 256]}],
    seeds={"smoke": 4, "laptop": 16, "paper": 20},
    scales={
        "smoke": {"n": 48, "pool": 7, "depth": 3},
        "paper": {"n": 512, "pool": 1, "steps": 400},
    },
    vectorised=("seed", "component"),
    block=20,
    data="mnist-5k",
)
digits.trial(along)
digits.figure(figures.convergence)
digits.figure(figures.straightness)

WIDEST = {"width": 512, "direction": "principal"}

digits.claim(
    "convergence is fastest along the largest principal components",
    name="largest-first",
    where="abstract; section on least squares; Figure 3",
    kind=trend(of="half_time", over="component", at_least=0.9),
    select=WIDEST,
    quoted="“fastest along the largest kernel principal components”",
    note="time until half of the target is reached",
).control("targets along random directions", direction="random")

for component in (2, 8):
    digits.claim(
        f"along component {component} the rate is the eigenvalue",
        name=f"rate-{component}",
        where="section on least squares: a linear differential equation",
        kind=value(of="relative_rate", null=None),
        select={**WIDEST, "component": component},
        paper=1.0,
        quoted="rate = eigenvalue",
        margin=0.1,
        note="measured rate over the eigenvalue of the limit kernel; mean over networks of 512 units",
    ).control("targets along random directions", direction="random")

digits.claim(
    "the function goes straight along a principal component, the straighter the wider the network, as width^(-1/2)",
    name="straight",
    where="Figure 3; the rate is that of the kernel's deviation",
    kind=scaling(of="bend", over="width"),
    select={"component": 2},
    paper=ROOT,
    quoted="deviation falls with width",
    margin=MARGIN,
    note="second component, 64 to 512 units",
).control("targets along random directions", direction="random")
