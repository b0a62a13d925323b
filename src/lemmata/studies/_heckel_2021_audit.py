"""The two-layer network of `heckel_2021`: its experiment and its claims, among them an audit of the published figure.

The published curves are recomputed, and with them the training loss that the figure leaves out. A double descent in
time is claimed twice: as published, and with the guard that full-batch descent at a stable step never raises the loss.
What the smaller step size for the first layer does to the risk is measured from the same weights, with the slower run
at its end: the last half of its steps must not have mattered.
"""

import math

from lemmata.studies import _heckel_2021_figures as figures
from lemmata.studies._heckel_2021_two_layer import (
    PUBLISHED_STEP,
    SLOW_STEP,
    SMALL_FIRST,
    STABLE_STEP,
    TwoLayerConfig,
    run_two_layer,
)
from lemmata.study import Study
from lemmata.study.experiment import Experiment
from lemmata.study.kinds import difference, exact, shape

NEAR_STEP = 6e-5  # three quarters of the published step
PUBLISHED_RUN = {"step_first": PUBLISHED_STEP, "step_second": PUBLISHED_STEP, "network": 2, "first_scale": 1.0}
STABLE = {"step_first": STABLE_STEP, "step_second": STABLE_STEP, "steps": 1500}
NEAR = {"step_first": NEAR_STEP, "step_second": NEAR_STEP, "steps": 700}
SLOW_RUN = {"step_first": SLOW_STEP, "network": 1}
SMALL_RUN = {**PUBLISHED_RUN, "first_scale": SMALL_FIRST}
HEIGHT = 0.05  # 1 % of the final risk


def declare(study: Study) -> None:
    """Add the experiment "two-layer" to the study, with its claims and figures."""
    two_layer = study.experiment(
        "two-layer",
        config=TwoLayerConfig,
        sweep=[
            {},
            {"step_first": [STABLE_STEP], "step_second": [STABLE_STEP], "steps": [1500]},
            {"network": [1]},
            {"network": [1], "step_first": [SLOW_STEP], "steps": [1000]},
            {"first_scale": [SMALL_FIRST]},
        ],
        seeds={"smoke": 3, "laptop": 10, "paper": 20},
        scales={"paper": {"steps": 50_000}},
        vectorised=("seed",),
        block=10,
    )
    two_layer.trial(run_two_layer)
    two_layer.figure(figures.audit)
    two_layer.figure(figures.replications)
    _recomputed(two_layer)
    _audited(two_layer)
    _eliminated(two_layer)


def _recomputed(two_layer: Experiment) -> None:
    for name, label, chosen, folder in (
        ("same", "same step sizes", PUBLISHED_RUN, "w1_v1_lr80"),
        ("scaled", "scaled step sizes", SLOW_RUN, "w1_v1_lr80"),
        ("small-first", "same step sizes and a small first layer", SMALL_RUN, "w001_v1_lr80"),
    ):
        two_layer.claim(
            f"the published risk, {label}, is recomputed from its seed",
            name=f"published-{name}",
            where=f"Fig. 3; results/two_layer_nn/{folder}",
            kind=exact(of="off_published", at_most=2e-6),
            select={**chosen, "seed": 0},
            note="largest relative deviation; the published run is float32, ours float64; 6 digits are given",
        ).control("the next seed", seed=1)


def _audited(two_layer: Experiment) -> None:
    two_layer.claim(
        "with one step size for both layers the risk descends twice",
        name="two-layer-bump",
        where="Fig. 3 (same step size)",
        kind=exact(of="bump", at_least=HEIGHT),
        select=PUBLISHED_RUN,
        note="in every run; 0.05 is 1 % of the final risk",
    ).control("a quarter of the step", **STABLE).control("three quarters of the step", **NEAR)
    two_layer.claim(
        "that double descent is a superposition of bias-variance trade-offs: it comes while the training loss falls",
        name="two-layer-guarded",
        where="Fig. 3 (same step size)",
        kind=shape.double_descent(of="risk", height=HEIGHT, guard="train_loss"),
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
        kind=shape.single_descent(of="risk", height=HEIGHT, guard="train_loss"),
        select={"step_first": STABLE_STEP, "step_second": STABLE_STEP},
    ).control("the published step", step_first=PUBLISHED_STEP, step_second=PUBLISHED_STEP, steps=500)


def _eliminated(two_layer: Experiment) -> None:
    two_layer.claim(
        "a smaller step size for the first layer leaves one minimum",
        name="two-layer-elimination",
        where="Fig. 3 (scaled step size)",
        kind=shape.single_descent(of="risk", height=HEIGHT, guard="train_loss"),
        select={"step_first": SLOW_STEP},
        note="so does any stable step",
    ).control("the published common step", step_first=PUBLISHED_STEP, steps=500)
    two_layer.claim(
        "from the same initial weights, the smaller step size lowers the best risk too",
        name="two-layer-improvement",
        where="audit of Fig. 3 (ours)",
        kind=difference(of="best_risk", over="step_first", between=(PUBLISHED_STEP, SLOW_STEP)),
        select={"network": 1},
        within=(-math.inf, 0.0),
        note="Figure 3 claims elimination; its two curves, which end at 5.899 and 5.826, start from different weights",
    ).control("stopped after 50 steps, before the slow first layer has learned", steps=50)
    two_layer.claim(
        "the slow run is not stopped too early: the last half of its steps lowers its best risk by less than 1 %",
        name="two-layer-slow-settled",
        where="audit of Fig. 3 (ours)",
        kind=exact(of="gained_late", at_most=HEIGHT),
        select=SLOW_RUN,
        note="in every run; 0.05 is 1 % of the final risk",
    ).control("stopped after 50 steps", steps=50)
    two_layer.claim(
        "a first layer that starts at a hundredth makes one step size for both layers stable, and the bump is gone",
        name="two-layer-small-first",
        where="Fig. 3 (the panel of a small first layer)",
        kind=shape.single_descent(of="risk", height=HEIGHT, guard="train_loss"),
        select=SMALL_RUN,
    ).control("the weights of the other panel", first_scale=1.0)
