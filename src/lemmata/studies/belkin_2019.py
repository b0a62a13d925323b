"""Reconciling machine-learning practice and the classical bias-variance trade-off (Belkin, Hsu, Ma, Mandal, 2019).

Question. The classical curve of the test risk over the size of a model has a U, and its best model does not fit the
training set. Models in use do fit it, and are good. How do the two go together?

The paper's answer. By one curve that descends twice. The risk peaks at the interpolation threshold, where the model is
just large enough to fit the training set, and falls again beyond it, below the minimum of the U: among the more and
more predictors that fit, the one of least norm is chosen, and its norm falls. With infinitely many random features it
is the kernel machine, which has the least norm of all.

Laptop scale. n = 400 of the digits of `mnist-5k`, 1,500 others as the test set, N = 10 to 4,000 random Fourier features
of the raw pixels (bandwidth 5, half of the median distance between two digits: the paper's own is not known to us),
one-hot targets, least squares of minimum norm in float64. All N of a seed are fitted in one pass over nested
factorisations (`_belkin_2019_nested`). The threshold is at N = n, whatever the number of classes. Paper scale: n =
10,000 digits of MNIST, N to 100,000. Random ReLU features are another model of the paper. Wrong labels, and the
curve over n at fixed N, are ours. The paper's decision trees, ensembles and neural networks are left out.

Norm of the predictor means N^(1/2) times the Euclidean norm of the coefficients, which has a limit. The theory that is
drawn over it, a root of N / (N - n), is ours (`_belkin_2019_curves`), and so is its margin: for Gaussian features the
norm of one output fluctuates by 1 / (2 (N - n)^(1/2)), the norm of ten by about a third of that; three times this, at
N = 1.25 n, the first N of the comparison, is 0.05.

Heights. A peak counts if it is ten points of error, a factor of 10 in squared loss, or a factor of 3 in norm above both
sides. Locations count to the spacing of the grid there, 10 of 400. Two pilot seeds (100, 101) had been seen when they
were set; the peaks there were 50 points and more, factors of 100 and more, and 10 and more. The paper's numbers are not
at hand to be checked, and none is shown: all claims are about directions and places.

Seeds are independent draws of images, features and wrong labels. The images are drawn from the same 5,000, so that two
seeds have some in common, and what varies between seeds does not tell how far other digits would be from these.
"""

import math

from lemmata.studies import _belkin_2019_figures as figures
from lemmata.studies._belkin_2019_curves import OverFeatures, run_over_features
from lemmata.studies._belkin_2019_samples import OverSamples, run_over_samples
from lemmata.study import Paper, Study
from lemmata.study.experiment import Experiment
from lemmata.study.kinds import exact, shape, value

study = Study(
    "belkin-2019",
    paper=Paper(
        key="belkin2019",
        title="Reconciling modern machine-learning practice and the classical bias-variance trade-off",
        authors=("Mikhail Belkin", "Daniel Hsu", "Siyuan Ma", "Soumik Mandal"),
        year=2019,
        venue="Proceedings of the National Academy of Sciences 116(32), 15849-15854",
        arxiv="1812.11118",
        doi="10.1073/pnas.1903070116",
    ),
    topic="double descent",
    question="Does the risk peak where a model just fits its sample, and fall below the classical minimum beyond?",
    notes="The predictor is the least-squares fit of least norm on $N$ random features of $n$ digits; the "
    "interpolation threshold is $N = n$. Theory drawn over the norms: $norm(h_N) = norm(h_oo) sqrt(N / (N - n))$.",
)

POINTS = 0.01  # a standard error of an error of 0.2 on 1,500 images
PLAIN = {"kind": "fourier", "label_noise": 0.0, "ridge": 0.0}
MEANINGLESS = {"label_noise": 0.9}  # a label is then each of the ten classes with the same probability

features = study.experiment(
    "features",
    config=OverFeatures,
    sweep=[{"label_noise": [0.0, 0.2], "ridge": [0.0]}, {"kind": ["relu"]}],
    seeds={"smoke": 3, "laptop": 10},
    scales={"smoke": {"most": 3.0, "test": 500}},
    vectorised=("seed", "label_noise", "ridge"),
    data=lambda config: config.data,
)
features.trial(run_over_features)
features.figure(figures.risks)
features.figure(figures.norms)
features.figure(figures.controls)

published = study.experiment(
    "mnist",
    config=OverFeatures,
    sweep={"data": ["mnist"], "n": [10_000], "unit": [10_000], "test": [10_000]},
    seeds={"paper": 5},
    vectorised=("seed", "label_noise", "ridge"),
    block=1,
    data=lambda config: config.data,
)
published.trial(run_over_features)


QUANTITIES = {  # what peaks: its curve, and the height of a peak
    "test error": ("test_error", 0.1),
    "squared loss on the test set": ("log10_test_loss", 1.0),
    "norm of the predictor": ("log10_norm", 0.5),
}


