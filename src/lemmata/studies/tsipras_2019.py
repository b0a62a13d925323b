"""Robustness may be at odds with accuracy (Tsipras, Santurkar, Engstrom, Turner and Madry, 2019).

Question. Is a classifier that withstands small changes of its input less accurate on inputs that nobody changed? For
lack of data, of capacity, of good algorithms, or in principle? The paper's answer: in principle. It gives a
distribution on which a classifier cannot have both,

    y = +1 or -1,   x_1 = y with probability p, else -y,   x_2, ..., x_{d+1} ~ N(eta y, 1)

with one feature that no change of size eps < 1 can turn, but which is right in p of the cases only, and many that are
faint one by one and right all but surely together, and which eps = 2 eta turns round.

Theorem (the trade-off). A classifier of standard accuracy at least 1 - delta has robust accuracy at most
p / (1 - p) delta against changes of size eps = 2 eta in the maximum norm, for p >= 1/2.

Proof. Let the adversary move x_i to x_i - 2 eta y for i >= 2. Given y, the faint features are then distributed as those
of the class -y; call that law Q_{-y}. Let U be the probability that the classifier says y when x_1 = y and the others
follow Q_{-y}, and V that it says y when x_1 = -y and the others follow Q_{-y}, both averaged over y. Attacked, it is
right with probability A = p U + (1 - p) V. As it is, it errs on class -y, whose faint features follow Q_{-y} unmoved,
where it says y: there x_1 = y with probability 1 - p and x_1 = -y with p. So its error is E = (1 - p) U + p V, and

    A = p U + (1 - p) V <= p / (1 - p) ((1 - p) U + p V) = p / (1 - p) E    since (1 - p)^2 <= p^2.

The robust accuracy is at most A. Equality holds if V = 0: where x_1 and the faint features agree, it must not err. QED.
This holds for every classifier, trained or not, random or not.

Which features does adversarial training choose? In logistic regression it minimises E softplus(-y w.x + eps |w|_1); the
slope by the weight of a faint feature, at 0, is proportional to eps - eta: those features are left out if and only
if eps >= eta. So at eps = 2 eta what remains is x_1, of accuracy p, robust and standard.

Numbers. None here is quoted from the paper, whose theorem alone is; they follow from the distribution. The sign of
x_2 + ... + x_{d+1} is right with probability Phi(eta sqrt(d)), and under eps = 2 eta with Phi(-eta sqrt(d)): at
eta = 3 / sqrt(d), 0.9987 and 0.0013. Bayes' rule weighs x_1 too, with log(p / (1 - p)) against 2 eta, and has 0.9995
and 0.0038 at p = 0.95 and d = 400. The thresholds 0.99 and 0.01 are ours: both rules pass them, x_1 alone does not.

Measured. (i) The minimiser on the distribution itself, by quadrature: which features it uses, for eps on both sides of
eta. (ii) Linear classifiers and networks trained on samples, as usual and adversarially; accuracies of the linear ones
are exact. (iii) Digits: perceptrons trained as usual and on adversarial digits, from few digits to many. The paper's
Figure says that adversarial training helps standard accuracy where data are few, and costs it where they are many.

Laptop scale. d = 400, eta = 3 / sqrt(d), 3,000 samples; digits of `mnist-5k` averaged to 14x14, one hidden layer of 64
units, eps = 0.1 and 0.2, three gradient steps. Deviations: theirs are deep networks on whole data sets.

Seeds are independent draws of samples (or of the split), weights and batches; a pair of trainings shares them.
"""

import math

from lemmata.studies import _tsipras_2019_figures as figures
from lemmata.studies._tsipras_2019_digits import Digits, pairs
from lemmata.studies._tsipras_2019_features import Features, classifiers
from lemmata.studies._tsipras_2019_population import Population, minimisers
from lemmata.study import Paper, Study
from lemmata.study.kinds import difference, exact, trend, value

study = Study(
    "tsipras-2019",
    topic="robustness",
    paper=Paper(
        key="tsipras2019",
        title="Robustness may be at odds with accuracy",
        authors=("Dimitris Tsipras", "Shibani Santurkar", "Logan Engstrom", "Alexander Turner", "Aleksander Madry"),
        year=2019,
        venue="International Conference on Learning Representations",
        arxiv="1805.12152",
        entry="inproceedings",
    ),
    question="Must a classifier that withstands small changes be less accurate where nothing is changed?",
)

# ---- the distribution, without samples -------------------------------------------------------------------------------

population = study.experiment(
    "population",
    config=Population,
    sweep={
        "p": [0.8, 0.95],
        "strength": [2.0, 3.0],
        "d": [400],
        "eps": [0.0, 0.25, 0.5, 0.75, 0.95, 1.05, 1.25, 1.5, 2.0],
    },
    seeds={"smoke": 1, "laptop": 1, "paper": 1},
    vectorised=("eps", "p", "strength", "d"),
    block=64,
)
population.trial(minimisers)
population.figure(figures.threshold)

ABOVE, BELOW = [1.05, 1.25, 1.5, 2.0], [0.0, 0.25, 0.5, 0.75, 0.95]
population.claim(
    "adversarial logistic regression leaves the faint features out where eps is larger than their mean eta",
    name="faint-features-left-out",
    where="ours, proved at the head of this study",
    kind=exact(of="faint_share", at_most=1e-6),
    select={"eps": ABOVE},
    note="their share of |w|_1, at the minimiser to rounding",
).control("eps just below eta", eps=0.95)
population.claim(
    "and uses them where eps is smaller",
    name="faint-features-used",
    where="ours, proved at the head of this study",
    kind=exact(of="faint_share", at_least=1e-2),
    select={"eps": BELOW},
    note="a hundredth of |w|_1 or more",
).control("eps just above eta", eps=1.05)

