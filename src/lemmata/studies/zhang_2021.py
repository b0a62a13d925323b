"""Understanding deep learning (still) requires rethinking generalization (Zhang et al., 2017, 2021).

Question. Networks that generalise well on true labels: can they also fit labels that mean nothing? If they can, what a
family of networks *could* fit says nothing about why what it *does* fit generalises.

Randomisation tests. A network is trained by SGD, without regulariser, until its mean training loss is below 0.005, on

    labels   true; each redrawn uniformly with probability p (corruption); all random; or redrawn before every epoch
    inputs   true; pixels shuffled by one permutation; by one of each image's own; replaced by Gaussian noise with the
             mean and standard deviation of the training pixels

and every other setting is the same. Laptop scale: 1,000 training and 1,500 test digits of `mnist-5k` (500 more choose
where early stopping stops), 28x28 mean-pooled to 14x14, each image whitened; a perceptron 196-256-10 (the
paper's "MLP 1x512" has twice the units, as laptop scale had at first), step size 0.05, momentum 0.9, batches of 50, at
most 100 epochs. Paper scale: CIFAR-10, centre crop 28x28, whitened,
step size 0.01 (times 0.95 each epoch), momentum 0.9, and batches of 128, a size that we assume. There the network of
Table 1 with one hidden layer answers the questions, and the experiment `table-1` trains the others we have.

Theorem 1. A two-layer ReLU network with 2n + d weights takes any values on n points in d dimensions. We build it
(`lemmata.regression.finite_sample`), n = 1,000 Gaussian points, d = 50, Gaussian values, float64, and hold its error
against the rounding error that the system's condition number allows. The units are added in random order, the output
weights being the best there are: how many does it take? (The theorem says that n are enough. That fewer are not holds
for this construction, not for every network with free thresholds.)

Kernel. The interpolant of the ten indicator functions of the labels with the least norm in the space of the Gaussian
kernel exp(-|x - x'|^2 / 2 s^2) on raw pixels in [0, 1], found by one solve. The paper names no s; ours is 5, half of
the median distance between two digits. Trained on 4,000 and on 10,000 digits of the training set, it is the best of 2,
3, ..., 8, 10 on 10,000 other digits of the training set. That it fits all labels is a matter of its rank: a linear
kernel, by least squares, fits 500 digits, whatever their labels, and neither 1,000 nor 2,000.

Deviations from the paper: data and network sizes as above; the stopping rule (the paper trains on); a shuffled image is
shuffled alike in training and test set; gradient noise of a finite test set enters the margins, which are stated with
each claim. A number of the paper is quoted only where it is printed in its text or tables.

Seeds are independent draws of split, corruption, initial weights and batches; the conditions of a seed share them.
"""

from lemmata.studies import _zhang_2021_figures as figures
from lemmata.studies._zhang_2021_finite_sample import FiniteSample, build_interpolating_nets
from lemmata.studies._zhang_2021_kernel import Kernel, solve_kernel_systems
from lemmata.studies._zhang_2021_training import Randomisation, train_on_randomised
from lemmata.study import Paper, Study
from lemmata.study.kinds import difference, exact, ordering, ratio, trend, value

study = Study(
    "zhang-2021",
    paper=Paper(
        key="zhang2021",
        title="Understanding deep learning (still) requires rethinking generalization",
        authors=("Chiyuan Zhang", "Samy Bengio", "Moritz Hardt", "Benjamin Recht", "Oriol Vinyals"),
        year=2021,
        venue="Communications of the ACM 64(3), 107-115",
        arxiv="1611.03530",
        doi="10.1145/3446776",
    ),
    topic="generalisation",
    question="Does what a network could fit, or how it is regularised, explain why it generalises?",
    notes="Sections and tables are those of arXiv:1611.03530v2 (ICLR 2017).",
)

# ---- randomisation tests ---------------------------------------------------------------------------------------------

CIFAR = {
    "data": "cifar10", "pool": 1, "n": 50_000, "n_test": 8_500, "n_validation": 1_400, "training.step_size": 0.01,
    "training.step_decay": 0.95, "training.batch": 128, "training.fitted": 0.01,
}  # fmt: skip
SMOKE = {
    "n": 200, "n_test": 400, "n_validation": 200, "pool": 4, "network.width": 128, "training.batch": 25,
    "training.epochs": 80, "training.fitted": 0.02,
}  # fmt: skip
VECTORISED = ("seed", "labels", "corruption", "inputs", "regulariser", "training.weight_decay")
NOISE = ["random", "gaussian"]  # inputs that keep nothing of the image
LEVELS = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]
REGULARISERS = ["none", "weight decay", "early stopping"]