def declare(experiment: Experiment, n: int, prefix: str = "") -> None:
    """Declare the paper's claims of an experiment with n samples; its controls have half of them."""
    half = n // 2
    for quantity, (of, height) in QUANTITIES.items():
        peak = experiment.claim(
            f"the {quantity} falls, peaks where there are as many features as samples, and falls again",
            name=f"{prefix}{of.removeprefix('log10_').replace('_', '-')}-peak",
            where="Fig. 2",
            kind=shape.double_descent(of=of, height=height, guard="train_loss", locate="peak"),
            select=PLAIN,
            paper=n,
            quoted="N = n",
            margin=n // 40,
            note="while the training loss never rises; margin: the spacing of the grid of N",
        )
        peak.control("half the samples", moves="the peak", to=half, n=half)
        peak.control("a ridge of 0.1", ridge=0.1)
    experiment.claim(
        "from there on, and not before, the training set is fitted",
        name=f"{prefix}interpolation",
        where="Fig. 2",
        kind=value(of="first_fitted"),
        select=PLAIN,
        paper=n,
        quoted="N = n",
        margin=n // 40,
        note="the first N of the grid at which the mean squared error is rounding, 1e-10",
    ).control("half the samples", moves="the first fit", to=half, n=half).control("a ridge of 0.1", ridge=0.1)
    for quantity, of, least, words in (
        ("error", "second_descent", -POINTS, "a point of error lower at least"),
        ("squared loss", "loss_second_descent", 0.0, "lower by any amount"),
    ):
        experiment.claim(
            f"beyond the threshold the {quantity} falls below the minimum it has before",
            name=f"{prefix}{of.replace('_', '-')}",
            where="Fig. 2",
            kind=value(of=of, null=0.0),
            select=PLAIN,
            within=(-math.inf, least),
            note=f"least value with N > n minus least value with N < n; {words}",
        ).control("labels that mean nothing", MEANINGLESS)
    for statement, name, of, low, high in (
        ("beyond the threshold, the norm of the predictor falls with N", "norm-falls", "norm_trend", -math.inf, -0.9),
        ("and the test loss with the norm", "loss-with-norm", "norm_loss_trend", 0.9, math.inf),
    ):
        experiment.claim(
            statement,
            name=prefix + name,
            where="Fig. 2; the paper's explanation by the norm",
            kind=value(of=of, null=0.0),
            select=PLAIN,
            within=(low, high),
            note="Spearman's rho over the grid of N > n",
        ).control("a ridge of 0.1", ridge=0.1)
    three = round((1 - 1 / 3) ** -0.5, 4)
    experiment.claim(
        "towards the norm of the kernel machine, as that of Gaussian features: at N = 3 n it is a fifth above it",
        name=f"{prefix}norm-at-three",
        where="theory (ours); the limit is the paper's",
        kind=value(of="norm_at_three", null=None),
        select=PLAIN,
        paper=three,
        quoted=f"(N / (N - n))^(1/2) = {three}",
        margin=0.02,
        note="margin: three times 1 / (2 (2 n)^(1/2)) / 10^(1/2), the deviation of one draw at n = 400",
    ).control("half the samples", moves="the ratio", to=round((1 - 1 / 6) ** -0.5, 4), n=half)


declare(features, 400)
declare(published, 10_000, "mnist-")

features.claim(
    "at every N from 1.25 n on, the norm is that of Gaussian features with the same kernel, to 5 %",
    name="norm-theory",
    where="theory (ours)",
    kind=exact(of="norm_off_theory", at_most=0.05),
    select=PLAIN,
    note="largest relative deviation over the grid, in every run; margin: three standard deviations, see the head",
).control("a ridge of 0.1", ridge=0.1)
features.claim(
    "with 20 % of the labels wrong, too, the error peaks at N = n",
    name="noisy-peak",
    where="extends Fig. 2 (ours)",
    kind=shape.double_descent(of="test_error", height=0.1, guard="train_loss", locate="peak"),
    select={**PLAIN, "label_noise": 0.2},
    paper=400,
    quoted="N = n",
    margin=10,
).control("half the samples", moves="the peak", to=200, n=200).control("a ridge of 0.1", ridge=0.1)
features.claim(
    "and falls below its first minimum, although the wrong labels are fitted",
    name="noisy-second-descent",
    where="extends Fig. 2 (ours)",
    kind=value(of="second_descent", null=0.0),
    select={**PLAIN, "label_noise": 0.2},
    within=(-math.inf, -POINTS),
).control("labels that mean nothing", MEANINGLESS)
features.claim(
    "random ReLU features have their peak there as well",
    name="relu-peak",
    where="the paper's experiments with random ReLU features",
    kind=shape.double_descent(of="test_error", height=0.1, guard="train_loss", locate="peak"),
    select={**PLAIN, "kind": "relu"},
    paper=400,
    quoted="N = n",
    margin=10,
).control("half the samples", moves="the peak", to=200, n=200).control("a ridge of 0.1", ridge=0.1)
features.claim(
    "and their second descent",
    name="relu-second-descent",
    where="the paper's experiments with random ReLU features",
    kind=value(of="second_descent", null=0.0),
    select={**PLAIN, "kind": "relu"},
    within=(-math.inf, -POINTS),
).control("labels that mean nothing", MEANINGLESS)

# ---- more samples ----------------------------------------------------------------------------------------------------

samples = study.experiment(
    "samples",
    config=OverSamples,
    seeds={"smoke": 3, "laptop": 10, "paper": 50},
    scales={"smoke": {"n": 500, "test": 500}},
    vectorised=("seed",),
    data=lambda config: config.data,
)
samples.trial(run_over_samples)
samples.figure(figures.samples)

samples.claim(
    "with N fixed, the error over the number of samples peaks where there are as many samples as features",
    name="sample-peak",
    where="consequence of the threshold at N = n (ours)",
    kind=shape.double_descent(of="test_error", height=0.1, locate="peak"),
    paper=300,
    quoted="n = N",
    margin=20,
    note="20 % of the labels wrong; margin: the spacing of the grid of n",
).control("half the features", moves="the peak", to=150, features=150).control("a ridge of 0.1", ridge=0.1)
samples.claim(
    "so that three times as many samples hurt",
    name="samples-hurt",
    where="consequence of the threshold at N = n (ours)",
    kind=value(of="hurt", null=0.0),
    within=(0.1, math.inf),
    note="error with 300 samples minus error with 100, at least ten points",
).control("a ridge of 0.1", ridge=0.1)
