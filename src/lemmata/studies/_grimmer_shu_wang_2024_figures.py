"""The figures of the study of Grimmer, Shu and Wang (2024)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.studies._grimmer_shu_wang_2024_worst import BRANCH_AND_BOUND

NAMES = {
    "gap": "made for the gap", "gradient": "made for the gradient norm", "silver": "silver", "constant": "constant 1/L"
}  # fmt: skip


def worst_cases(table) -> Figure:
    """Worst gap and worst gradient norm of each schedule against its length."""
    own = table[(table["last"] == 1) & (table.stop == "at the end") & (table.status == "ok")]
    panels = []
    for of, label in (("gap", "worst objective gap [L D²]"), ("gradient", "worst |g|² [L (f₀ − f*)]")):
        rows = own[own.of == of]
        series = [_by_points(NAMES[str(name)], part, str(name)) for name, part in rows.groupby("schedule")]
        if len(rows):
            points = np.sort(rows.points.unique()).astype(float)
            start = rows[rows.schedule == of].worst.max() if (rows.schedule == of).any() else rows.worst.max()
            law = start * (points / points[0]) ** -np.log2(1 + 2**0.5)
            series.append(Series(label="slope −1.2716", x=points, y=law, role="paper"))
        panels.append(Panel(x=Axis(label="steps + 1", log=True), y=Axis(label=label, log=True), series=series))
    return Figure(
        name="worst-cases",
        title="Each schedule for its own measure, the other read backwards",
        caption="Exact worst cases by semidefinite programming, each proven in exact arithmetic. The same steps in "
        "reverse order, made for the other measure, hardly improve with their number.",
        panels=panels,
    )


def stopped(table) -> Figure:
    """Worst gap of schedules that are stopped beside their longest step."""
    own = table[(table["last"] == 1) & (table.of == "gap") & (table.status == "ok")]
    panels = []
    for schedule in ("gap", "silver"):
        rows = own[own.schedule == schedule]
        series = []
        for stop in ("at the end", "before the longest", "after the longest"):
            part = rows[rows.stop == stop]
            if len(part):
                series.append(_by_points(f"stopped {stop}", part, "gap"))
        lines = []
        if schedule == "silver":
            lines.append(Reference(label="(√2 − 1)²/2", value=(2**0.5 - 1) ** 2 / 2, role="theory"))
        if series:
            panels.append(
                Panel(x=Axis(label="steps + 1 of the whole", log=True), y=Axis(label="worst gap [L D²]", log=True),
                      series=series, references=lines, title=NAMES[schedule])
            )  # fmt: skip
    return Figure(
        name="stopped",
        title="No anytime schedules: one step too many undoes everything",
        caption="Exact worst case where the run is stopped just before its longest step, just after it, or at the end. "
        "After it, the worst case of silver steps is the same at every length, and that of the schedule made for the "
        "gap does not fall either.",
        panels=panels,
    )


def composed(table) -> Figure:
    """Worst case of composed schedules over that of the constant step, and branch and bound."""
    own = table[~table.control & (table.status == "ok")]
    series = []
    for name, rows in own.groupby("schedule"):
        one = rows.drop_duplicates("steps").sort_values("steps")
        role = "control" if name == "constant" else "measured"
        x, y = one.steps.to_numpy(dtype=float), one.worst.to_numpy(dtype=float)
        series.append(Series(label=str(name), x=x, y=y, role=role))
    lengths = np.array(sorted(BRANCH_AND_BOUND), dtype=float)
    published = np.array([BRANCH_AND_BOUND[int(n)] for n in lengths])
    series.append(Series(label="found by branch and bound", x=lengths, y=published, role="paper", style="points"))
    panel = Panel(x=Axis(label="steps", log=True), y=Axis(label="worst gap [L D²]", log=True), series=series)
    return Figure(
        name="composed",
        title="Composed schedules of any length",
        caption="The larger of the gaps on the Huber function with threshold 1/(2S + 1) and on the quadratic; for "
        "dominant schedules both are equal, and the exact worst case.",
        panels=[panel],
    )


def digits(table) -> Figure:
    """Gap and gradient norm on regressions of digits."""
    own = table[~table.control & (table.status == "ok") & (table.problem == "logistic")]
    panels = []
    for of, label in (("gap", "objective gap f − f*"), ("gradient", "squared gradient norm")):
        series = []
        for name, rows in own.groupby("method"):
            drawn = Series.over_seeds(str(name), rows, y=of, role="control" if name == "constant" else "measured")
            seeds = None if drawn.seeds is None else drawn.seeds[:, 1:]
            series.append(Series(label=str(name), x=drawn.x[1:], y=drawn.y[1:], seeds=seeds, role=drawn.role))
        panels.append(Panel(x=Axis(label="step", log=True), y=Axis(label=label, log=True), series=series))
    return Figure(
        name="digits",
        title="On logistic regression of digits both orders end alike, and momentum ahead",
        caption="1,000 digits, 14x14 pixels, ridge 1e-3; each thin line is a seed. On a quadratic the order of the "
        "steps does not matter at all; near its minimum a smooth function is nearly one.",
        panels=panels,
    )


def _by_points(label: str, rows, name: str) -> Series:
    rows = rows.drop_duplicates("points").sort_values("points")
    role = "control" if name in ("constant", "control") else "measured"
    return Series(label=label, x=rows.points.to_numpy(dtype=float), y=rows.worst.to_numpy(dtype=float), role=role)
