"""The figures of the study of Soudry and others (2018)."""

from dataclasses import replace

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series

LOG_T = Axis(label="log(1 + t)", log=True)
CONTROLS = [
    ("polynomial tail", {"loss": "polynomial", "law": "separable"}),
    ("squared loss", {"loss": "squared", "law": "separable"}),
    ("classes overlap", {"loss": "logistic", "law": "overlapping"}),
]


def rates(table) -> Figure:
    """Norm over log t, angle and gap to the largest margin against log t, with their limits, and the controls."""
    own = _rows(table, d=5, scale=1.0, loss="logistic", law="separable")
    s = own.norm.iloc[0].x
    per_log = own.assign(norm_over_log=[_divided(curve) for curve in own.norm])
    slope = [Series.over_seeds("logistic loss", per_log, y="norm_over_log")]
    angle = [Series.over_seeds("logistic loss", own, y="angle")]
    gap = [_positive(Series.over_seeds("logistic loss", own, y="margin_gap"))]
    late = s >= 10
    theory = Series.over_seeds("|P rho| × margin / log t, mean", own, y="predicted_angle", role="theory")
    angle.append(Series(label=theory.label, x=s[late], y=theory.y[late], role="theory"))
    through_end = gap[0].y[-1] * s[-1] / s[late]
    gap.append(Series(label="1 / log t, through the end", x=s[late], y=through_end, role="theory"))
    for label, fields in CONTROLS:
        rows = _rows(table, d=5, scale=1.0, **fields)
        if len(rows):
            angle.append(Series.over_seeds(label, rows, y="angle", role="control"))
            gap.append(_positive(Series.over_seeds(label, rows, y="margin_gap", role="control")))
            if fields["loss"] != "polynomial":
                rows = rows.assign(norm_over_log=[_divided(curve) for curve in rows.norm])
                slope.append(Series.over_seeds(label, rows, y="norm_over_log", role="control"))
    limit = Reference(label="theorem: 1 / margin", value=1.0, role="theory")
    return Figure(
        name="rates",
        title="The limits of descent on separable data, and how late they are",
        caption="Gradient flow in logarithmic time, to t = 10^434 at laptop scale. Left: |w| × margin / log t, which "
        "the theorem sends to 1; a polynomial tail sends it to infinity (not drawn). Middle and right: angle and "
        "relative gap to the largest margin fall as 1 / log t, the angle on the line that the dual variables give; the "
        "controls stay where they are. Each thin line is a data set. 100,000 steps end near log t = 8.",
        panels=[
            Panel(x=LOG_T, y=Axis(label="|w| × margin / log t", limits=(0, 1.5)), series=slope, references=[limit]),
            Panel(x=LOG_T, y=Axis(label="angle to the largest margin", unit="degrees", log=True), series=_bare(angle)),
            Panel(x=LOG_T, y=Axis(label="1 − margin / largest margin", log=True), series=_bare(gap)),
        ],
    )


def residuals(table) -> Figure:
    """The scaled loss against log t, and each measured constant over its closed form."""
    own = _rows(table, d=5, scale=1.0, loss="logistic", law="separable")
    scaled = own.assign(scaled=[type(curve)(curve.x, np.exp(np.minimum(curve.y, 50))) for curve in own.scaled_loss])
    series = [Series.over_seeds("logistic loss", scaled, y="scaled")]
    names = ("norm_slope", "loss_constant", "gap_constant", "angle_constant")
    labels = ("slope of |w|", "t × loss", "gap of the margin", "angle")
    off = np.array([np.abs(own[name].to_numpy(dtype=float) - 1).clip(1e-16) for name in names])
    points = Series(
        label="measured, mean over data sets", x=np.arange(4.0), y=np.nanmean(off, 1), seeds=off.T, style="points"
    )
    one = Reference(label="theory", value=1.0, role="theory")
    return Figure(
        name="residuals",
        title="Constants as well as rates",
        caption="Left: t × loss × margin², which goes to 1. Right: relative deviation of each constant from what the "
        "dual variables give, at the end; corrections of order 1 / log t are left in the gap and in nothing else.",
        panels=[
            Panel(x=LOG_T, y=Axis(label="t × loss × margin²", limits=(0, 1.3)), series=series, references=[one]),
            Panel(
                x=Axis(label="", ticks=labels),
                y=Axis(label="relative deviation from theory", log=True),
                series=[points],
            ),
        ],
    )


