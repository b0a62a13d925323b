"""The figures of the study of Lee et al. (2019)."""

import numpy as np
import pandas as pd

from lemmata.figures import Axis, Figure, Panel, Reference, Series

PANELS = {
    "gap": "largest RMSE to the linearisation",
    "kernel_change": "relative change of the tangent kernel",
    "relative_distance": "relative change of the parameters",
}


def against_width(table: pd.DataFrame) -> Figure:
    """Gap, change of the kernel and of the parameters against width, in both parameterisations, and the rate."""
    plain = table[(table.momentum == 0) & (table.step_size < 1)]
    return _against_width(
        plain, "width", "As the width grows, the network becomes its linearisation",
        "Every seed, the mean and its 95 % interval; dashed, the rate of the theorem from the narrowest network on. "
        "Scaled by 1/√width, with a step size times width, the network learns features and keeps away.",
    )  # fmt: skip


def with_momentum(table: pd.DataFrame) -> Figure:
    """The same with heavy-ball momentum."""
    return _against_width(
        table[table.momentum > 0], "momentum", "So it is with momentum",
        "As without it: every seed, the mean and its 95 % interval, and the theorem's rate.",
    )  # fmt: skip


def during_training(table: pd.DataFrame) -> Figure:
    """The gap at every time of training, for every width."""
    own = table[~table.control & (table.momentum == 0) & (table.status == "ok")]
    series = [Series.over_seeds(f"width {width}", rows, y="gaps") for width, rows in own.groupby("width")]
    paper = Reference(label="authors' library, other data, width 512: 0.05 at the end", value=0.05)
    panel = Panel(
        x=Axis(label="step", log=True), y=Axis(label="RMSE to the linearisation", log=True), series=_positive(series),
        references=[paper],
    )  # fmt: skip
    caption = "Root mean squared distance of a network's outputs from its linearisation's, on test examples."
    return Figure(name="during", title="The two part slowly, and stay near", caption=caption, panels=[panel])


def ensembles(table: pd.DataFrame) -> Figure:
    """Mean and deviation of the ensembles against the closed form."""
    own = table[~table.control]
    panels = []
    for name, label in (("mean", "mean on the first test example"), ("deviation", "deviation over networks")):
        series = [
            Series.over_seeds("networks", own, y=name),
            Series.over_seeds("closed form", own, y=f"predicted_{name}", role="theory"),
        ]
        panels.append(Panel(x=Axis(label="step", log=True), y=Axis(label=label), series=series))
    caption = (
        "Each line is an ensemble of independent starts; the closed form is that of infinite width (the deviation is "
        "the root of the mean variance over test examples)."
    )
    return Figure(name="ensembles", title="An ensemble follows its closed form", caption=caption, panels=panels)


def _against_width(table: pd.DataFrame, name: str, title: str, caption: str) -> Figure:
    panels = []
    for column, label in PANELS.items():
        series = []
        for parameterisation, role in (("ntk", "measured"), ("mean-field", "control")):
            rows = table[(table.parameterisation == parameterisation) & np.isfinite(table[column])]
            if len(rows):
                words = "NTK parameterisation" if role == "measured" else "learns features (control)"
                series.append(Series.over_seeds(words, rows, x="width", y=column, role=role))
        series = _positive(series)
        widths = np.asarray(series[0].x)
        bound = np.asarray(series[0].y)[0] * (widths / widths[0]) ** -0.5
        series.append(Series(label="1/√width", x=widths, y=bound, role="theory"))
        panels.append(Panel(x=Axis(label="width", log=True), y=Axis(label=label, log=True), series=series))
    return Figure(name=name, title=title, caption=caption, panels=panels)


def _positive(series: list[Series]) -> list[Series]:
    """Bands that can be drawn on a logarithmic axis: not below a tenth of the mean."""
    return [
        Series(label=s.label, x=s.x, y=s.y, seeds=s.seeds, role=s.role, high=s.high,
               low=None if s.low is None else np.fmax(s.low, 0.1 * np.asarray(s.y)))
        for s in series
    ]  # fmt: skip