# ---- classifiers trained on samples ----------------------------------------------------------------------------------

features = study.experiment(
    "features",
    config=Features,
    sweep=[
        {"network": ["linear", "relu"], "defence": ["none", "adversarial"]},
        {"network": ["linear"], "defence": ["none", "adversarial"], "p": [0.7, 0.8, 0.9]},
    ],
    seeds={"smoke": 3, "laptop": 5, "paper": 20},
    scales={
        "smoke": {"n": 2000},
        "paper": {"n": 50_000, "d": 1000, "n_test": 100_000},
    },
    vectorised=("seed", "defence", "p", "eps", "strength"),
)
features.trial(classifiers)
features.figure(figures.frontier)
features.figure(figures.accuracies)

features.claim(
    "no classifier errs less than its robust accuracy, times (1 - p) / p, asks for",
    name="trade-off-theorem",
    where="the theorem on the trade-off, proved at the head of this study",
    kind=exact(of="excess", at_most=0.008),
    select={"p": [0.7, 0.8, 0.9, 0.95]},
    note="trained either way, linear (exact) or not: five standard errors of 20,000 test samples are 0.008",
).control("an adversary of half of eta, whom the theorem does not mean", eps=0.5)

USUAL = {"network": "linear", "defence": "none", "p": 0.95}
HARD = {"network": "linear", "defence": "adversarial", "p": 0.95}
features.claim(
    "trained as usual, a linear classifier has a standard accuracy above 99 %",
    name="standard-accuracy",
    where="ours: the model's closed form",
    kind=value(of="standard"),
    select=USUAL,
    within=(0.99, math.inf),
    note="eta = 3 / sqrt(d): Phi(3) = 0.9987 by the faint features alone, 0.9995 by Bayes' rule",
).control("fainter features, eta = 1 / sqrt(d)", strength=1.0)
features.claim(
    "and a robust accuracy below 1 %",
    name="standard-is-not-robust",
    where="ours: the model's closed form",
    kind=value(of="robust"),
    select=USUAL,
    within=(-math.inf, 0.01),
    note="Phi(-3) = 0.0013 by the faint features alone, 0.0038 by Bayes' rule",
).control("without an adversary", eps=0.0)
features.claim(
    "trained adversarially it keeps the first feature only: its robust accuracy is p",
    name="robust-accuracy-is-p",
    where="ours: the minimiser where eps exceeds eta",
    kind=value(of="robust"),
    select=HARD,
    within=(0.94, 0.96),
    note="p = 0.95, the model's parameter, to a hundredth",
).control("a feature that is right in 80 %", p=0.8)
features.claim(
    "and so is its standard accuracy: robustness costs all that the faint features gave",
    name="standard-accuracy-is-p",
    where="ours: the minimiser where eps exceeds eta",
    kind=value(of="standard"),
    select=HARD,
    within=(0.94, 0.96),
    note="p = 0.95, the model's parameter, to a hundredth; all p in the claim after the next",
).control("a feature that is right in 80 %", p=0.8)
features.claim(
    "so that adversarial training costs standard accuracy",
    name="trade-off",
    where="the theorem on the trade-off, for what is trained",
    kind=difference(of="standard", over="defence", between=("none", "adversarial")),
    select={"network": "linear", "defence": ["none", "adversarial"], "p": 0.95},
    within=(-math.inf, -0.03),
    note="by 3 points at least of the 5 that the theorem allows",
).control("p = 1: a feature both robust and right, and no trade-off", p=1.0).control("no adversary", eps=0.0)
features.claim(
    "whatever p is",
    name="accuracy-is-p-for-each-p",
    where="ours: the minimiser where eps exceeds eta",
    kind=exact(of="from_p", at_most=0.01),
    select={"network": "linear", "defence": "adversarial", "p": [0.7, 0.8, 0.9, 0.95]},
    note="distance of the standard accuracy from p, in every run",
).control("no adversary in training", eps=0.0)

# ---- digits ----------------------------------------------------------------------------------------------------------

digits = study.experiment(
    "digits",
    config=Digits,
    sweep={"n": [100, 300, 1000, 3500], "eps": [0.1, 0.2]},
    seeds={"smoke": 3, "laptop": 5, "paper": 5},
    scales={
        "smoke": {"samples": 10_000, "width": 32},
        "paper": {"data": "mnist", "n_test": 10_000, "samples": 600_000, "width": 512, "pool": 1, "steps": 10},
    },
    vectorised=("seed", "eps"),
    data=lambda config: config.data,
)
digits.trial(pairs)
digits.figure(figures.cost)

digits.claim(
    "with few digits, adversarial training helps standard accuracy",
    name="few-digits-help",
    where="the figure on sizes of the training set",
    kind=value(of="cost", null=0.0),
    select={"n": 300, "eps": 0.1},
    within=(-math.inf, 0.0),
    note="a direction: any gain, 300 digits, eps = 0.1",
).control("no adversary in training", eps=0.0)
digits.claim(
    "with many, it costs standard accuracy",
    name="many-digits-cost",
    where="the figure on sizes of the training set",
    kind=value(of="cost", null=0.0),
    select={"n": 3500, "eps": 0.2},
    within=(0.0, math.inf),
    note="a direction: any loss, 3,500 digits, eps = 0.2",
).control("no adversary in training", eps=0.0)
digits.claim(
    "the more digits, the more it costs",
    name="cost-grows-with-digits",
    where="the figure on sizes of the training set",
    kind=trend(of="cost", over="n", at_least=0.0),
    select={"eps": 0.2},
    note="a direction: any positive rank correlation over 100, 300, 1,000 and 3,500 digits, eps = 0.2",
).control("no adversary in training", eps=0.0)