randomisation = study.experiment(
    "randomisation",
    config=Randomisation,
    sweep=[
        {"inputs": ["true", "shuffled", *NOISE]},
        {"corruption": LEVELS},
        {"labels": ["true", "random"], "regulariser": REGULARISERS},
    ],
    scales={"smoke": SMOKE, "laptop": {"network.width": 256, "training.epochs": 100}, "paper": CIFAR},
    vectorised=VECTORISED,
    block=40,
    data=lambda config: config.data,
)
randomisation.trial(train_on_randomised)
randomisation.figure(figures.learning_curves)
randomisation.figure(figures.corruption_curves)
randomisation.figure(figures.regularisers)

TRUE = {"labels": "true", "corruption": 0.0, "inputs": "true", "regulariser": "none"}
WORST = 0.0066  # Table 1: of the networks trained on random labels, MLP 1x512 fits them worst, 99.34 %
CHANCE = 0.9

fits_random = randomisation.claim(
    "a network fits labels that are random",
    name="fits-random-labels",
    where="section 2.1, Table 1, Figure 1a",
    kind=exact(of="train_error", at_most=WORST),
    select={**TRUE, "labels": "random"},
    paper=0.0, quoted="training error 0 (Table 1: 0 to 0.66 %)",
)  # fmt: skip
fits_random.control("labels that change every epoch cannot be memorised", labels="redrawn")
fits_random.control("five hidden units are too few", {"network.width": 5})
fits_random.control("a linear model is too weak", {"network.depth": 0})

fits_inputs = randomisation.claim(
    "a network fits true labels of images whose pixels are shuffled, or are noise",
    name="fits-random-inputs",
    where="section 2.1, Figure 1a",
    kind=exact(of="train_error", at_most=WORST),
    select={**TRUE, "inputs": ["shuffled", *NOISE]},
    paper=0.0, quoted="training error 0",
)  # fmt: skip
fits_inputs.control("a linear model is too weak for noise", {"network.depth": 0})

fits_corrupted = randomisation.claim(
    "a network fits the training set at every level of label corruption",
    name="fits-every-corruption",
    where="section 2.1, Figure 1b and c",
    kind=exact(of="train_error", at_most=WORST),
    select={**TRUE, "corruption": LEVELS},
    paper=0.0, quoted="training error 0",
)  # fmt: skip
fits_corrupted.control("five hidden units are too few", {"network.width": 5})

chance = randomisation.claim(
    "trained on random labels, a network is no better than chance on the test set",
    name="random-labels-test-at-chance",
    where="section 2.1, Table 1",
    kind=value(of="test_error"),
    select={**TRUE, "labels": "random"},
    paper=CHANCE, quoted="90 % (Table 1: 89.4 to 90.2 %)", margin=0.05,
    note="The margin is half of the 10 % that guessing gets right.",
)  # fmt: skip
chance.control("true labels", labels="true")

slower = randomisation.claim(
    "random labels take longer to fit than true ones, by a small constant factor",
    name="slow-down-is-small",
    where="section 1 and 2.1, Figure 1a",
    kind=ratio(of="epochs_to_fit", over="labels", between=("true", "random")),
    select={**TRUE, "labels": ["true", "random"]},
    quoted="“a small constant factor”", within=(1.0, 10.0),
    note="Small is read as: less than ten. A factor of one would be no slow-down.",
)  # fmt: skip
slower.control("five hidden units never fit random labels", {"network.width": 5})
slower.control("a linear model never fits random labels", {"network.depth": 0})

slower_by_half = randomisation.claim(
    "so do labels of which half are redrawn",
    name="slow-down-at-half-corruption",
    where="section 2.1, Figure 1b",
    kind=ratio(of="epochs_to_fit", over="corruption", between=(0.0, 0.5)),
    select={**TRUE, "corruption": [0.0, 0.5]},
    quoted="“a small constant factor”", within=(1.0, 10.0),
    note="The slow-down need not be monotone in the corruption, and in small designs it is not: see the figure.",
)  # fmt: skip
slower_by_half.control("five hidden units never fit corrupted labels", {"network.width": 5})

