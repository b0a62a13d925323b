"""Surprises in high-dimensional ridgeless least squares interpolation (Hastie, Montanari, Rosset, Tibshirani, 2022).

Question. What is the risk of least squares when there are as many features as samples, or more, and it interpolates?

Isotropic features, gamma = p / n, signal |beta|^2 = SNR in units of the noise. As n and p grow the risk tends to

    gamma / (1 - gamma)  for gamma < 1,        SNR (1 - 1 / gamma) + 1 / (gamma - 1)  for gamma > 1,

with a peak at gamma = 1 and, for SNR > 1 only, a local minimum at sqrt(SNR) / (sqrt(SNR) - 1) beyond it. The law of the
features does not matter as long as their entries are independent. The ridge gamma / SNR is optimal; with it the risk
has no peak, and is below that of least squares everywhere. For other covariances a fixed point gives the limit.

What is run. n = 200 samples, p = 20 to 2,000 features. The risk is *conditional on X and beta*, as the paper's is, with
its mean over the noise in closed form (`_hastie_2022_regression`), so that nothing is left to chance but X and beta.

Stated error of the limits: 3 / (n - df2), df2 the second degrees of freedom (p below n, n^2 / p above it, without a
ridge). For Gaussian features with p < n the exact mean over X is p / (n - p - 1), which is 1 / (n - p - 1) more, so
that the one third is what n is not infinite and two thirds are for chance; a claim is reproduced only if the deviation
is *shown* to be within it at every aspect ratio. At gamma = 1 the risk has no mean; the peak is one of its logarithm,
more than a factor of 2 above both sides. Universality is refuted where it does not reach: if each sample has a random
length, its features are not independent.

Choices. All margins were set from the formulas. Pilots (6 seeds) decided the number of draws, 5; it was lowered to 3,
with fewer aspect ratios beside the main curve, to make the study cheaper. A claim that the alignment of signal and
covariance matters was dropped after it was void: it compared the two at gamma = 2, where their limits happen to meet,
so that it held for equal features too. The fixed point is tested for either alignment instead. The claim of the null
risk, which asked for no more than a risk above it, was given an upper end: twice the distance of the limit.

Seeds are independent samples and truths.
"""

from math import log, log2

from lemmata.studies import _hastie_2022_figures as figures
from lemmata.studies._hastie_2022_minimum import SecondDescent, measure_descents, predicted_minimum
from lemmata.studies._hastie_2022_regression import Regression, measure
from lemmata.studies._theory_curve import near_theory
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, shape, trend, value

study = Study(
    "hastie-2022",
    paper=Paper(
        key="hastie2022",
        title="Surprises in high-dimensional ridgeless least squares interpolation",
        authors=("Trevor Hastie", "Andrea Montanari", "Saharon Rosset", "Ryan J. Tibshirani"),
        year=2022,
        venue="Annals of Statistics",
        arxiv="1903.08560",
    ),
    topic="double descent",
    question="What is the risk of least squares that interpolates, and where is it least?",
    notes="Limits for $n, p -> infinity$ with $p / n -> gamma$, signal-to-noise ratio $S$, noise 1: "
    "$R = gamma / (1 - gamma)$ for $gamma < 1$, $R = S (1 - 1 / gamma) + 1 / (gamma - 1)$ for $gamma > 1$.",
)

# ---- the risk over the aspect ratio ----------------------------------------------------------------------------------

UNDER = [20, 60, 100, 140, 160, 180]
OVER = [220, 240, 300, 400, 600, 1000, 2000]
ALL = [*UNDER, 200, *OVER]
UNIVERSAL = [100, 160, 240, 400, 1000]
TUNED = [20, 100, 160, 200, 240, 400, 1000]
CORRELATED = [220, 240, 300, 400, 1000]
PLAIN = {"law": "gaussian", "weak": 1.0, "signal": "all"}
RADIAL = "a random length for each sample: features are not independent"
WITHIN_ERROR = near_theory(of="deviation", over="features", within="stated_error")

curve = study.experiment(
    "risk",
    config=Regression,
    sweep=[
        {"features": ALL, "ridge": [0.0, 0.1, 1.0, 10.0]},
        {"features": UNIVERSAL, "law": ["rademacher"]},
        {"features": CORRELATED, "weak": [0.1], "signal": ["strong", "weak"]},
    ],
    seeds={"smoke": 3, "laptop": 20, "paper": 100},
    scales={
        "smoke": {"features": [100, 160, 200, 240, 400], "draws": 1, "directions": 4},
        "paper": {"draws": 20},
    },
    vectorised=("seed", "ridge", "reference"),
)
curve.trial(measure)
curve.figure(figures.risk_curves)
curve.figure(figures.correlated)

