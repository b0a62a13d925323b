"""The figures of the studies of silver and of accelerated long steps: worst cases, functions, digits."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.studies._altschuler_parrilo_2023_worst import exact, theorem

STEPS = Axis(label="steps + 1", log=True)


def worst_cases(table) -> Figure:
    """Exact worst case against the number of steps, beside the theorem and the closed form."""
    own = table[(table.scale == 1) & (table.status == "ok")]
    names = {"silver": "silver", "constant": "constant", "shuffled": "silver, shuffled"}
    series = [_over(names[str(order)], rows, "worst", _role(order)) for order, rows in own.groupby("order")]
    points = np.sort(own.points.unique()).astype(float)
    series.append(Series(label="Theorem 1.1", x=points, y=np.array([theorem(int(p)) for p in points]), role="paper"))
    closed = np.array([exact(int(p)) for p in points])
    series.append(Series(label="1 / (2 (2 ρ^k − 1))", x=points, y=closed, role="theory"))
    gap = Axis(label="worst objective gap [L D²]", log=True)
    return Figure(
        name="worst-cases",
        title="Silver steps fall faster than 1/n, in their own order",
        caption="Exact worst case over all convex functions with L-Lipschitz gradient, by semidefinite programming; "
        "each is proven in exact arithmetic. Shuffled: every seed is a random order of the same steps.",
        panels=[Panel(x=STEPS, y=gap, series=series)],
    )


def functions(table) -> Figure:
    """What remains on the Huber function and on the quadratic."""
    own = table[~table.control & (table.status == "ok")]
    panels = []
    for function, title in (("huber", "Huber function, threshold 1/(2S + 1)"), ("quadratic", "quadratic")):
        rows = own[own.function == function]
        series = [_over(str(order), part, "gap", _role(order)) for order, part in rows.groupby("order")]
        points = np.sort(rows.points.unique()).astype(float)
        if len(points):
            bound = np.array([theorem(int(p)) for p in points])
            series.append(Series(label="Theorem 1.1", x=points, y=bound, role="paper"))
            panels.append(Panel(x=STEPS, y=Axis(label="gap [L D²]", log=True), series=series, title=title))
    return Figure(
        name="functions",
        title="The Huber function is the worst one, at every length",
        caption="Objective gap after the last step, from distance one. On the Huber function it is the exact worst "
        "case; on the quadratic, whose gap does not depend on the order of the steps, silver steps do better, and the "
        "constant step 1/L is done at once (not drawn).",
        panels=[_above(panel) for panel in panels],
    )


def digits(table) -> Figure:
    """Objective gap on regressions of digits, with the proven bounds where they are lowest so far."""
    own = table[~table.control & (table.status == "ok")]
    panels = []
    for problem, rows in own.groupby("problem"):
        series = [
            _from_one(Series.over_seeds(str(name), part, y="gap", role=_role(str(name))))
            for name, part in rows.groupby("method")
        ]
        bounded = rows[rows.method == "silver"]
        if len(bounded):
            curves = list(bounded.bound)
            bound = np.median([curve.y for curve in curves], axis=0)
            x, y = _lowest(curves[0].x, bound)
            series.append(Series(label="proven of silver steps", x=x, y=y, role="theory", style="points"))
        panels.append(
            Panel(x=Axis(label="step", log=True), y=Axis(label="objective gap f − f*", log=True), series=series,
                  title=str(problem))
        )  # fmt: skip
    return Figure(
        name="digits",
        title="On regressions of digits: between constant steps and momentum",
        caption="1,000 digits, 14x14 pixels, ridge 1e-3; each thin line is a seed (digits and start). What is proven "
        "of silver steps holds at every step; Nesterov's momentum is ahead of all steps without it.",
        panels=panels,
    )


def _over(label: str, rows, y: str, role) -> Series:
    """The geometric mean over seeds at each number of points."""
    grouped = rows.groupby("points")[y]
    points = np.array(sorted(grouped.groups), dtype=float)
    values = [grouped.get_group(p).to_numpy(dtype=float) for p in points]
    middle = np.array([np.exp(np.log(v).mean()) for v in values])
    if all(np.ptp(v) == 0 for v in values):
        return Series(label=label, x=points, y=middle, role=role)
    low, high = (np.array([end(v) for v in values]) for end in (np.min, np.max))
    style = "points" if len(points) == 1 else "line"
    return Series(label=f"{label} (range)", x=points, y=middle, low=low, high=high, role=role, style=style)


def _role(name: str):
    return "control" if name in ("constant", "shuffled") else "measured"


def _above(panel: Panel) -> Panel:
    """The panel without what fell below the range of the others."""
    kept = [s for s in panel.series if np.asarray(s.y).max() > 1e-200]
    return Panel(x=panel.x, y=panel.y, series=kept, title=panel.title)


def _from_one(series: Series) -> Series:
    """Without step 0, which a logarithmic axis cannot show, and without a band that would reach below zero."""
    seeds = None if series.seeds is None else series.seeds[:, 1:]
    return Series(label=series.label, x=series.x[1:], y=series.y[1:], seeds=seeds, role=series.role)


def _lowest(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a bound is lower than at any step before."""
    before = np.minimum.accumulate(np.concatenate([[np.inf], y[:-1]]))
    return x[y < before], y[y < before]
