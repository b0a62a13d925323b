"""Lee, Xiao, Schoenholz, Bahri, Novak, Sohl-Dickstein, Pennington (2019): wide networks evolve as linear models.

The paper's statement: trained by gradient descent with a step size below a critical one, a network in the NTK
parameterisation stays within O(n^(-1/2)) of its linearisation at the start, uniformly over training, as its width n
grows; so do its tangent kernel and (over sqrt(n)) its parameters (theorem 2.1). An ensemble of such networks is at
every time a Gaussian process with mean and covariance in closed form (section 2.3). Momentum changes nothing of it.

Laptop scale. Tanh perceptrons with two hidden layers of 32 to 512 units in the NTK parameterisation, sigma_w = 1.5,
sigma_b = 0.1, one output; the first 50 scikit-learn digits for training and the next 50 to compare on, even against
odd, targets -1 and 1, inputs of norm sqrt(d); full-batch descent on the mean squared error for 200 steps with a
quarter of the critical step size of infinite width (a tenth of it with momentum 0.9). The gap is the root mean squared
difference of a network's outputs from its linearisation's on the test examples, the largest at 14 times. The
linearisation is trained in closed form by the network's own kernel (`kernels.LinearisedTraining`). Ensembles: 50
networks of width 256, on 20 examples, 100 steps, against the kernels of infinite width (`kernels.predict_ensemble`).

The theorem is an upper bound: the claims ask that the measured exponent be below -1/2, and the report says which it is.

Control throughout: the same networks with their output divided by sqrt(n) and a step size multiplied by n. Its kernel
is the same; its parameters move so far that features are learned at any width, and no limit is linear.

Deviations: small data of two classes where the paper has CIFAR-10 and MNIST; seeds are independent initial weights on
the same data. Paper scale asks for CIFAR-10 images and widths to 4,096.
"""

import math

from lemmata.studies import _lee_2019_figures as figures
from lemmata.studies._lee_2019_ensembles import Ensembles, run_ensembles
from lemmata.studies._lee_2019_networks import Beside, run_beside
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, scaling, value

study = Study(
    "lee-2019",
    paper=Paper(
        key="lee2019",
        title="Wide neural networks of any depth evolve as linear models under gradient descent",
        authors=(
            "Jaehoon Lee", "Lechao Xiao", "Samuel S. Schoenholz", "Yasaman Bahri", "Roman Novak",
            "Jascha Sohl-Dickstein", "Jeffrey Pennington",
        ),
        year=2019,
        venue="Advances in Neural Information Processing Systems",
        arxiv="1902.06720",
        entry="inproceedings",
    ),
    topic="kernels",
    question="Does a wide network train as the linear model of its own first derivatives?",
    notes="The linear model is $f(x; w_0) + J(x) (w - w_0)$; the theorem bounds its distance from the network by "
    "$O(n^(-1 slash 2))$.",
)  # fmt: skip

WIDTHS = [32, 64, 128, 256, 512]
PLAIN = {"momentum": 0.0, "step_size": 0.25}
MOMENTUM = {"momentum": 0.9, "step_size": 0.1}
FEATURES = "a scaling that learns features at every width"
RATE = (-math.inf, -0.5)  # at least as fast as the bound of theorem 2.1

widths = study.experiment(
    "widths",
    config=Beside,
    sweep=[
        {"width": WIDTHS, "step_size": [0.25]},
        {"width": WIDTHS, "momentum": [0.9], "step_size": [0.1]},
    ],
    seeds={"smoke": 3, "laptop": 6, "paper": 20},
    scales={
        "smoke": {"width": [16, 64, 256], "n": 20, "test": 20, "steps": 60},
        "paper": {"width": [64, 256, 512, 1024, 4096], "data": "cifar10", "n": 128, "test": 128, "steps": 1000},
    },
    vectorised=("seed",),
    data=lambda config: config.data,
)
widths.trial(run_beside)
widths.figure(figures.against_width)
widths.figure(figures.with_momentum)
widths.figure(figures.during_training)

