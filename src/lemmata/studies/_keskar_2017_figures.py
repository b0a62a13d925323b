"""The figures of the study of Keskar et al. (2017)."""

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Reference, Series, mean_and_band

MEASURES = {
    "box": "box, 1e-3",
    "half_box": "box, 5e-4",
    "subspace": "subspace",
    "ball": "ball (SAM)",
    "average": "noise",
    "eigenvalue": "eigenvalue",
    "filters": "filters*",
    "adaptive": "adaptive*",
}
WITH_AND_WITHOUT = ((True, "with batch normalisation"), (False, "without"))


def sharpness_by_measure(table) -> Figure:
    """By how much the solution of large batches is sharper, by what sharpness means."""
    own = _solutions(table)
    order = np.arange(len(MEASURES), dtype=float)
    series = []
    for norm, label in WITH_AND_WITHOUT:
        rows = own[own.norm == norm].sort_values("seed")
        if len(rows):
            values = 10 ** rows[[f"log_{name}_ratio" for name in MEASURES]].to_numpy(dtype=float)
            mean, low, high = (10**part for part in mean_and_band(np.log10(values)))
            series.append(Series(label=label, x=order, y=mean, low=low, high=high, seeds=values, style="points"))
    paper = Series(
        label="the paper, F1 (Tables 3 and 4)",
        x=[0.0, 1.0, 2.0],
        y=[205.14 / 1.23, 42.90 / 0.61, 9.22 / 0.11],
        role="paper",
        style="points",
    )
    smallest = Series(
        label="its smallest ratio (C3, C3, C4): the margins",
        x=[0.0, 1.0, 2.0],
        y=[258.75 / 29.85, 105.11 / 8.56, 72.99 / 6.05],
        role="theory",
        style="points",
    )
    panel = Panel(
        x=Axis(label="sharpness", ticks=tuple(MEASURES.values()), limits=(-0.5, len(MEASURES) - 0.5)),
        y=Axis(label="large batches / small ones", log=True),
        series=[*series, paper, smallest],
        references=[Reference(label="equally sharp", value=1.0, role="theory")],
    )
    return Figure(
        name="sharpness-by-measure",
        title="How much sharper, by what sharpness is",
        caption="Ratio of the sharpness of the two solutions, geometric mean over seeds with its 95 % interval. "
        "Measures with a star do not change when the weights before a normalisation are rescaled. The margins of the "
        "claims are the smallest ratios of the paper's six networks.",
        panels=[panel],
    )


def lines(table) -> Figure:
    """Figure 3: training loss and error along the line through both solutions."""
    own = _solutions(table)
    ends = [
        Reference(label=f"{size} batches, at {at:g}", value=at, axis="x", role="theory")
        for at, size in ((0.0, "small"), (1.0, "large"))
    ]
    x = Axis(label="position on the line")
    loss = [_geometric(words, own[own.norm == norm]["line"]) for norm, words in _there(own)]
    error = [Series.over_seeds(words, own[own.norm == norm], y="line_error") for norm, words in _there(own)]
    panels = [
        Panel(x=x, y=Axis(label="training loss", log=True), series=loss, references=ends),
        Panel(x=x, y=Axis(label="share of training digits misclassified"), series=error, references=ends),
    ]
    return Figure(
        name="lines",
        title="The line through both minima",
        caption="Training loss (left) and training error from one distance before the solution of small batches to "
        "one beyond that of large ones (Figure 3). Every seed, their mean (of the loss the geometric one) and its 95 % "
        "interval.",
        panels=panels,
    )


def test_error(table) -> Figure:
    """Figure 2: test error while both are trained."""
    own = _solutions(table)
    panels = []
    for norm, words in _there(own):
        rows = own[own.norm == norm]
        series = [
            Series.over_seeds(f"{size} batches", rows, y=f"test_error_curve_{size}") for size in ("small", "large")
        ]
        x, y = Axis(label="epoch", log=True), Axis(label="test error", log=True)
        panels.append(Panel(x=x, y=y, series=series, title=words))
    return Figure(
        name="test-error",
        title="Test error while both are trained",
        caption="Error on test digits after each epoch. A network stops when its training loss is below 0.005, and "
        "keeps its error.",
        panels=panels,
    )


def _solutions(table):
    """The pairs as they were trained: no controls, nothing shrunk."""
    return table[~table.control & (table.shrink == 1.0)]


def _there(own) -> list[tuple[bool, str]]:
    return [(norm, words) for norm, words in WITH_AND_WITHOUT if (own.norm == norm).any()] or list(WITH_AND_WITHOUT)


def _geometric(label: str, curves) -> Series:
    """Positive curves on common points: geometric mean, its interval, every seed."""
    if not len(curves):
        raise InvalidInput(f"{label}: no curves are recorded")
    values = np.stack([curve.y for curve in curves])
    mean, low, high = (np.exp(part) for part in mean_and_band(np.log(values)))
    return Series(label=label, x=curves.iloc[0].x, y=mean, low=low, high=high, seeds=values)
