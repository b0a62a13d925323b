"""Qualitatively characterizing neural network optimization problems (Goodfellow, Vinyals and Saxe, 2015).

Question. Training a network is a non-convex problem, and yet gradient descent solves it. Are there obstacles on the way
that it gets around? The paper's answer: on the straight line from the initial weights to the trained ones there are
none; the loss simply falls.

    theta(a) = (1 - a) theta_0 + a theta_T,   0 <= a <= 1;      L(a) = the mean training loss at theta(a)

Measured on each line, in units of the loss of the initial weights: the largest *rise* from any point to a later one,
the *excess* over the largest convex function below the curve, and the *barrier*, the height above the straight line
between the ends' losses. A line is called monotone if its rise is no more than rounding (1e-5), and free of obstacles
if it is less than 1e-3, a thousandth of the axis of the paper's figures and so invisible there.

What makes it a statement and not a habit of all lines: between two solutions found from different seeds, and between a
solution and its own copy with the hidden units in another order (the same function, at the same distance as a
stranger), the same straight line runs over a barrier. The copy's permutation swaps units in pairs, which maps the line
to itself reversed: the barrier must be symmetric and, where it has one peak, in the middle; on a line that ends a
quarter beyond the solution the peak must come at 0.4.

Later work. The line from an *unrelated* initialisation to the solution is monotone too (Lucas et al., 2021, Figure 1;
Tao, Li and Zhan, 2024, with noise in its place): what is seen belongs to the solution rather than to the path of
training. Here that is so of all but a few lines, which first rise by up to 0.4 % of the initial loss. And networks that
break the rule can be made by moving the weights far (Lucas et al., 2021): here by Adam with large steps, which does it
to maxout units; ReLU units that are carried as far hardly ever break it.

Laptop scale: 1,000 digits of `mnist-5k`, 28x28 mean-pooled to 14x14, each image whitened; perceptrons 196-80-80-10,
batches of 50, at most 400 epochs (150 under Adam with steps that are not its usual one, 10 for SGD as its control),
stopped when the mean loss of an epoch's batches is below 0.01 (sigmoid units under plain SGD do not get there). The
loss along a line is that of the training digits, at 51 points. At first there were 100 units a layer, and 400 and 100
epochs: fewer for the time they take. Deviations from the paper: data, sizes and stopping as above. No number of the
paper is used; its claims are directions, quoted where their wording could be checked. The quotation on convexity names
no units: it is asked of maxout and of ReLU units, and which of the paper's figures have which was not looked up.

Seeds are independent draws of split, initial weights (both), batches and permutation; the lines of a seed share them.
"""

from lemmata.studies import _goodfellow_2015_figures as figures
from lemmata.studies._goodfellow_2015_lines import Interpolation, lines
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, shape, trend

study = Study(
    "goodfellow-2015",
    topic="loss surfaces",
    paper=Paper(
        key="goodfellow2015",
        title="Qualitatively characterizing neural network optimization problems",
        authors=("Ian J. Goodfellow", "Oriol Vinyals", "Andrew M. Saxe"),
        year=2015,
        venue="International Conference on Learning Representations",
        arxiv="1412.6544",
        entry="inproceedings",
    ),
    question="Does the loss fall all along the straight line from the initial weights to the trained ones?",
    notes="Later papers named in claims: Lucas et al. (2021), arXiv:2104.11044; Frankle (2020), arXiv:2012.06898; "
    "Tao, Li and Zhan (2024), ICML.",
)

ACTIVATIONS = ["relu", "tanh", "sigmoid", "maxout"]
USUAL_ADAM = 0.001
OPTIMISERS = [
    {"optimiser": "sgd", "step_size": 0.1},
    {"optimiser": "momentum", "step_size": 0.05},
    {"optimiser": "adam", "step_size": USUAL_ADAM},
]
ADAM_STEPS = [0.0003, 0.001, 0.003, 0.01, 0.03]
SMALL = {
    "n": 100, "pool": 4, "network.width": 24, "network.activation": ["relu", "maxout"], "training.batch": 50,
    "training.fitted": 0.02, "training.epochs": 40, "points": 11,
}  # fmt: skip
MNIST = {"data": "mnist", "pool": 1, "n": 60_000, "network.width": 400, "training.batch": 100, "training.epochs": 100}

interpolation = study.experiment(
    "lines",
    config=Interpolation,
    sweep=[
        {
            "line": ["initialisation", "unrelated", "solutions", "permuted"],
            "network.activation": ACTIVATIONS,
            "training": OPTIMISERS,
        },
        {
            "network.activation": ["relu", "maxout"],
            "training.optimiser": ["adam"],
            "training.epochs": [150],
            "training.step_size": [step for step in ADAM_STEPS if step != USUAL_ADAM],
        },
    ],
    seeds={"smoke": 3, "laptop": 5, "paper": 5},
    scales={"smoke": SMALL, "laptop": {"network.width": 80}, "paper": MNIST},
    vectorised=("seed", "line", "reach"),
    block=24,
    data=lambda config: config.data,
)
interpolation.trial(lines)
interpolation.figure(figures.curves)
interpolation.figure(figures.activations)
interpolation.figure(figures.fractions)
interpolation.figure(figures.far)

