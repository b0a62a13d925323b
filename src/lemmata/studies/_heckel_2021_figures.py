"""The figures of `heckel_2021`: risk against steps with its theory, and the audit of the two-layer network."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._heckel_2021_linear import MATCHED, NUMBERS, OWN, Linear
from lemmata.studies._heckel_2021_two_layer import (
    PUBLISHED_SAME,
    PUBLISHED_STEP,
    SLOW_STEP,
    SMALL_FIRST,
    STABLE_STEP,
)
from lemmata.study import Curve

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
    "published step, 8e-5": {"step_first": PUBLISHED_STEP, "network": 2, "first_scale": 1.0},
    "a quarter of it": {"step_first": STABLE_STEP, "network": 2},
    "1e-6 for the first layer": {"step_first": SLOW_STEP, "network": 1},
    "8e-5, small first layer": {"step_first": PUBLISHED_STEP, "network": 2, "first_scale": SMALL_FIRST},
}


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


def replications(table: Any) -> Figure:
    """Risk in units of its last value, every seed, for three choices of step sizes and a small first layer."""
    panels = []
    for label, fields in RUNS.items():
        rows = _rows(table, **fields)
        rows = rows[rows["steps"] == rows["steps"].max()]  # a control stops early
        rows = rows.assign(relative=[Curve(curve.x, curve.y / curve.y[-1]) for curve in rows["risk"]])
        series = [Series.over_seeds("risk / last risk", rows, y="relative")] if len(rows) else []
        panels.append(Panel(x=STEP, y=Axis(label="risk / last risk", limits=(0.8, 3.0)), series=series, title=label))
    return Figure(
        name="replications",
        title="The bump is there in every seed at the published step, and in none at a stable one",
        caption="Every seed draws data and initial weights anew; mean and 95 % band.",
        panels=panels,
    )