def validation(table) -> Figure:
    """Validation loss and error against log t."""
    own = _rows(table, d=20, scale=1.0, loss="logistic", law="separable")
    loss = Series.over_seeds("logistic loss", own, y="validation_loss")
    s, y = np.asarray(loss.x), np.asarray(loss.y)
    late = s >= s[-1] / 2
    line = y[-1] + float(own.validation_rate.mean()) * (s[late] - s[-1])
    theory = Series(label="slope: mean of (−z · ŵ)₊", x=s[late], y=line, role="theory")
    return Figure(
        name="validation",
        title="The validation loss grows without end",
        caption="Logistic loss and error on 2,000 fresh examples, 20 dimensions. The loss grows by the mean of "
        "(−z · ŵ)₊ for each unit of log t: the machine's errors, grown with the weights. The error does not follow.",
        panels=[
            Panel(x=Axis(label="log(1 + t)"), y=Axis(label="validation loss"), series=[loss, theory]),
            Panel(x=LOG_T, y=Axis(label="validation error"), series=[
                Series.over_seeds("logistic loss", own, y="validation_error")]),
        ],
    )  # fmt: skip


def steps(table) -> Figure:
    """The norm against the number of steps, beside the flow's; angles by rule, in five and in twenty dimensions."""
    own = table[(table.law == "separable") & (table.epsilon < 1e-6)]
    few, wide = own[own.d == 5], own[own.d == 20]
    plain = few[few.rule == "descent"]
    plain = plain[plain.steps == plain.steps.max()]
    norm = [
        Series.over_seeds("descent", plain, y="norm"),
        replace(_bare([Series.over_seeds("flow", plain, y="norm_of_flow", role="theory")])[0], seeds=None),
    ]
    k, y = np.asarray(norm[0].x), np.asarray(norm[0].y)
    k = k[k >= 0.01 * k[-1]]
    line = y[-1] + np.log(k / k[-1])
    norm.append(Series(label="slope 1 / margin", x=k, y=line, role="theory"))
    axis = Axis(label="steps", log=True)
    panels = [Panel(x=axis, y=Axis(label="|w| × margin"), series=norm, title="5 dimensions, 60 examples")]
    for rows, title in ((few, "5 dimensions, 60 examples"), (wide, "20 dimensions, 10 examples")):
        series = [
            Series.over_seeds(rule, part[part.steps == part.steps.max()], y="angle")
            for rule, part in rows.groupby("rule", sort=False)
        ]
        label = Axis(label="angle to the largest margin", unit="degrees", log=True)
        panels.append(Panel(x=axis, y=label, series=_bare(series), title=title))
    return Figure(
        name="steps",
        title="What 100,000 steps show",
        caption="Left: descent is on the flow's curve, and short of the theorem's slope. Middle and right: normalised "
        "descent is faster; Adam goes elsewhere where the support vectors leave a choice (right).",
        panels=panels,
    )


def _rows(table, **fields):
    for name, wanted in fields.items():
        table = table[table[name] == wanted]
    return table


def _divided(curve):
    return type(curve)(curve.x, curve.y / np.maximum(curve.x, 1e-9))


def _positive(series: Series) -> Series:
    """Without what a logarithmic axis cannot show: a gap of 1 and more, where the weights still err."""
    return replace(series, y=np.maximum(series.y, 1e-6))


def _bare(series: list[Series]) -> list[Series]:
    """Without the intervals of means, which on a logarithmic axis reach below zero; the thin lines show all."""
    return [replace(one, low=None, high=None) for one in series]
