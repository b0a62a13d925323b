"""Uniform convergence may be unable to explain generalization in deep learning (Nagarajan, Kolter, 2019).

Question. Bounds by uniform convergence are loose for networks. Is that for want of a better class, one that knows all
that gradient descent does; or can no such bound explain why its networks generalise?

The paper's answer. In its examples even the tightest, over nothing but what training gives on likely samples, is nearly
vacuous: each predictor errs on a sample, made from its own and of the same law, on nearly all points. And in practice
bounds by norms grow with the training set, because the norms do.

    linear     Theorem 3.1: signal and noise in many dimensions, one step of gradient descent. `_noise_classifier`
    spheres    section 3: two concentric spheres and a wide network. `_nagarajan_kolter_2019_spheres`
    norms      section 2: digits, networks trained to a margin, norms. `_nagarajan_kolter_2019_norms`

What is below every uniform bound is measured by `lemmata.bounds.uniform_convergence_gap`.

Sources. Only the abstract is quoted. The theorem asks for D of order max(m log(m / delta), m log(1 / epsilon)), with
constants that it does not give, so that D = 500 m and epsilon = 0.01 are ours, from the closed form:
Phi(-500^(1/2) / 8) = 0.0026. The paper's networks have 1,000 dimensions and 100,000 hidden units on the spheres, five
hidden layers of 1,024 units on MNIST. At laptop scale: 300 dimensions and 1,024 units, step size 2, at most 4,096
points; 64 units a layer and at most 2,048 digits of `mnist-5k`, mean-pooled to 14 x 14, step size 1. Its exponents in
m are not quoted: directions are tested.

Chosen after pilot runs, of one seed or two. Spheres: the step size, so that networks of that width learn; width and
dimension, for the time they take. Their test errors are 0.48, 0.47 and 0.40 with 256, 1,024 and 4,096 points (five
seeds), far from small. At first there were twice the units and twice the points, for some twice the time: 0.47, 0.41
and 0.32 with 512, 2,048 and 8,192 points, and every verdict the same. Narrower networks, of some 25 weights a point or
fewer, were right about 4 % or more of the moved points, so that more points alone do not bring a small test error at
such widths. The thresholds 0.8 for the gap and 1/2 for the ratio are what the study began with, and are missed: a gap
cannot exceed 1 less the test error. The claim with 1/2 for the gap was added after pilot runs: added to a training
error of 0, a term of 1/2 says no more than a fair coin does. Norms: the width of 64, for the time it takes.
That norms undo half of the gain is a threshold of ours, set after pilot runs had shown exponents near 0.

Seeds are independent samples, initial weights and orders of batches.
"""

import math

from lemmata.studies import _nagarajan_kolter_2019_figures as figures
from lemmata.studies._nagarajan_kolter_2019_norms import Norms, train_to_a_margin
from lemmata.studies._nagarajan_kolter_2019_spheres import Spheres, train_on_spheres
from lemmata.studies._noise_classifier import NoiseClassifier, measure_classifiers, predicted_risk
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, ratio, scaling, value

study = Study(
    "nagarajan-kolter-2019",
    paper=Paper(
        key="nagarajan2019",
        title="Uniform convergence may be unable to explain generalization in deep learning",
        authors=("Vaishnavh Nagarajan", "J. Zico Kolter"),
        year=2019,
        venue="Advances in Neural Information Processing Systems 32, 11615-11626",
        arxiv="1902.04742",
        entry="inproceedings",
    ),
    topic="generalisation",
    question="Can any uniform bound explain why what gradient descent finds generalises?",
)

# ---- the linear theorem ----------------------------------------------------------------------------------------------

FULL = {"noise": "gaussian", "ratio": 500}

linear = study.experiment(
    "linear",
    config=NoiseClassifier,
    sweep=[
        {"noise": ["gaussian"], "ratio": [5, 20, 50, 128, 500]},
        {"noise": ["gaussian"], "ratio": [500], "m": [50, 100]},
    ],
    seeds={"smoke": 3, "laptop": 10, "paper": 50},
    scales={"smoke": {"redraws": 1}},
    vectorised=("seed", "ratio", "m"),
)
linear.trial(measure_classifiers)
linear.figure(figures.linear)

linear.claim(
    "the classifier has a risk below epsilon = 0.01",
    name="risk-below-epsilon",
    where="Theorem 3.1",
    kind=exact(of="test_error", at_most=0.01),
    select=FULL,
    quoted="“test errors less than some small epsilon”",
    note="the exact risk, in every run, m = 50, 100, 200, D = 500 m",
).control("100 times fewer dimensions", ratio=5)

least = linear.claim(
    "and every uniform two-sided bound is at least 1 - epsilon",
    name="bound-above-one-less-epsilon",
    where="abstract and Theorem 3.1",
    kind=exact(of="gap", at_least=0.99),
    select=FULL,
    quoted="“a vacuous generalization guarantee larger than 1 - epsilon”",
    note="risk against the error on the sample whose noise has its sign turned, in every run",
)
least.control("the signal has its sign turned", turned="signal")
least.control("noise of length 1 instead of 32^(1/2)", power=1.0)
least.control("100 times fewer dimensions", ratio=5)

linear.claim(
    "the risk is that of the closed form",
    name="closed-form",
    where="proof of Theorem 3.1, its constant computed (ours)",
    kind=value(of="test_error"),
    select={"noise": "gaussian", "ratio": 128},
    paper=round(predicted_risk(128), 4),
    quoted="Phi(-(D/m)^(1/2) / 8) = 0.0786",
    margin=0.004,
    note="D = 128 m, m = 200; margin: one part in twenty",
).control("D = 50 m", moves="the risk", to=round(predicted_risk(50), 4), ratio=50)

