"""Numerical methods for deep learning, part 1: linear models (Lars Ruthotto's short course and lectures).

Question. Before anything is deep: what do the linear least-squares and softmax problems under every network's last
layer teach about iterating, stopping, regularising and choosing how much? The lectures state it as theorems, formulas
and demonstrations; there is no paper and no table, so a claim here is a statement of the lectures (where it is a known
theorem, its authors are named with it), and the margins are those of the theory, or said to be ours.

Ill-posed problems. Discretised integral equations with known solutions (`lemmata.phantoms.ill_posed`), 128 points, 1 %
of white noise. *Semiconvergence*: the error of CGLS falls and then rises by a factor of two or more, in every run,
while its residual only falls; without noise it only falls. Followed for 40 steps, and for 12 where the singular values
reach rounding after 20 (gravity, shaw); gradients are reorthogonalised, as in exact arithmetic. "As good as" and "near
the best" mean within 10 % everywhere: one reading, chosen before anything ran. The rules for the parameter are judged
by what their theory is about: GCV by the predictive error |A(x - x_true)|, the discrepancy principle by |x - x_true|;
each seed is the median of 25 draws, as the theory is about convergence in probability.

Rates. A'A with Chebyshev-distributed eigenvalues of condition number kappa, followed to a relative error of 1e-6 in
energy.

Classification. 1,000 digits of mnist-5k, pooled to 14 x 14.

What pilot runs decided: the problems for GCV are those on which its best solution spends ten degrees of freedom or more
(the theory's condition; foxgood, with three, is a control); controls are left out where they could not tell: on the
signal with jumps (blur) the error is so flat in the parameter that twice the noise costs 11 % only, and noise that is
correlated costs GCV nothing. The random weights of the convexity test are of size 1. The iterations have 200 draws,
since 20 and 100 left one claim open: stopped by the discrepancy principle, CGLS on the heat equation loses 13 %, since
it stops one or two steps before the best one, where a step still changes much.
Seeds are independent draws of noise, starts or splits. Everything is float64.
"""

import math

from lemmata.studies import _ruthotto_linear_figures as figures
from lemmata.studies._ruthotto_linear_choice import Choice, Spread, choose, spread
from lemmata.studies._ruthotto_linear_classification import Fit, Loss, fit, shape_of_loss
from lemmata.studies._ruthotto_linear_iterations import Iteration
from lemmata.studies._ruthotto_linear_iterations import run as iterate
from lemmata.studies._ruthotto_linear_rates import Convergence
from lemmata.studies._ruthotto_linear_rates import run as converge
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, ordering, ratio, scaling, trend, value

study = Study(
    "ruthotto-linear",
    paper=Paper(
        key="ruthotto2019",
        title="Numerical methods for deep learning: linear models (lecture notes and short course)",
        authors=("Lars Ruthotto",),
        year=2019,
        venue="Scuola Normale Superiore, Pisa, and Emory University",
        entry="misc",
    ),
    topic="numerical methods",
    question="What do linear models teach about iterating, stopping early, regularising, and choosing how much?",
    notes="The source is lectures, without tables: claims are their statements, margins the theory's, or ours where it "
    "is said. For white noise of variance $sigma^2$ and $A_lambda = A^T A + lambda I$, "
    "$E |x_lambda - x|^2 = lambda^2 |A_lambda^(-1) x|^2 + sigma^2 tr(A A_lambda^(-2) A^T)$.",
)

NEAR = 1.1  # "as good as", "near": within 10 %

# ---- early stopping --------------------------------------------------------------------------------------------------

iterations = study.experiment(
    "iterations",
    config=Iteration,
    sweep=[{"problem": ["heat", "phillips", "deriv2"]}, {"problem": ["gravity", "shaw"], "iterations": [12]}],
    seeds={"smoke": 5, "laptop": 200, "paper": 400},
    vectorised=("seed",),
    block=100,
)
iterations.trial(iterate)
iterations.figure(figures.semiconvergence)
iterations.figure(figures.stopping)

iterations.claim(
    "on noisy data the error of CGLS rises again after its least value",
    name="error-rises",
    where="linear least squares: early stopping as iterative regularisation",
    kind=exact(of="rise", at_least=2.0),
    note="error after the last step over the least error, five problems, every run; the factor of two is ours",
).control("data without noise", noise=0.0)
iterations.claim(
    "before that it falls",
    name="error-falls",
    where="linear least squares: early stopping as iterative regularisation",
    kind=exact(of="fall", at_least=2.0),
    note="error of x = 0 over the least error",
).control("nothing but noise", noise=100.0)
iterations.claim(
    "and the residual only falls, so that it does not tell when to stop",
    name="residual-falls",
    where="linear least squares: early stopping (Hestenes and Stiefel, 1952)",
    kind=exact(of="residual_rises", at_most=0),
    note="steps at which |b - Ax| rose by more than rounding, in every run",
).control("a slip in the method: the weight of the old direction is wrong", method="wrong weight", iterations=8)
for name in ("heat", "phillips", "deriv2"):
    iterations.claim(
        f"stopped in time, CGLS is as good as Tikhonov regularisation with its best parameter: {name}",
        name=f"as-good-as-tikhonov-{name}",
        where="linear least squares: early stopping against Tikhonov",
        kind=value(of="over_tikhonov"),
        select={"problem": name},
        within=(-math.inf, NEAR),
        note="least error of 40 steps over the least of 200 Tikhonov solutions; 10 % is ours",
    ).control("Landweber with as many steps", method="landweber")