widths.claim(
    "throughout training the outputs are within O(n^(-1/2)) of the linearisation's",
    name="gap",
    where="Theorem 2.1",
    kind=scaling(of="gap", over="width"),
    select=PLAIN,
    quoted="O(n^(-1/2)): exponent at most -1/2",
    within=RATE,
    note="exponent of the largest RMSE over training against width; the bound of the theorem is an upper one",
).control(FEATURES, parameterisation="mean-field")

widths.claim(
    "the tangent kernel stays within O(n^(-1/2)) of what it was",
    name="kernel",
    where="Theorem 2.1",
    kind=scaling(of="kernel_change", over="width"),
    select=PLAIN,
    quoted="O(n^(-1/2)): exponent at most -1/2",
    within=RATE,
    note="relative change in the Frobenius norm on the training examples, at the end",
).control(FEATURES, parameterisation="mean-field")

widths.claim(
    "the parameters move less, relative to their size, the wider the network",
    name="parameters",
    where="Theorem 2.1",
    kind=scaling(of="relative_distance", over="width"),
    select=PLAIN,
    quoted="|theta_t - theta_0| / sqrt(n) = O(n^(-1/2)): their norm being O(n), exponent at most -1/2",
    within=RATE,
    note="|theta_t - theta_0| / |theta_0| at the end",
).control(FEATURES, parameterisation="mean-field")

widths.claim(
    "with momentum too",
    name="momentum",
    where="abstract: other optimisation methods",
    kind=scaling(of="gap", over="width"),
    select=MOMENTUM,
    quoted="exponent at most -1/2, as without",
    within=RATE,
    note="heavy ball, momentum 0.9",
).control(FEATURES, parameterisation="mean-field")

widths.claim(
    "networks of practical size are near their linearisations at the end",
    name="near",
    where="README of the authors' library: RMSE about 0.05 at the end of training, width 512",
    kind=exact(of="gap_at_end", at_most=0.1),
    select={**PLAIN, "width": 512},
    quoted="about 0.05 (other data)",
    note="every network's RMSE at the end, targets being -1 and 1; twice the authors' number is allowed, the data "
    "being others",
).control("narrow networks", width=16).control(FEATURES, parameterisation="mean-field").control(
    "a step size beyond the critical one", step_size=1.05
)

ensembles = study.experiment(
    "ensembles",
    config=Ensembles,
    sweep={"predicted": ["ensemble"]},
    seeds={"smoke": 3, "laptop": 6, "paper": 20},
    scales={
        "smoke": {"width": 64, "n": 8, "test": 10, "steps": 30, "members": 20},
        "paper": {"width": 2048, "data": "cifar10", "n": 128, "test": 128, "members": 100, "steps": 1000},
    },
    vectorised=("seed", "predicted"),
    data=lambda config: config.data,
)
ensembles.trial(run_ensembles)
ensembles.figure(figures.ensembles)

ensembles.claim(
    "the mean of an ensemble follows the closed form",
    name="mean",
    where="Section 2.3, equations 13 to 16",
    kind=value(of="mean_off"),
    within=(-math.inf, 0.05),
    note="squared distance of the ensemble's mean from the predicted one as a share of the predicted square, without "
    "what the finite ensemble adds; 5 % is what a width of 256 may be off by, at n^(-1/2) = 1/16",
).control("the prediction for training the last layer only", predicted="last layer only")

ensembles.claim(
    "and so does its variance",
    name="variance",
    where="Section 2.3, equations 13 to 16",
    kind=value(of="variance_ratio"),
    paper=1.0,
    quoted="the covariance of equation 16",
    margin=0.15,
    note="variance over networks, summed over test examples and times, over the predicted one; the margin is the "
    "standard error of a variance from 50 networks on a few independent examples",
).control("the prediction for training the last layer only", predicted="last layer only").control(
    "the tangent kernel as covariance of the start", predicted="tangent kernel as prior"
)