INVISIBLE = 1e-3  # of the initial loss
USUAL = {
    "training.optimiser": ["sgd", "momentum", "adam"],
    "training.step_size": [0.1, 0.05, 0.001],
}  # of the first sweep only
OWN = {"line": "initialisation", **USUAL}
ONE = {"network.activation": "relu", "training.optimiser": "sgd"}

no_obstacle = interpolation.claim(
    "on the straight line from the initial weights to the solution the loss meets no obstacle",
    name="no-obstacle",
    where="abstract",
    kind=exact(of="rise", at_most=INVISIBLE),
    select=OWN,
    quoted="“never encounter any significant obstacles”",
    note="in every run, for four activations and three optimisers; significant is read as visible in a figure",
)  # fmt: skip
no_obstacle.control("from another solution", line="solutions")
no_obstacle.control("from the same solution with its units in another order", line="permuted")

convex = interpolation.claim(
    "in networks of maxout units the loss along that line is approximately convex",
    name="approximately-convex",
    where="as quoted by Frankle (2020), abstract",
    kind=exact(of="excess", at_most=0.1),
    select={**OWN, "network.activation": "maxout"},
    quoted="“a simple, approximately convex shape”",
    note="approximately is read as: within a tenth of the initial loss of a convex function",
)  # fmt: skip
convex.control("from another solution", line="solutions")
convex.control("from an unrelated initialisation it is monotone but not convex", line="unrelated")

interpolation.claim(
    "so it is in networks of ReLU units",
    name="approximately-convex-relu",
    where="the same quotation, asked of ReLU units",
    kind=exact(of="excess", at_most=0.1),
    select={**OWN, "network.activation": "relu"},
    quoted="“a simple, approximately convex shape”",
    note="the same margin as for maxout. The quotation names no units, and which of the paper's figures have ReLU "
    "units was not looked up",
).control("from another solution", line="solutions")

interpolation.claim(
    "between two solutions found from different seeds there is a barrier",
    name="barrier-between-solutions",
    where="ours: what an obstacle looks like on a line",
    kind=exact(of="barrier", at_least=0.1),
    select={"line": "solutions", **USUAL},
    note="in every run; a tenth of the initial loss is a hundred times what counts as no obstacle",
).control("from the same solution's initial weights", line="initialisation")  # fmt: skip

same = interpolation.claim(
    "between a solution and its own copy with the units in another order there is a barrier too",
    name="barrier-to-permuted-copy",
    where="ours: an exact symmetry, so that the barrier is one of coordinates only",
    kind=exact(of="barrier", at_least=0.1),
    select={"line": "permuted", **USUAL},
)
same.control("from the same solution's initial weights", line="initialisation")

middle = interpolation.claim(
    "the barrier to the permuted copy is highest in the middle",
    name="barrier-in-the-middle",
    where="ours: swapping the units back reverses the line",
    kind=shape.double_descent(of="loss", height=0.1),
    select={"line": "permuted", **USUAL, **ONE},
    paper=0.5, quoted="0.5 (symmetry)", margin=0.04,
    note="margin: two points of the line",
)  # fmt: skip
middle.control("a line that ends a quarter beyond the solution", moves="the peak", to=0.4, reach=1.25)

unrelated = interpolation.claim(
    "the line from an unrelated initialisation meets no obstacle either: the path of training is not what matters",
    name="unrelated-initialisation",
    where="Lucas et al. (2021), Figure 1",
    kind=exact(of="rise", at_most=INVISIBLE),
    select={"line": "unrelated", **USUAL},
    quoted="monotone for a ResNet-20",
)  # fmt: skip
unrelated.control("from another solution", line="solutions")

far = interpolation.claim(
    "in networks of maxout units, the larger Adam's steps, the more the loss rises on the way",
    name="far-weights-rise",
    where="Lucas et al. (2021), abstract",
    kind=trend(of="rise", over="training.step_size", at_least=0.0),
    select={
        "line": "initialisation", "network.activation": "maxout", "training.optimiser": "adam",
        "training.step_size": ADAM_STEPS,
    },
    quoted="the property is broken “by encouraging the weights to move far from initialization”",
    note="a direction: any positive rank correlation. Large steps are our way of moving the weights far",
)  # fmt: skip
far.control("SGD with the same step sizes, which keeps near", {"training.optimiser": "sgd", "training.epochs": 10})
