"""The figures of the study of Chizat et al. (2019)."""

import numpy as np
import pandas as pd

from lemmata.figures import Axis, Figure, Panel, Series

SCALE = Axis(label="scale α", log=True)


def against_scale(table: pd.DataFrame) -> Figure:
    """How far parameters and outputs go from where linear training stays, against the scale."""
    scaled = table[table.scaled]
    relu, smooth = scaled[scaled.activation == "relu"], scaled[scaled.activation == "gelu"]
    zero, other = smooth[smooth.start != "plain"], smooth[smooth.start == "plain"]
    widths = sorted(zero.width.unique(), reverse=True)
    lines = {f"{width} units": zero[zero.width == width] for width in widths}
    controls = {"start not at zero (control)": other[other.width == widths[0]], "ReLU (control)": relu}
    panels = []
    for column, label in (
        ("relative_distance", "relative change of the parameters"),
        ("gap", "RMSE to the linearisation"),
    ):
        series = [Series.over_seeds(words, rows, x="scale", y=column) for words, rows in lines.items()]
        series += [
            Series.over_seeds(words, rows, x="scale", y=column, role="control")
            for words, rows in controls.items()
            if len(rows)
        ]
        series = _positive(series)
        scales = np.asarray(series[0].x)
        line = np.asarray(series[0].y)[0] * scales[0] / scales
        series.append(Series(label="1/α", x=scales, y=line, role="theory"))
        panels.append(Panel(x=SCALE, y=Axis(label=label, log=True), series=series))
    return Figure(
        name="lazy", title="A large scale makes training lazy, at any width",
        caption="Two-layer networks whose output is multiplied by α and the loss divided by α². Every seed, the mean "
        "and its 95 % interval; dashed, 1/α.",
        panels=panels,
    )  # fmt: skip


def generalisation(table: pd.DataFrame) -> Figure:
    """Test loss, and flips of activations, against the scale."""
    own = table[~table.control]
    linear = table[table.student == "linearised"]
    losses = [Series.over_seeds("network", own, x="scale", y="test_loss")]
    if len(linear):
        losses.append(Series.over_seeds("its linearisation", linear, x="scale", y="test_loss", role="control"))
    moved = [
        Series.over_seeds("units that changed sides", own, x="scale", y="flips"),
        Series.over_seeds("relative change of the parameters", own, x="scale", y="relative_distance"),
    ]
    return Figure(
        name="generalisation", title="The lazy student learns less of its teacher",
        caption="A student of ReLU units taught by three. Left: test loss at the end of training; the linearisation's "
        "does not depend on α. Right: how far training went. Every seed, the mean and its 95 % interval.",
        panels=[
            Panel(x=SCALE, y=Axis(label="test loss, mean squared error"), series=losses),
            Panel(x=SCALE, y=Axis(label="share", log=True), series=_positive(moved)),
        ],
    )  # fmt: skip


def _positive(series: list[Series]) -> list[Series]:
    """Bands that can be drawn on a logarithmic axis: not below a tenth of the mean."""
    return [
        Series(label=s.label, x=s.x, y=s.y, seeds=s.seeds, role=s.role, high=s.high,
               low=None if s.low is None else np.fmax(s.low, 0.1 * np.asarray(s.y)))
        for s in series
    ]  # fmt: skip
