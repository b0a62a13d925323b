"""The generalization error of random features regression: precise asymptotics (Mei and Montanari, 2022).

Question. A two-layer network whose first layer is random and stays so: what is its risk, exactly, as the dimension d,
the features N = psi1 d and the samples n = psi2 d grow together?

The paper's answer is a formula. Its risk peaks where N = n if there is no ridge, falls beyond, and for a high
signal-to-noise ratio is least as psi1 tends to infinity: the optimum is an overparametrised model. The best ridge
removes the peak, and with it more features only help; if the noise is low and the model wide, the best ridge is none.

What is run. d = 100, n = 300, N = 30 to 1,500 centred ReLU features on the sphere, a linear target. The risk given the
inputs X and the weights Theta is exact: over fresh inputs by the arc-cosine kernel, over the noise and over the
directions of the target by traces (`_mei_montanari_2022_features`). What is left to chance is X and Theta. Features are
centred because their mean, which the formula does not know, is one more direction at a finite d.

The limit is derived anew (`_mei_montanari_2022_theory`): a feature is to leading order linear plus independent noise,
so that the limit for ridge regression (`_ridge_asymptotics`) applies, first given Theta, and then with the law of
Marchenko and Pastur for Theta. It agrees with the paper's coupled fixed points to 12 digits, which the study's tests
check. A part of the target that is not linear would count as noise; the target here has none.

Stated error: 3 / (n - df2) + 3 / d, df2 the second degrees of freedom: the first as in `hastie-2022`, the second for
d = 100 in place of infinity, of order 1 / d as pilots at d = 50 and 100 confirmed. It was set before they ran, for an
SNR of 10. It is *not* kept by the interpolator of the widest model at an SNR of 1, where the noise counts: pilots are
14 %, 7 % and 3 % above the limit at d = 50, 100 and 200. The part of the features that is quadratic in x lives in d^2 /
2 dimensions, of which n samples fill a share of 2 psi2 / d. That this is finite size is a claim of its own, made after
these pilots. Its control had weights in half of the dimensions at first, which left the ratio at 0.67, next to the
margin: a wrong limit adds what does not shrink, and half of the dimensions add too little. It has a fifth of them now.

Choices for cost: 10 seeds, 20 at first; the control of the second descent has n = 700, 1,800 at first.

Seeds are independent inputs and weights.
"""

from math import log

from lemmata.studies import _mei_montanari_2022_figures as figures
from lemmata.studies._mei_montanari_2022_features import RandomFeatures, measure
from lemmata.studies._theory_curve import near_theory
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, ordering, ratio, shape, trend

study = Study(
    "mei-montanari-2022",
    paper=Paper(
        key="mei2022",
        title="The generalization error of random features regression: "
        "precise asymptotics and the double descent curve",
        authors=("Song Mei", "Andrea Montanari"),
        year=2022,
        venue="Communications on Pure and Applied Mathematics",
        arxiv="1908.05355",
    ),
    topic="double descent",
    question="What is the risk of random-features regression, exactly, and at which width is it least?",
    notes="$psi_1 = N / d$, $psi_2 = n / d$; features $sigma(chevron.l theta_i, x chevron.r slash sqrt(d))$ with "
    "$theta_i$ and $x$ uniform on the sphere of radius $sqrt(d)$.",
)

UNDER = [30, 60, 100, 150, 200, 250]
OVER = [350, 400, 500, 700, 1000, 1500]
ALL = [*UNDER, 280, 300, 320, *OVER]
AWAY = [*UNDER, *OVER]
PLAIN = {"ridge": 0.0, "tuned": False, "snr": 10.0}
TUNED = {"tuned": True, "snr": 10.0}
SUBSPACE = "weights in half of the dimensions: not uniform on the sphere"
WITHIN_ERROR = near_theory(of="deviation", over="features", within="stated_error")

main = study.experiment(
    "features",
    config=RandomFeatures,
    sweep=[
        {"features": ALL},
        {"features": ALL, "tuned": [True]},
        {"features": AWAY, "ridge": [0.1]},
        {"features": [1500], "ridge": [0.003, 0.01, 0.03, 0.1, 0.3], "snr": [1.0, 100.0]},
        {"features": [1500], "snr": [1.0, 100.0]},
    ],
    seeds={"smoke": 3, "laptop": 10, "paper": 50},
    scales={"smoke": {"d": 40, "n": 120, "features": [40, 80, 120, 160, 400]}, "paper": {}},
    vectorised=("seed", "ridge", "tuned", "snr"),
)
main.trial(measure)
main.figure(figures.risk_curves)
main.figure(figures.ridges)