for name in ("heat", "phillips"):
    iterations.claim(
        f"stopped by the discrepancy principle it is near its best: {name}",
        name=f"stopped-near-best-{name}",
        where="references of the lectures: Hanke (1995); the order is a theorem, 10 % is ours",
        kind=value(of="stopped_over_best"),
        select={"problem": name},
        within=(-math.inf, NEAR),
        note="the rule is told the true norm of the noise",
    ).control("told twice the noise", stated=2.0).control("told half the noise", stated=0.5)

# ---- rates -----------------------------------------------------------------------------------------------------------

CONDITIONS = [10.0, 30.0, 100.0, 300.0, 1000.0]
rates = study.experiment(
    "rates",
    config=Convergence,
    sweep={"method": ["cgls", "steepest-descent"], "condition": CONDITIONS},
    seeds={"smoke": 3, "laptop": 5, "paper": 20},
    scales={"smoke": {"n": 300, "condition": [10.0, 30.0, 100.0]}},
    vectorised=("seed",),
)
rates.trial(converge)
rates.figure(figures.rates)

for method, name, rate, exponent in (
    ("cgls", "CGLS", "(sqrt(kappa) - 1)/(sqrt(kappa) + 1)", 0.5),
    ("steepest-descent", "steepest descent", "(kappa - 1)/(kappa + 1)", 1.0),
):
    other = "steepest-descent" if method == "cgls" else "cgls"
    rates.claim(
        f"{name} converges at {rate} a step or faster",
        name=f"bound-{method}",
        where="linear least squares: steepest descent, CGLS",
        kind=exact(of="over_bound", at_most=1 + 1e-9),
        select={"method": method},
        note="largest error in energy over the proven bound, over all steps, five condition numbers, every start",
    ).control("the bound of half the condition number", stated=0.5)
    rates.claim(
        f"its steps grow like kappa^{exponent:g}",
        name=f"exponent-{method}",
        where="linear least squares: steepest descent, CGLS",
        kind=scaling(of="steps", over="condition"),
        select={"method": method},
        paper=exponent,
        quoted=f"{exponent:g}: log of the rate for large kappa",
        margin=0.1,
        note="steps to a relative error of 1e-6; margin ours, a fifth of the distance between the two methods",
    ).control("the other method moves it", moves="the exponent", to=1.5 - exponent, method=other)

# ---- the choice of the parameter -------------------------------------------------------------------------------------

NOISES = [0.1, 0.03, 0.01, 0.003, 0.001]
choices = study.experiment(
    "choice",
    config=Choice,
    sweep=[
        {"problem": ["heat", "phillips", "deriv2", "blur", "foxgood"], "rule": ["gcv", "unbiased risk", "discrepancy"]},
        {"problem": ["heat", "phillips", "deriv2", "blur"], "rule": ["l-curve"]},
        {"problem": ["phillips"], "rule": ["l-curve", "discrepancy"], "noise": NOISES},
    ],
    seeds={"smoke": 4, "laptop": 8, "paper": 40},
    scales={"smoke": {"draws": 9}},
    vectorised=("seed",),
)
choices.trial(choose)
choices.figure(figures.path)
choices.figure(figures.choices)
choices.figure(figures.corner)

ONE = {"noise": 0.01}
for name in ("heat", "phillips", "deriv2", "blur"):
    predicts = choices.claim(
        f"GCV predicts nearly as well as the best parameter: {name}",
        name=f"gcv-{name}",
        where="Golub, Heath and Wahba (1979); Li (1986): the ratio tends to 1",
        kind=value(of="prediction"),
        select={"problem": name, "rule": "gcv", **ONE},
        within=(-math.inf, NEAR),
        note="predictive error over the least on the path, median of a batch of draws; 10 % is ours",
    )
    predicts.control("a problem that spends three degrees of freedom", problem="foxgood")
    if name != "blur":
        predicts.control("correlated noise", correlation=0.5)
    told = choices.claim(
        f"told the norm of the noise, the discrepancy principle is near the best solution: {name}",
        name=f"discrepancy-{name}",
        where="regularisation: the choice of the parameter; Morozov (1966)",
        kind=value(of="solution"),
        select={"problem": name, "rule": "discrepancy", **ONE},
        within=(-math.inf, NEAR),
        note="error of the solution over the least on the path, median of a batch of draws; 10 % is ours",
    )
    if name != "blur":
        told.control("told twice the noise", stated=2.0)
    told.control("told half the noise", stated=0.5)