# ---- spheres ---------------------------------------------------------------------------------------------------------

SIZES = [256, 1024, 4096]
PAPER = {"d": 1000, "width": 100_000, "step_size": 0.1, "m": [*SIZES, 32_768]}  # the step size is assumed
FEW = {"d": 10, "width": 256, "m": 512, "epochs": 50}
SMALL = {"d": 100, "width": 1024, "m": [SIZES[0]]}

spheres = study.experiment(
    "spheres",
    config=Spheres,
    sweep={"m": SIZES},
    seeds={"smoke": 3, "laptop": 5, "paper": 5},
    scales={"smoke": SMALL, "laptop": {"width": 1024}, "paper": PAPER},
    vectorised=("seed",),
    block=1,  # one wide network stays in the cache
)
spheres.trial(train_on_spheres)
spheres.figure(figures.spheres)

spheres.claim(
    "a wide network learns two spheres: 16 times the points at least halve its test error",
    name="spheres-learnt",
    where="section 3, experiment on two spheres",
    kind=ratio(of="test_error", over="m", between=(SIZES[0], SIZES[-1])),
    select={"m": [SIZES[0], SIZES[-1]]},
    within=(0.0, 0.5),
    quoted="the test error falls with m",
    note="the factor of one half is ours",
).control("spheres that coincide, one epoch", outer=1.0, epochs=1)

spheres.claim(
    "and errs on every training point that is moved to the other sphere",
    name="moved-points",
    where="section 3, experiment on two spheres",
    kind=exact(of="turned_error", at_least=0.99),
    quoted="all of them",
    note="at least 99 % of the points, in every run",
).control("fresh points that are moved", projected="fresh", m=SIZES[0]).control("ten dimensions, 256 units", FEW)

spheres.claim(
    "so that every uniform two-sided bound is nearly vacuous, at least 0.8",
    name="spheres-no-uniform-bound",
    where="section 3, experiment on two spheres",
    kind=exact(of="gap_low", at_least=0.8),
    select={"m": SIZES[-1]},
    note="lower end of the interval from 4,000 fresh points, in every run; it cannot hold where the test error is "
    "above 0.2, as it is (0.40) for networks a hundred times narrower than the paper's",
).control("ten dimensions, 256 units", FEW)

spheres.claim(
    "at least no uniform two-sided bound says more than a fair coin",
    name="spheres-bound-above-chance",
    where="section 3; a weaker statement (ours)",
    kind=exact(of="gap_low", at_least=0.5),
    select={"m": SIZES[-1]},
    note="lower end of the interval from 4,000 fresh points, in every run",
).control("ten dimensions, 256 units", FEW)

# ---- norms -----------------------------------------------------------------------------------------------------------

COUNTS = [128, 512, 2048]
COPIES = "copies of 128 digits"

norms = study.experiment(
    "norms",
    config=Norms,
    sweep={"n": COUNTS},
    seeds={"smoke": 3, "laptop": 5, "paper": 5},
    scales={
        "smoke": {"n": [128, 256, 512], "width": 64, "depth": 3, "pool": 4},
        "paper": {
            "data": "mnist", "pool": 1, "width": 1024, "step_size": 0.1, "n": [128, 1024, 8192, 32_768],
            "steps": 200_000, "n_test": 10_000,
        },
    },
    vectorised=("seed",),
    data=lambda config: config.data,
)  # fmt: skip
norms.trial(train_to_a_margin)
norms.figure(figures.norms)

norms.claim(
    "the weights end the farther from where they began, the more digits there are",
    name="distance-grows",
    where="section 2",
    kind=scaling(of="distance", over="n"),
    within=(0.05, math.inf),
    quoted="grows with m; exponent not quoted",
    note="an exponent below 0.05 would be a sixth over this range of sizes",
).control(COPIES, distinct=COUNTS[0])

norms.claim(
    "and so does the product of the spectral norms grow",
    name="product-grows",
    where="section 2",
    kind=scaling(of="spectral_product", over="n"),
    within=(0.05, math.inf),
    quoted="grows with m; exponent not quoted",
).control(COPIES, distinct=COUNTS[0])

for name, paper in (("bartlett", "Bartlett and others (2017)"), ("neyshabur", "Neyshabur and others (2018)")):
    norms.claim(
        f"so that the bound of {paper} increases with the number of digits",
        name=f"{name}-increases",
        where="section 2",
        kind=scaling(of=name, over="n"),
        within=(0.0, math.inf),
        quoted="“these bounds can increase with the training dataset size”",
        note="as the paper plots it, without constants and logarithms; at a width of 64 and up to 2,048 digits it is "
        "flat within the interval (the paper's networks are 1,024 wide)",
    ).control(COPIES, distinct=COUNTS[0])
    norms.claim(
        f"at least the norms undo half of what the bound of {paper} gains by more digits",
        name=f"{name}-gains-little",
        where="section 2; a weaker statement (ours)",
        kind=scaling(of=name, over="n"),
        within=(-0.25, math.inf),
        note="with norms that do not grow the exponent is -1/2",
    ).control(COPIES, distinct=COUNTS[0])

norms.claim(
    "while the test error falls",
    name="test-error-falls",
    where="section 2",
    kind=scaling(of="test_error", over="n"),
    within=(-math.inf, -0.1),
    quoted="falls with m; exponent not quoted",
).control(COPIES, distinct=COUNTS[0])