for name, words, settings, levels in (
    ("ridgeless", "without a ridge", PLAIN, AWAY),
    ("ridge", "with a ridge of 0.1", {**PLAIN, "ridge": 0.1}, AWAY),
    ("tuned", "with the best ridge, at N = n as elsewhere", TUNED, ALL),
):
    main.claim(
        f"{words} the risk is that of the formula, at every width",
        name=f"limit-{name}",
        where="main theorem: asymptotic risk of random-features ridge regression",
        kind=WITHIN_ERROR,
        select={**settings, "features": levels},
        note="largest relative deviation over psi1 = 0.3 to 15; margin: 3 / (n - df2) + 3 / d, 4 % to 10 %",
    ).control(SUBSPACE, subspace=0.5)
main.claim(
    "without a ridge the risk peaks where there are as many features as samples, at more than twice both sides",
    name="peak",
    where="main theorem and its figures: psi1 = psi2",
    kind=shape.peak(of="log_risk", over="features", height=log(2)),
    select={**PLAIN, "features": ALL},
    paper=300,
    quoted="N = n",
    margin=20,
    note="margin: the spacing of the sweep",
).control("the best ridge", tuned=True).control("half the samples move it", moves="the peak", to=150, n=150)
main.claim(
    "at a high signal-to-noise ratio the risk is least for the widest model, below the best with N < n",
    name="widest-is-best",
    where="discussion of the formula: optimum at psi1 -> infinity",
    kind=ordering(of="risk", over="features", order=(1500, 1000, 700, 100, 30)),
    select={**PLAIN, "features": [1500, 1000, 700, 100, 30]},
    note="of all N < n the limit is least at 127, 0.705; it is 0.722 at 100 and 0.121 at 1,500",
).control("more noise than signal: SNR 1/5", snr=0.2)
main.claim(
    "beyond the peak the risk only falls",
    name="second-descent",
    where="main theorem and its figures: psi1 > psi2",
    kind=trend(of="risk", over="features", at_least=0.99, falling=True),
    select={**PLAIN, "features": OVER},
).control("700 samples: the peak is among these widths", n=700)
main.claim(
    "with the best ridge there is no peak: more features only help",
    name="tuned-monotone",
    where="discussion of the formula: optimally regularised risk",
    kind=trend(of="risk", over="features", at_least=0.99, falling=True),
    select={**TUNED, "features": ALL},
).control("no ridge", tuned=False)
main.claim(
    "with little noise the best ridge of a wide model is none: to interpolate is optimal",
    name="interpolation-optimal",
    where="discussion of the formula: optimal regularisation at a high signal-to-noise ratio",
    kind=exact(of="over_interpolator", at_least=1.0),
    select={"features": 1500, "ridge": [0.003, 0.01, 0.03, 0.1, 0.3], "tuned": False, "snr": 100.0},
    note="risk with a ridge over that of the interpolator of the same sample, psi1 = 15, in every run",
).control("as much noise as signal", snr=1.0)

# ---- the distance from the limit -------------------------------------------------------------------------------------

dimension = study.experiment(
    "dimension",
    config=RandomFeatures,
    sweep=[{"d": [d], "n": [3 * d], "features": [15 * d], "snr": [1.0]} for d in (50, 100)],
    seeds={"smoke": 3, "laptop": 10, "paper": 20},
    vectorised=("seed",),
)
dimension.trial(measure)
dimension.claim(
    "where the limit is not met within the stated error, its distance halves as the dimension doubles",
    name="finite-size",
    where="theory of the limit (ours): corrections of order 1 / d",
    kind=ratio(of="deviation", over="d", between=(50, 100)),
    paper=0.5,
    quoted="of order 1 / d",
    margin=0.15,
    note="psi1 = 15, psi2 = 3, no ridge, SNR 1: relative deviation at d = 100 over that at d = 50",
).control("weights in a fifth of the dimensions: another limit", subspace=0.2)