choices.claim(
    "the L-curve's corner is near the best parameter: a solution that is not smooth (deriv2)",
    name="l-curve-deriv2",
    where="linear least squares: the L-curve",
    kind=value(of="solution"),
    select={"problem": "deriv2", "rule": "l-curve", **ONE},
    within=(-math.inf, NEAR),
).control("a smooth solution (phillips)", problem="phillips")
choices.claim(
    "for a smooth solution the corner falls behind as the noise falls",
    name="l-curve-falls-behind",
    where="Hanke (1996), Vogel (1996)",
    kind=trend(of="solution", over="noise", falling=True),
    select={"problem": "phillips", "rule": "l-curve", "noise": NOISES},
).control("the discrepancy principle does not", rule="discrepancy")

# ---- bias and variance -----------------------------------------------------------------------------------------------

spreads = study.experiment(
    "bias-variance",
    config=Spread,
    sweep={"multiple": [0.1, 1.0, 10.0]},
    seeds={"smoke": 5, "laptop": 10, "paper": 50},
    vectorised=("seed",),
)
spreads.trial(spread)
spreads.figure(figures.bias_and_variance)

for multiple, words in (
    (0.1, "a tenth of the best parameter"),
    (1.0, "the best parameter"),
    (10.0, "ten times the best"),
):
    formula = spreads.claim(
        f"the formula of bias and variance gives the mean squared error: {words}",
        name=f"bias-variance-{multiple:g}".replace(".", "-"),
        where="linear least squares: bias-variance decomposition",
        kind=value(of="off"),
        select={"multiple": multiple},
        paper=0.0,
        quoted="exact",
        margin=0.02,
        note="mean of 2,000 simulated squared errors over the formula, less 1; margin: the simulation's resolution",
    )
    if multiple < 10:
        formula.control("correlated noise, for which it does not hold", correlation=0.5)
    formula.control("one part of it alone", formula="bias" if multiple < 1 else "variance")

# ---- classification --------------------------------------------------------------------------------------------------

losses = study.experiment(
    "loss",
    config=Loss,
    seeds={"smoke": 3, "laptop": 5, "paper": 20},
    scales={"smoke": {"n": 200, "chords": 50}},
    vectorised=("seed",),
    data="mnist-5k",
)
losses.trial(shape_of_loss)

losses.claim(
    "softmax with cross-entropy is convex in the weights",
    name="convex",
    where="linear classification: convexity",
    kind=exact(of="above_chord", at_most=1e-12),
    note="largest rise above 200 chords between random weights, at three points of each, relative to the larger end",
).control("half the squared distance of the probabilities", loss="squared probabilities")
losses.claim(
    "with the largest score taken off, it does not overflow",
    name="no-overflow",
    where="linear classification: numerically stable softmax",
    kind=exact(of="finite", at_least=1),
    note="scores as large as 1,000, beyond exp's range in float64 (709.8)",
).control("without the shift", shift=False)
losses.claim(
    "and it keeps its digits",
    name="shift-exact",
    where="linear classification: numerically stable softmax",
    kind=exact(of="off", at_most=1e-12),
    note="relative to PyTorch's cross-entropy",
).control("without the shift", shift=False)

fits = study.experiment(
    "classifiers",
    config=Fit,
    sweep=[
        {"model": ["softmax"], "method": ["newton-cg", "steepest-descent"]},
        {"model": ["least squares"]},
    ],
    seeds={"smoke": 5, "laptop": 10, "paper": 20},
    scales={"smoke": {"n": 300}},
    vectorised=("seed",),
    data="mnist-5k",
)
fits.trial(fit)
fits.figure(figures.classifiers)

fits.claim(
    "Newton-CG needs a fraction of the gradients of steepest descent",
    name="newton-cg",
    where="linear classification: Newton-CG against steepest descent",
    kind=ratio(of="cost", over="method", between=("newton-cg", "steepest-descent")),
    select={"model": "softmax"},
    within=(3.0, math.inf),
    note="cost in gradients, products with the Hessian included, to a gradient of norm 1e-3; a factor of three is ours",
).control("a ridge so large that the problem is well-conditioned", ridge=10.0, intercept=False)
fits.claim(
    "cross-entropy classifies better than least squares",
    name="softmax-better",
    where="linear classification: squared loss against cross-entropy",
    kind=ordering(of="test_error", over="model", order=("softmax", "least squares"), gap=0.01),
    select={"method": "newton-cg"},
    note="test error by at least a percentage point; least squares with its ridge by GCV, softmax with 0.01",
).control("random labels", labels="random")
