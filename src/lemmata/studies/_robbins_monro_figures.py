"""The figures of `robbins_monro`: measured means with bands, and theory drawn in."""

from typing import Any

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series, mean_and_band
from lemmata.regression.stochastic import limit_gap
from lemmata.studies._robbins_monro_rates import Descent
from lemmata.studies._robbins_monro_samples import Samples, limit_gap_ratio

STEP = Axis(label="step k", log=True)


def rates(table: Any) -> Figure:
    """Squared distance for steps c / k on either side of the threshold, beside exact moments and powers of k."""
    rows = table[(table["power"] == 1) & (table["mu"] == 1) & ~table["average"] & (table["k0"] == 10)]
    rows = rows[(rows["iterations"] == rows["iterations"].max()) & (rows["c"] >= 0.1)]
    series = []
    for c in sorted(set(rows["c"])):
        mine = rows[rows["c"] == c]
        series.append(Series.over_seeds(f"c = {c:g} / mu", mine, y="distance", role=_role(mine)))
        config = _config(mine)
        series.append(_theory(f"exact mean, c = {c:g} / mu", config.marks, config.exact().distance))
    panel = Panel(x=STEP, y=Axis(label="E|θ - θ*|²", log=True), series=series)
    caption = (
        "Steps c / (k + 10) on a quadratic, means over seeds of 64 runs each with 95 % bands, and exact moments. Above "
        "c = 1 / (2 mu) the rate is 1 / k, below it k^(-2 c mu)."
    )
    return Figure(name="rates", title="The rate depends on c mu", caption=caption, panels=[panel])


def failures(table: Any) -> Figure:
    """Constant steps and their floors; steps with a finite sum, which stop short."""
    constant = table[(table["power"] == 0) & ~table["average"] & (table["mu"] == 1)]
    series, floors = [], []
    for c in sorted(set(constant["c"])):
        mine = constant[constant["c"] == c]
        series.append(Series.over_seeds(f"step {c:g}", mine, y="gap", role=_role(mine)))
        h = np.geomspace(1, 4, _config(mine).p)
        floors.append(Reference(label=f"floor of {c:g}", value=float((c / (2 * (2 - c * h))).sum()), role="theory"))
    short = table[(table["power"].isin([1.0, 2.0])) & (table["k0"] == 1) & (table["c"] == 1) & ~table["average"]]
    ways = []
    for power in sorted(set(short["power"])):
        mine = short[short["power"] == power]
        ways.append(Series.over_seeds(f"1 / (k + 1)^{power:g}", mine, y="distance", role=_role(mine)))
    panels = [
        Panel(x=STEP, y=Axis(label="f - f*", log=True), series=series, references=floors, title="constant steps"),
        Panel(
            x=STEP, y=Axis(label="E|θ - θ*|²", log=True), series=ways, title="steps with a finite sum",
            references=[Reference(label="exact limit", value=_limit_of_finite_sum(short), role="theory")],
        ),
    ]  # fmt: skip
    caption = "Left: a constant step stops at a floor in proportion to it. Right: steps with a finite sum stop short."
    return Figure(name="failures", title="What steps must not be", caption=caption, panels=panels)


def _limit_of_finite_sum(rows: Any) -> float:
    """The exact mean squared distance after the last of the steps 1 / (k + 1)^2."""
    return float(_config(rows[rows["power"] == 2]).exact().distance[-1])


def averaging(table: Any) -> Figure:
    """Gap times mu of averages and of last iterates of the same steps, beside the least possible limit."""
    rows = table[(table["power"] == 0.6) & (table["c"] == 1)]
    series = []
    for mu in sorted(set(rows["mu"])):
        for average, label in ((True, "average"), (False, "last iterate")):
            mine = rows[(rows["mu"] == mu) & (rows["average"] == average)]
            if len(mine):
                series.append(Series.over_seeds(f"{label}, mu = {mu:g}", mine, y="gap", role=_role(mine)))
    config = _config(rows)
    marks = np.asarray(config.marks, dtype=float)
    series.append(_theory("optimal", marks, config.mu * limit_gap(config.problem) / marks))
    panel = Panel(x=STEP, y=Axis(label="f - f*, times mu", log=True), series=[_times_mu(part) for part in series])
    caption = (
        "Steps (k + 110)^-0.6 for mu = 1, 2 and 4: averages come to the optimal line whatever mu is, iterates do not. "
        "The line is tr(H^-1 S) / (2 k), times mu."
    )
    return Figure(name="averaging", title="Averaging needs no knowledge of mu", caption=caption, panels=[panel])