harder = randomisation.claim(
    "noise in place of images is harder to fit than images whose pixels are shuffled",
    name="noise-is-harder-than-shuffled-pixels",
    where="section 2.1, Figure 1a",
    kind=ordering(of="epochs_to_fit", over="inputs", order=("shuffled", "gaussian")),
    select={**TRUE, "inputs": ["shuffled", "gaussian"]},
    quoted="shuffled pixels before Gaussian ones",
)  # fmt: skip
harder.control("with random labels the order is reversed: like images with unlike labels are hard", labels="random")

monotone = randomisation.claim(
    "the test error rises steadily with the share of corrupted labels, up to chance",
    name="test-error-rises-with-corruption",
    where="section 2.1, Figure 1c",
    kind=trend(of="test_error", over="corruption", at_least=0.9),
    select={**TRUE, "corruption": LEVELS},
    quoted="rises steadily to 90 %",
)  # fmt: skip
monotone.control("on Gaussian inputs there is nothing to lose", inputs="gaussian")

unnecessary = randomisation.claim(
    "weight decay changes the test error on true labels by at most a few points",
    name="regulariser-not-necessary",
    where="section 3, Table 1",
    kind=difference(of="test_error", over="regulariser", between=("none", "weight decay"), null=None),
    select={**TRUE, "regulariser": ["none", "weight decay"]},
    paper=0.0012, quoted="+0.1 points for MLP 1x512 (50.51 to 50.39 % right)", margin=0.033,
    note="The margin is the most that explicit regularisers, all together, buy in Table 1: 85.75 to 89.05 % right.",
)  # fmt: skip
unnecessary.control("a weight decay of 0.3 is too strong", {"training.weight_decay": 0.3})

stopping = randomisation.claim(
    "early stopping changes the test error on true labels by at most a few points",
    name="early-stopping-not-necessary",
    where="section 3",
    kind=difference(of="test_error", over="regulariser", between=("none", "early stopping"), null=None),
    select={**TRUE, "regulariser": ["none", "early stopping"]},
    quoted="no number for this network", within=(-0.033, 0.033),
    note="The margin is that of weight decay.",
)  # fmt: skip
stopping.control("on corrupted labels early stopping matters", corruption=0.5)

insufficient = randomisation.claim(
    "with weight decay the network still fits random labels",
    name="regulariser-not-sufficient",
    where="section 3",
    kind=exact(of="train_error", at_most=WORST),
    select={**TRUE, "labels": "random", "regulariser": "weight decay"},
    paper=0.0, quoted="training error 0",
)  # fmt: skip
insufficient.control("a weight decay of 0.1 is too strong", {"training.weight_decay": 0.1})

invariant = randomisation.claim(
    "a perceptron does not care about a fixed permutation of the pixels",
    name="perceptron-ignores-pixel-order",
    where="not in the paper: an exact symmetry of the initial weights' law",
    kind=difference(of="test_error", over="inputs", between=("true", "shuffled"), null=None),
    select={**TRUE, "inputs": ["true", "shuffled"]},
    quoted="0 (symmetry)", within=(-0.01, 0.01),
    note="The margin is little more than one standard error of an error of 10 % on 1,500 test images.",
)  # fmt: skip
invariant.control("a convolutional network does", {"network.kind": "convnet", "network.width": 16})

randomisation.claim(
    "Inception fits random labels of CIFAR-10, and Inception V3 those of ImageNet",
    name="inception-fits-random-labels",
    where="Tables 1 and 2",
    quoted="training accuracy 100 % (CIFAR-10), 95.20 % (ImageNet)",
    untestable="there is no Inception network here, and ImageNet cannot be had",
)

# ---- the networks of Table 1, at paper scale -------------------------------------------------------------------------

table_1 = study.experiment(
    "table-1",
    config=Randomisation,
    sweep={
        "network": [{"depth": 1}, {"depth": 3}, {"kind": "convnet", "width": 64}],
        "labels": ["true", "random"],
        "regulariser": ["none", "weight decay"],
    },
    seeds={"paper": 3},
    scales={"paper": CIFAR},
    vectorised=VECTORISED,
    block=15,
    data=lambda config: config.data,
)
table_1.trial(train_on_randomised)

all_fit = table_1.claim(
    "perceptrons of one and three hidden layers and a convolutional network all fit random labels of CIFAR-10",
    name="table-1-fits-random-labels",
    where="Table 1",
    kind=exact(of="train_error", at_most=WORST),
    select={"labels": "random", "regulariser": "none"},
    paper=0.0, quoted="training error 0 to 0.66 %",
    note="Two strided convolutions and two dense layers stand in for the paper's small Alexnet.",
)  # fmt: skip
all_fit.control("labels that change every epoch cannot be memorised", labels="redrawn")

