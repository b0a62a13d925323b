"""Early stopping and double descent in time (Heckel & Yilmaz, 2021): two scales, two minima, and the step sizes.

Question. The risk of a model can fall, rise and fall again while it is trained. Is that a superposition of
bias-variance trade-offs, made at different times by parts that are learned at different speeds, and can step sizes
chosen part by part remove it and lower the best risk on the way?

Linear regression. x ~ N(0, diag(s^2)), t = <x, theta> + z, z ~ N(0, noise^2); half of the d features have s = 1 and
signal sum s_i^2 theta_i^2 = 0.2025, the other half s = 0.15 and the same signal. Gradient descent from zero with step
size eta = 0.1 on n examples; the risk is sum_i s_i^2 (w_i - theta_i)^2, known without a test set. By Theorem 1 it is
nearly

    R(k) = sum_i s_i^2 theta_i^2 (1 - eta_i s_i^2)^{2k} + (noise^2 / n) sum_i (1 - (1 - eta_i s_i^2)^k)^2,

which for noise^2 d / n = 0.2 is the curve of Figure 2, whatever d is. Figure 2 is drawn from the formula, with d = 2
and n = 10. Here gradient descent is run with d = 100, n = 2,000, one run a seed, as one would see it; for the numbers
with d = 10, n = 500, each seed the mean of 250 draws; and with the figure's own d = 2, n = 10, the mean of 1,000 draws.
The formula leaves out what is of relative order d / n, so that 2 d / n is the margin for its numbers. Beside it, the
figures draw the expectation with its 1/n term (`lemmata.regression.early_stopping_finite_n`). Step sizes in proportion
to 1 / s_i^2 put both minima at one step, and leave one.

Two-layer network. The authors' notebook: 100 examples of t = <x, beta> without noise, d = 50, scales 1 to 4, 250 ReLU
units, sum of squares, mean absolute test error on 100 examples; all initial weights and data come from one seed, which
is taken from the notebook (12) and continued (13, 14, ...). The published curves are recomputed to six digits, and with
them what they leave out: the training loss. The double descent is therefore claimed twice, without and with the *guard*
that the training loss must not rise, which full-batch descent at a stable step obeys. The stability number
(`lemmata.regression.two_layer_descent`) says why it rises: it passes 1.

Seeds are independent draws of design, noise and weights. Everything is float64.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._heckel_2021_linear import MATCHED, TURNS, Linear, run_linear
from lemmata.studies._heckel_2021_two_layer import (
    PUBLISHED_SAME,
    PUBLISHED_STEP,
    SLOW_STEP,
    TwoLayerConfig,
    run_two_layer,
)
from lemmata.study import Curve, Paper, Study
from lemmata.study.kinds import difference, exact, ratio, shape, value

study = Study(
    "heckel-2021",
    paper=Paper(
        key="heckel2021",
        title="Early stopping in deep networks: double descent and how to eliminate it",
        authors=("Reinhard Heckel", "Fatih Furkan Yilmaz"),
        year=2021,
        venue="International Conference on Learning Representations",
        arxiv="2007.10099",
        entry="inproceedings",
    ),
    topic="double descent",
    question="Is epoch-wise double descent a superposition of bias-variance trade-offs, which step sizes eliminate?",
    notes="Theorem 1: the excess risk of iterate $k$ is nearly $R(k) = sum_i s_i^2 theta_i^2 (1 - eta_i s_i^2)^(2 k) + "
    "sigma^2 / n sum_i (1 - (1 - eta_i s_i^2)^k)^2$, one bias-variance trade-off for each feature $i$. "
    "Deep networks (CIFAR-10, Figures 1 and 4 of the paper) have a study of their own: heckel-2021-deep.",
)

# ---- linear regression -----------------------------------------------------------------------------------------------

BUMP = 0.0049  # half the height of the peak of Theorem 1's curve above its first minimum, 0.2694 - 0.2596
NUMBERS = {"features": 10, "n": 500}
SINGLE_RUNS = {"features": 100, "n": 2000}
OWN = {"features": 2, "n": 10}

linear = study.experiment(
    "linear",
    config=Linear,
    sweep=[
        {"slow_step": [1.0, MATCHED]},
        {"features": [10], "n": [500], "draws": [250], "steps": [600], "slow_step": [1.0, MATCHED]},
        {"features": [2], "n": [10], "draws": [1000], "steps": [1500], "slow_step": [1.0, MATCHED]},
    ],
    seeds={"smoke": 5, "laptop": 20, "paper": 200},
    vectorised=("seed",),
    block=20,
)


linear.trial(run_linear)

linear.claim(
    "the closed form of the iterates given the data is what gradient descent does",
    name="identity",
    where="section 2 (equation for the iterates)",
    kind=exact(of="identity", at_most=1e-10),
    note="largest |measured - closed form| over all steps, relative to the largest risk; 1e-10 is rounding",
)
for turn, number in (("first_minimum", 0.2596), ("peak", 0.2694), ("second_minimum", 0.1669)):
    linear.claim(
        f"Theorem 1 gives the risk at the {turn.replace('_', ' ')}, step {TURNS[turn]}",
        name=f"theorem-1-{turn.replace('_', '-')}",
        where="Theorem 1, Fig. 2 (left)",
        kind=value(of=f"risk_at_{turn}"),
        select={**NUMBERS, "slow_step": 1.0},
        paper=number,
        quoted=f"{number} (the published notebook's formula)",
        margin=round(0.04 * number, 4),
        note="margin: 2 d / n = 4 %, the order of what Theorem 1 leaves out",
    ).control("a quarter of the noise", noise_risk=0.0125)
descent = linear.claim(
    "features of two scales make the risk fall, rise and fall again, while the training loss falls",
    name="double-descent",
    where="section 2, Fig. 2 (left)",
    kind=shape.double_descent(of="risk", height=BUMP, guard="train_loss", locate="peak"),
    select={**SINGLE_RUNS, "slow_step": 1.0},
    paper=30,
    quoted="peak at step 30",
    margin=6,
    note="height: half of the formula's bump; margin of the location: a tenth of a decade on the figure's log axis",
)
descent.control("equal scales", slow_scale=1.0)
descent.control("a quarter of the noise", noise_risk=0.0125)
descent.control("the slow half five times slower", moves="the peak", to=45, slow_step=0.2, steps=12_000)
linear.claim(
    "the second minimum is the best stopping time, at step 491",
    name="second-minimum",
    where="section 2, Fig. 2 (left)",
    kind=value(of="log10_best_step"),
    select={**SINGLE_RUNS, "slow_step": 1.0},
    paper=2.691,
    quoted="step 491: log10 = 2.691",
    margin=0.1,
    note="log10 of the step of least risk; margin: a tenth of a decade on the figure's log axis",
).control("the slow half five times slower", moves="log10 of the best step", to=3.391, slow_step=0.2, steps=12_000)
linear.claim(
    "each half of the features by itself makes one bias-variance trade-off",
    name="superposition",
    where="section 2 (the risk is a sum of bias-variance trade-offs)",
    kind=value(of="bump_of_halves"),
    select={**SINGLE_RUNS, "slow_step": 1.0},
    within=(0.0, 0.01),
    note="the larger bump of the two halves' risks; margin: d / n times the risk after many steps, the order of what "
    "couples the halves",
).control("a tenth of the examples, which couples the halves", n=200)
linear.claim(
    "step sizes in proportion to 1 / s_i^2 leave one minimum",
    name="elimination",
    where="section 2, Fig. 2 (right)",
    kind=shape.single_descent(of="risk", height=BUMP, guard="train_loss"),
    select={**SINGLE_RUNS, "slow_step": MATCHED},
).control("one step size for all", slow_step=1.0)
linear.claim(
    "and lower the best risk on the way",
    name="elimination-best-risk",
    where="section 2, Fig. 2 (right)",
    kind=value(of="best_risk"),
    select={**NUMBERS, "slow_step": MATCHED},
    paper=0.1340,
    margin=0.0054,
    quoted="0.1340 (the published notebook's formula)",
    note="margin: 2 d / n = 4 %",
).control("five times the step: one minimum, but late", slow_step=5.0).control("one step size for all", slow_step=1.0)
linear.claim(
    "which is a fifth less than with one step size",
    name="improvement",
    where="section 2, Fig. 2",
    kind=ratio(of="best_risk", over="slow_step", between=(1.0, MATCHED)),
    select=NUMBERS,
    paper=0.803,
    quoted="0.1340 / 0.1669 = 0.803",
    margin=0.032,
    note="margin: 2 d / n = 4 %",
).control("a quarter of the noise", noise_risk=0.0125)
linear.claim(
    "Figure 2's own d = 2, n = 10 descends twice, on average over draws",
    name="own-setting-double-descent",
    where="Fig. 2 (left)",
    kind=shape.double_descent(of="risk", height=BUMP, guard="train_loss"),
    select={**OWN, "slow_step": 1.0},
).control("equal scales", slow_scale=1.0)
linear.claim(
    "Theorem 1 gives the best risk of Figure 2's own d = 2, n = 10",
    name="own-setting-best-risk",
    where="Theorem 1, Fig. 2 (left)",
    kind=value(of="best_risk"),
    select={**OWN, "slow_step": 1.0},
    paper=0.1669,
    quoted="0.1669 (the published notebook's formula)",
    margin=0.0334,
    note="margin: d / n = 20 %. The theorem is for n much larger than d; with the 1/n term it would be 0.205",
)

linear.claim(
    "with its 1/n term, the formula gives the risk of Figure 2's own d = 2, n = 10",
    name="own-setting-finite-n",
    where="extends Theorem 1 (ours)",
    kind=value(of="off_expected"),
    select={**OWN, "slow_step": 1.0},
    within=(-0.04, 0.04),
    note="mean relative deviation at the three turning points, where Theorem 1 is 14 % off; margin: (d / n)^2",
).control("three examples, where the next term matters", n=3)

# ---- two-layer network -----------------------------------------------------------------------------------------------

STABLE_STEP, NEAR_STEP = 2e-5, 6e-5  # a quarter and three quarters of the published step

two_layer = study.experiment(
    "two-layer",
    config=TwoLayerConfig,
    sweep=[
        {},
        {"step_first": [STABLE_STEP], "step_second": [STABLE_STEP], "steps": [1500]},
        {"network": [1]},
        {"network": [1], "step_first": [SLOW_STEP], "steps": [1000]},
    ],
    seeds={"smoke": 3, "laptop": 10, "paper": 20},
    scales={"paper": {"steps": 50_000}},
    vectorised=("seed",),
    block=10,
)


two_layer.trial(run_two_layer)

PUBLISHED_RUN = {"step_first": PUBLISHED_STEP, "step_second": PUBLISHED_STEP, "network": 2}
STABLE = {"step_first": STABLE_STEP, "step_second": STABLE_STEP, "steps": 1500}
NEAR = {"step_first": NEAR_STEP, "step_second": NEAR_STEP, "steps": 700}

for label, chosen in (("same", PUBLISHED_RUN), ("scaled", {"step_first": SLOW_STEP, "network": 1})):
    two_layer.claim(
        f"the published risk, {label} step sizes, is recomputed from its seed",
        name=f"published-{label}",
        where="Fig. 3; results/two_layer_nn/w1_v1_lr80",
        kind=exact(of="off_published", at_most=2e-6),
        select={**chosen, "seed": 0},
        note="largest relative deviation; the published run is float32, ours float64, and the numbers have 6 digits",
    ).control("the next seed", seed=1)
two_layer.claim(
    "with one step size for both layers the risk descends twice",
    name="two-layer-bump",
    where="Fig. 3 (same step size)",
    kind=exact(of="bump", at_least=0.05),
    select=PUBLISHED_RUN,
    note="in every run; 0.05 is 1 % of the final risk",
).control("a quarter of the step", **STABLE).control("three quarters of the step", **NEAR)
two_layer.claim(
    "that double descent is a superposition of bias-variance trade-offs: it comes while the training loss falls",
    name="two-layer-guarded",
    where="section 3, Fig. 3 (same step size)",
    kind=shape.double_descent(of="risk", height=0.05, guard="train_loss"),
    select=PUBLISHED_RUN,
    note="the guard: full-batch descent at a stable step never raises the training loss",
).control("a quarter of the step", **STABLE)
two_layer.claim(
    "at the published step the training loss rises to twice its lowest value so far, or more",
    name="two-layer-loss-rises",
    where="audit of Fig. 3 (ours)",
    kind=exact(of="loss_rise", at_least=2.0),
    select=PUBLISHED_RUN,
    note="largest training loss in units of its running minimum, in every run; 10 and more in the published one",
).control("a quarter of the step", **STABLE).control("three quarters of the step", **NEAR)
two_layer.claim(
    "because the step is unstable: the stability number passes 1",
    name="two-layer-instability",
    where="audit of Fig. 3 (ours)",
    kind=exact(of="largest_stability", at_least=1.0),
    select=PUBLISHED_RUN,
).control("a quarter of the step", **STABLE).control("three quarters of the step", **NEAR)
two_layer.claim(
    "at a quarter of the published step, for both layers, the risk has one minimum in every run",
    name="two-layer-stable",
    where="audit of Fig. 3 (ours)",
    kind=shape.single_descent(of="risk", height=0.05, guard="train_loss"),
    select={"step_first": STABLE_STEP, "step_second": STABLE_STEP},
).control("the published step", step_first=PUBLISHED_STEP, step_second=PUBLISHED_STEP, steps=500)
two_layer.claim(
    "a smaller step size for the first layer leaves one minimum",
    name="two-layer-elimination",
    where="Fig. 3 (scaled step size)",
    kind=shape.single_descent(of="risk", height=0.05, guard="train_loss"),
    select={"step_first": SLOW_STEP},
    note="so does any stable step",
).control("the published common step", step_first=PUBLISHED_STEP, steps=500)
two_layer.claim(
    "and lowers the best risk, for the same initial weights",
    name="two-layer-improvement",
    where="Fig. 3 (5.899 with one step size, 5.826 scaled)",
    kind=difference(of="best_risk", over="step_first", between=(PUBLISHED_STEP, SLOW_STEP)),
    select={"network": 1},
    paper=-0.073,
    quoted="5.826 - 5.899 = -0.073",
    within=(-math.inf, 0.0),
    note="the two published curves start from different initial weights: the notebook draws anew for each",
)

# ---- figures ---------------------------------------------------------------------------------------------------------

STEP = Axis(label="steps of gradient descent", log=True)
TITLES = {1.0: "one step size", MATCHED: "step sizes proportional to 1 / s²"}


def _rows(table: Any, **fields: Any) -> Any:
    for name, wanted in fields.items():
        table = table[np.isclose(table[name].astype(float), wanted)]
    return table


def _theory(config: Linear, *names: str) -> list[Series]:
    labels = {
        "theorem": "Theorem 1",
        "fast": "Theorem 1, fast half",
        "slow": "Theorem 1, slow half",
        "expected": "with the 1/n term",
    }
    curves = config.theory()
    return [Series(label=labels[name], x=config.marks, y=curves[name], role="theory") for name in names]


def _linear_panel(
    table: Any, title: str, theory: Sequence[str], fields: Mapping[str, Any], references: Sequence[Reference] = ()
) -> Panel:
    config = Linear.build(fields)
    rows = _rows(table, **{name: number for name, number in config.flat().items() if name != "seed"})
    measured = [Series.over_seeds("risk of the iterate", rows, y="risk")] if len(rows) else []
    return Panel(
        x=STEP,
        y=Axis(label="excess risk"),
        series=[*measured, *_theory(config, *theory)],
        references=references,
        title=title,
    )


@linear.figure
def superposition(table) -> Figure:
    """Risk against steps with one step size and with matched ones, and the two trade-offs it is made of."""
    refs = [Reference(label="0.1669", value=0.1669), Reference(label="step 491", value=491, axis="x")]
    best = [Reference(label="0.1340", value=0.1340)]
    panels = [
        _linear_panel(table, TITLES[factor], ("theorem", "fast", "slow"), {"slow_step": factor}, references)
        for factor, references in ((1.0, refs), (MATCHED, best))
    ]
    return Figure(
        name="superposition",
        title="Two bias-variance trade-offs, one risk",
        caption="Gradient descent with d = 100, n = 2,000: every seed one run, mean and 95 % band; Theorem 1 dashed, "
        "the sum of two halves. Matched step sizes bring both minima to one step and lower the best risk.",
        panels=panels,
    )


@linear.figure
def controls(table) -> Figure:
    """The settings in which the double descent must vanish or move."""
    settings = {
        "equal scales": {"slow_scale": 1.0},
        "a quarter of the noise": {"noise_risk": 0.0125},
        "slow half five times slower": {"slow_step": 0.2, "steps": 12_000},
    }
    panels = [_linear_panel(table, title, ("theorem",), fields) for title, fields in settings.items()]
    return Figure(
        name="controls",
        title="Where it must vanish, and where it must move",
        caption="One minimum with equal scales and with little noise; with the slow half slowed down the second "
        "minimum moves from step 491 to 2,459.",
        panels=panels,
    )


@linear.figure
def small_samples(table) -> Figure:
    """Theorem 1, its 1/n term, and the mean over draws, at two values of d / n."""
    theory = ("theorem", "expected")
    panels = [
        _linear_panel(table, "d / n = 0.02 (10 / 500)", theory, {**NUMBERS, "draws": 250, "steps": 600}),
        _linear_panel(table, "d / n = 0.2 (2 / 10, as in Figure 2)", theory, {**OWN, "draws": 1000, "steps": 1500}),
    ]
    return Figure(
        name="small-samples",
        title="What Theorem 1 leaves out",
        caption="Mean over draws, with 95 % band over seeds. The double descent is there at n = 10 too, higher and "
        "later than Theorem 1 says; most of the difference is its 1/n term.",
        panels=panels,
    )


RUNS = {
    "published step, 8e-5": {"step_first": PUBLISHED_STEP, "network": 2},
    "a quarter of it": {"step_first": STABLE_STEP, "network": 2},
    "1e-6 for the first layer": {"step_first": SLOW_STEP, "network": 1},
}


@two_layer.figure
def audit(table: Any) -> Figure:
    """Risk, training loss and stability number of the published run, at its step and at a quarter of it."""
    published = Series(
        label="published", x=list(PUBLISHED_SAME), y=list(PUBLISHED_SAME.values()), role="paper", style="points"
    )
    runs = {label: _rows(table, seed=0, **RUNS[label]) for label in list(RUNS)[:2]}
    axes = {
        "risk": Axis(label="mean absolute test error"),
        "train_loss": Axis(label="sum of squares", log=True, limits=(1e-2, 1e5)),
        "stability": Axis(label="largest eigenvalue of K"),
    }
    panels = [
        Panel(
            x=Axis(label=STEP.label, log=True, limits=(1, 500)),
            y=axis,
            series=[Series.over_seeds(label, rows, y=name) for label, rows in runs.items() if len(rows)]
            + ([published] if name == "risk" else []),
            references=[Reference(label="unstable above", value=1.0, role="theory")] if name == "stability" else [],
            title={"risk": "risk", "train_loss": "training loss", "stability": "stability number"}[name],
        )
        for name, axis in axes.items()
    ]
    return Figure(
        name="audit",
        title="The published double descent of the two-layer network is an instability",
        caption="The published run, recomputed, and the same network at a quarter of the step. Where the stability "
        "number passes 1, training loss and risk rise together, and settle again. At a quarter of it nothing rises.",
        panels=panels,
    )


@two_layer.figure
def replications(table: Any) -> Figure:
    """Risk in units of its last value, every seed, for the three choices of step sizes."""
    panels = []
    for label, fields in RUNS.items():
        rows = _rows(table, **fields)
        rows = rows.assign(relative=[Curve(curve.x, curve.y / curve.y[-1]) for curve in rows["risk"]])
        series = [Series.over_seeds("risk / last risk", rows, y="relative")] if len(rows) else []
        panels.append(Panel(x=STEP, y=Axis(label="risk / last risk", limits=(0.8, 3.0)), series=series, title=label))
    return Figure(
        name="replications",
        title="The bump is there in every seed at the published step, and in none at a stable one",
        caption="Every seed draws data and initial weights anew; mean and 95 % band.",
        panels=panels,
    )