def sample_by_sample(table: Any) -> Figure:
    """Gap against the number of samples, for averages, iterates and least squares on the same samples."""
    rows = table[~table["control"]]
    config = Samples(**{name: rows[name].iloc[0].item() for name in ("n", "p", "c", "power", "k0")})
    n = np.asarray(config.marks, dtype=float)
    names = {"averaged_gap": "average of iterates", "iterate_gap": "last iterate", "least_squares_gap": "least squares"}
    gaps = [Series.over_seeds(label, rows, y=name) for name, label in names.items()]
    exact = config.p / (2 * (n - config.p - 1))
    theory = [
        _theory("least squares, exact", n, exact),
        _theory("average, exact", n, config.exact().averaged_gap),
    ]
    relative = []
    for name, label in list(names.items())[:2]:
        ratios = [mine.y / base.y for mine, base in zip(rows[name], rows["least_squares_gap"], strict=True)]
        mean, low, high = mean_and_band(np.array(ratios))
        relative.append(Series(label=label, x=n, y=mean, low=low, high=high))
    lines = [
        Reference(label="1", value=1.0, role="theory"),
        Reference(label="limit of the last iterate", value=limit_gap_ratio(), role="theory"),
    ]
    samples = Axis(label="samples n", log=True)
    panels = [
        Panel(x=samples, y=Axis(label="f - f*", log=True), series=[*gaps, *theory]),
        Panel(x=samples, y=Axis(label="gap over that of least squares"), series=relative, references=lines),
    ]
    caption = (
        "Linear regression from a stream: one pass of stochastic steps, (k + 50)^-0.7 averaged or 1 / (mu (k + 20)) "
        "not, against least squares on the same samples; means over seeds with 95 % bands."
    )
    return Figure(name="samples", title="Sample for sample", caption=caption, panels=panels)


def digits(table: Any) -> Figure:
    """Relative gap along passes and along time, each method."""
    rows = table[~table["control"]]
    panels = []
    for of, axis in (
        ("gap_by_passes", Axis(label="passes over the data", log=True)),
        ("gap_by_seconds", Axis(label="processor time, one thread", unit="s", log=True)),
    ):
        series = [
            _median(method, rows[rows["method"] == method], of)
            for method in ("sgd", "adam", "adagrad", "l-bfgs", "newton-cg")
            if (rows["method"] == method).any()
        ]
        levels = [Reference(label=f"level {level:g}", value=level, role="theory") for level in (0.1, 1e-3)]
        y = Axis(label="gap, in units of the first", log=True, limits=(1e-6, 2.0))
        panels.append(Panel(x=axis, y=y, series=series, references=levels))
    caption = (
        "Softmax regression of MNIST digits, ridge 0.01: median over seeds, band from least to largest. SGD has steps "
        "1 / (L + mu k) and batches of 10."
    )
    return Figure(name="digits", title="Samples first, all digits later", caption=caption, panels=panels)


def adagrad(table: Any) -> Figure:
    """AdaGrad as published and as on the slide."""
    series = [
        _median(method, table[table["method"] == method], "gap_by_passes")
        for method in ("adagrad", "adagrad of the slide")
        if (table["method"] == method).any()
    ]
    panel = Panel(
        x=Axis(label="passes over the data", log=True),
        y=Axis(label="gap, in units of the first", log=True),
        series=series,
        references=[Reference(label="a tenth", value=0.1, role="theory")],
    )
    caption = "Sums of squared weights, without the root, for the root of sums of squared gradients: it diverges."
    return Figure(name="adagrad", title="AdaGrad, and a slip on a slide", caption=caption, panels=[panel])


def _median(label: str, rows: Any, of: str) -> Series:
    """The median over seeds on common points between the latest first and the earliest last, with least and largest."""
    curves = [curve for curve in rows[of] if hasattr(curve, "x")]
    first = max(curve.x[curve.x > 0][0] for curve in curves)
    last = min(curve.x[-1] for curve in curves)
    points = np.geomspace(first, last, 60)
    values = np.array([np.exp(np.interp(np.log(points), np.log(c.x[c.x > 0]), np.log(c.y[c.x > 0]))) for c in curves])
    return Series(label=label, x=points, y=np.median(values, 0), low=values.min(0), high=values.max(0), seeds=values)


def _times_mu(series: Series) -> Series:
    """A series of gaps with its mu multiplied out; what has none in its label stays."""
    _, found, mu = series.label.rpartition("mu = ")
    if not found:
        return series
    low, high = (None if part is None else float(mu) * np.asarray(part) for part in (series.low, series.high))
    y = float(mu) * np.asarray(series.y)
    return Series(label=series.label, x=series.x, y=y, low=low, high=high, role=series.role)


def _config(rows: Any) -> Descent:
    fields = ("mu", "p", "c", "power", "k0", "iterations")
    return Descent(**{name: rows[name].iloc[0].item() for name in fields})


def _role(rows: Any) -> Any:
    return "control" if rows["control"].all() else "measured"


def _theory(label: str, x: Any, y: np.ndarray) -> Series:
    return Series(label=label, x=np.asarray(x, dtype=float), y=np.broadcast_to(y, np.shape(x)), role="theory")