for layers, right in ((1, 0.5051), (3, 0.5239)):
    table_1.claim(
        f"a perceptron with {layers} x 512 units, without regulariser, is right on {right:.2%} of CIFAR-10's test set",
        name=f"table-1-mlp-{layers}x512",
        where="Table 1",
        kind=value(of="test_error", null=CHANCE),
        select={"labels": "true", "regulariser": "none", "network.kind": "mlp", "network.depth": layers},
        paper=1 - right, quoted=f"{right:.2%} right", margin=0.02,
        note="The margin is the spread of the perceptrons' rows in Table 1.",
    ).control("random labels", labels="random")  # fmt: skip

# ---- Theorem 1 -------------------------------------------------------------------------------------------------------

theorem = study.experiment("theorem-1", config=FiniteSample)
theorem.trial(build_interpolating_nets)

enough = theorem.claim(
    "a two-layer ReLU network with 2n + d weights takes any values on n points",
    name="theorem-1-interpolates",
    where="Theorem 1, appendix C",
    kind=exact(of="error_over_tolerance", at_most=1.0),
    quoted="zero error; 2n + d = 2,050 weights",
    note="The error is the largest over the points, in units of the bound on rounding in float64.",
)
enough.control("a tenth of the units taken away, the rest fitted by least squares", units=0.9)

sharp = theorem.claim(
    "the construction needs as many units as there are points",
    name="theorem-1-units-needed",
    where="Theorem 1, appendix C (sharpness for its own thresholds: our addition)",
    kind=value(of="units_needed"),
    paper=1000.0, quoted="n = 1,000", margin=0.5,
)  # fmt: skip
sharp.control("half the points", moves="the number of units", to=500, n=500)

counted = theorem.claim(
    "it has 2n + d weights",
    name="theorem-1-weights",
    where="Theorem 1",
    kind=value(of="weights"),
    paper=2050.0, quoted="2n + d = 2,050", margin=0.5,
)  # fmt: skip
counted.control("twice the dimensions", moves="the number of weights", to=2100, d=100)
theorem.figure(figures.misfit_by_units)

# ---- minimum-norm kernel interpolation -------------------------------------------------------------------------------

SIZES = [500, 1000, 2000]
kernel = study.experiment(
    "kernel",
    config=Kernel,
    sweep=[{"n": SIZES}, {"n": SIZES[-1:], "labels": ["random"]}],
    scales={"smoke": {"n": [200, 1000]}},
    vectorised=("seed", "labels"),
    data="mnist-5k",
)
kernel.trial(solve_kernel_systems)

generalises = kernel.claim(
    "the kernel interpolant of least norm, which fits every label, has a test error of 1.2 % on MNIST",
    name="kernel-test-error",
    where="section 5",
    kind=value(of="test_error", null=CHANCE),
    select={"n": SIZES[-1], "labels": "true"},
    paper=0.012, quoted="1.2 % (60,000 digits)", margin=0.003,
    note="2,000 digits here, which cannot suffice; the experiment kernel-60000 has them all. The margin is two "
    "standard errors of 1.2 % on 10,000 test digits, and the rounding of the paper's number.",
)  # fmt: skip
generalises.control("random labels, fitted as well", labels="random")

interpolates = kernel.claim(
    "the interpolant fits every training label, random ones too",
    name="kernel-interpolates",
    where="section 5",
    kind=exact(of="train_error", at_most=0.0),
    quoted="training error 0",
)
interpolates.control("a linear kernel, of smaller rank than there are digits, cannot", kernel="linear")
kernel.figure(figures.kernel_test_error)

everything = study.experiment(
    "kernel-60000",
    config=Kernel,
    seeds={"paper": 1},
    scales={"paper": {"data": "mnist", "n": 60_000, "n_test": 10_000}},
    data="mnist",
)
everything.trial(solve_kernel_systems)
all_digits = everything.claim(
    "with all 60,000 digits, solved in one go, the test error is 1.2 %",
    name="kernel-60000-test-error",
    where="section 5",
    kind=exact(of="test_error", at_least=0.009, at_most=0.015),
    paper=0.012, quoted="1.2 %",
    note="Nothing is random, so that there is one run and no statistics. The margin is that of `kernel-test-error`.",
)  # fmt: skip
all_digits.control("random labels, fitted as well", labels="random")
