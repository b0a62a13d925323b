"""The figures of the study of Frankle and Carbin (2019)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series, mean_and_band

LABELS = {"magnitude": "winning ticket", "random": "random mask", "reinitialised": "new weights, ticket's mask"}
SHARES = {"100": "100 %", "51": "51.3 %", "21": "21.1 %", "11": "10.8 %", "4": "3.6 %"}
LEFT = Axis(label="share of the weights left", unit="%", log=True)
DENSE, IMP, RANDOM = (10.7, 98.0, 0.2), (10.7, 98.3, 0.1), (10.7, 97.5, 0.3)


def ticket_curves(table) -> Figure:
    """Test accuracy and early stopping against sparsity, for tickets, random masks and new weights."""
    mnist = bool((table.source == "mnist").any())
    panels = []
    for label, name, factor in (
        ("test accuracy at the end", "accuracy", 100.0), ("test accuracy at early stopping", "early_accuracy", 100.0),
        ("step of the least validation loss", "stopping_step", 1.0),
    ):  # fmt: skip
        shown = [kind for kind in LABELS if (table.kind == kind).any()]
        series = [_by_level(table[table.kind == kind], name, kind, factor) for kind in shown]
        references = []
        if name != "stopping_step" and mnist:
            series += [_paper("paper: ticket", IMP), _paper("paper: random", RANDOM)]
            references = [Reference(label="paper: dense", value=98.0)]
        unit = "%" if factor == 100 else ""
        panels.append(Panel(x=LEFT, y=Axis(label=label, unit=unit), series=series, references=references))
    n = int(table.n.max())
    return Figure(
        name=f"tickets_{'mnist' if mnist else 'digits'}",
        title="The initial weights that pruning leaves learn better than others",
        caption=f"LeNet-300-100 on {n:,} images, {int(table.epochs.max())} epochs, from the same initial weights but "
        "for `new weights`. Every seed, mean, and 95 % interval"
        + ("." if not mnist else "; the paper's numbers and their ± at 10.7 %, after 50,000 steps."),
        panels=panels,
    )


def learning(table) -> Figure:
    """Test accuracy while tickets and random masks are trained, for each sparsity."""
    panels = []
    for kind in ("magnitude", "random"):
        rows = table[table.kind == kind]
        series = []
        for name, shown in SHARES.items():
            column = f"learning_{name}"
            if column in rows and any(hasattr(curve, "x") for curve in rows[column]):
                series.append(_learning_curve(shown, rows, column))
        if series:
            panels.append(
                Panel(
                    x=Axis(label="step", log=True), y=Axis(label="test accuracy", unit="%"), series=series,
                    title=LABELS[kind],
                )
            )  # fmt: skip
    mnist = bool((table.source == "mnist").any())
    return Figure(
        name=f"learning_{'mnist' if mnist else 'digits'}",
        title="Tickets learn faster than random masks of their sparsity",
        caption="Test accuracy by step for each share of the weights; means and 95 % intervals over seeds.",
        panels=panels,
    )


def _learning_curve(label: str, rows, column: str) -> Series:
    """Accuracies in %, from the first measurement after the start on."""
    curves = [curve for curve in rows[column] if hasattr(curve, "x")]
    later = curves[0].x > 0
    mean, low, high = mean_and_band(100 * np.array([curve.y[later] for curve in curves]))
    return Series(label=label, x=curves[0].x[later], y=mean, low=low, high=high)


def _by_level(rows, name: str, kind: str, factor: float) -> Series:
    curves = [curve for curve in rows[name] if hasattr(curve, "x")]
    values = factor * np.array([curve.y for curve in curves])
    mean, low, high = mean_and_band(values)
    role = "measured" if kind == "magnitude" else "control"
    return Series(label=LABELS[kind], x=curves[0].x, y=mean, low=low, high=high, seeds=values, role=role)


def _paper(label: str, point: tuple[float, float, float]) -> Series:
    x, y, spread = point
    return Series(
        label=label, x=[x], y=[y], low=np.array([y - spread]), high=np.array([y + spread]), role="paper", style="points"
    )