curve.claim(
    "with fewer features than samples the risk is gamma / (1 - gamma)",
    name="limit-under",
    where="limiting risk, isotropic features, gamma < 1",
    kind=WITHIN_ERROR,
    select={**PLAIN, "features": UNDER, "ridge": 0.0},
    quoted="gamma / (1 - gamma)",
    note="largest relative deviation over gamma = 0.1 to 0.9; margin: 3 / (n - p), 1.7 % to 15 %",
).control(RADIAL, law="radial")
curve.claim(
    "with more features than samples it is SNR (1 - 1/gamma) + 1 / (gamma - 1)",
    name="limit-over",
    where="limiting risk, isotropic features, gamma > 1",
    kind=near_theory(of="from_isotropic", over="features", within="stated_error"),
    select={**PLAIN, "features": OVER, "ridge": 0.0},
    quoted="SNR (1 - 1/gamma) + 1 / (gamma - 1)",
    note="largest relative deviation over gamma = 1.1 to 10; margin: 3 / (n - n^2/p), 1.7 % to 16.5 %",
).control("half of the features are weak", weak=0.1)
curve.claim(
    "the law of the features does not matter: Rademacher features have the same risk",
    name="universality",
    where="universality: independent entries with moments",
    kind=WITHIN_ERROR,
    select={"features": UNIVERSAL, "ridge": 0.0, "law": "rademacher"},
    note="largest relative deviation over gamma = 0.5 to 5",
).control(RADIAL, law="radial")
curve.claim(
    "the risk peaks where there are as many features as samples, at more than twice both sides",
    name="peak",
    where="limiting risk, isotropic features, gamma = 1",
    kind=shape.peak(of="log_risk", over="features", height=log(2)),
    select={**PLAIN, "features": ALL, "ridge": 0.0},
    paper=200,
    quoted="p = n",
    margin=20,
    note="margin: the spacing of the sweep",
).control("the optimal ridge", ridge=1.0).control("half the samples move it", moves="the peak", to=100, n=100)

# ---- the optimal ridge -----------------------------------------------------------------------------------------------

curve.claim(
    "the ridge of least risk is gamma / SNR",
    name="optimal-ridge",
    where="optimally tuned ridge regression",
    kind=value(of="log2_best_ridge"),
    select={**PLAIN, "features": 400, "ridge": 0.0},
    paper=log2(0.4),
    quoted="log2(gamma / SNR) = -1.32",
    margin=0.25,
    note="margin: a quarter of a factor of 2; from the risk given X, averaged over 16 truths and 3 samples a seed",
).control("an SNR of 1 moves it", moves="its logarithm", to=1.0, snr=1.0)
curve.claim(
    "with it the risk is that of theory, at the threshold as elsewhere",
    name="ridge-limit",
    where="optimally tuned ridge regression",
    kind=WITHIN_ERROR,
    select={**PLAIN, "features": TUNED, "ridge": 1.0},
    note="largest relative deviation over gamma = 0.1 to 5; margin: 3 / (n - df2), 1.6 % to 2.6 %",
).control(RADIAL, law="radial")
curve.claim(
    "it is below that of least squares, and of a ridge that is 10 times smaller or larger, everywhere",
    name="ridge-dominates",
    where="optimally tuned ridge regression",
    kind=exact(of="above_reference", at_least=0.0),
    select={**PLAIN, "features": ALL, "ridge": [0.0, 0.1, 10.0], "reference": 1.0},
    note="in every run, at every aspect ratio",
).control("a ridge 5 times too large instead", reference=5.0)
curve.claim(
    "and has no peak: more features for the same signal only raise it",
    name="ridge-monotone",
    where="optimally tuned ridge regression",
    kind=trend(of="risk", over="features", at_least=0.99),
    select={**PLAIN, "features": ALL, "ridge": 1.0},
).control("no ridge", ridge=0.0)

# ---- unequal features ------------------------------------------------------------------------------------------------

for signal in ("strong", "weak"):
    curve.claim(
        f"with half of the features weak and the signal on the {signal} ones, the fixed point gives the risk",
        name=f"covariance-{signal}",
        where="limiting risk, general covariance",
        kind=WITHIN_ERROR,
        select={"features": CORRELATED, "ridge": 0.0, "weak": 0.1, "signal": signal},
        note="largest relative deviation over gamma = 1.1 to 5",
    ).control(RADIAL, law="radial")
# ---- the minimum beyond the threshold --------------------------------------------------------------------------------

descent = study.experiment(
    "second-descent",
    config=SecondDescent,
    sweep={"snr": [0.5, 1.0, 2.0, 5.0]},
    seeds={"smoke": 3, "laptop": 20, "paper": 100},
    scales={"smoke": {"draws": 1}, "paper": {"draws": 50}},
    vectorised=("seed", "snr"),
)
descent.trial(measure_descents)
descent.figure(figures.second_descents)

descent.claim(
    "beyond the threshold the risk has a minimum at gamma = sqrt(SNR) / (sqrt(SNR) - 1)",
    name="minimum",
    where="limiting risk, isotropic features, SNR > 1",
    kind=value(of="minimum"),
    select={"snr": 5.0},
    paper=round(predicted_minimum(5.0), 3),
    quoted="1.809 at SNR 5",
    margin=0.09,
    note="margin: a twentieth, the spacing of the sweep",
).control("an SNR of 2 moves it", moves="the minimum", to=round(predicted_minimum(2.0), 3), snr=2.0).control(
    "an SNR of 1: there is none", snr=1.0
)
descent.claim(
    "and none where the noise is not below the signal: the risk only falls",
    name="no-minimum",
    where="limiting risk, isotropic features, SNR <= 1",
    kind=exact(of="rise", at_most=0.02),
    select={"snr": [0.5, 1.0]},
    quoted="decreasing for SNR <= 1",
    note="largest rise above the lowest risk so far, in every run, as a share of the null risk; 0.02 is for chance",
).control("an SNR of 5", snr=5.0)
descent.claim(
    "it falls to the null risk, that of predicting 0, from above",
    name="null-risk",
    where="limiting risk, isotropic features, SNR <= 1",
    kind=value(of="at_largest"),
    select={"snr": 0.5},
    within=(1.0, 1.2),
    note="at gamma = 12, in units of the null risk; the limit there is 1.098, the upper end twice as far from 1",
).control("an SNR of 5", snr=5.0)
