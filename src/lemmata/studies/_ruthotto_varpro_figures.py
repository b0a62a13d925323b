"""The figures of the study of variable projection."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.figures.field import Field

NAMES = {
    "gauss-newton": "Gauss-Newton, projected (Kaufman)",
    "golub-pereyra": "Gauss-Newton, projected (Golub-Pereyra)",
    "lbfgs": "L-BFGS, projected",
    "gauss-newton on all": "Gauss-Newton on all weights",
    "lbfgs on all": "L-BFGS on all weights",
    "adam": "Adam, best of four rates",
    "sgd": "SGD with momentum, best of four rates",
}


def layer(table) -> Figure:
    """The lecture's surface, with tanh and with the identity."""
    own = _first(table[table["network"] == "layer"])
    panels = []
    for activation, title in (("tanh", "tanh"), ("identity", "identity: convex along either axis")):
        rows = own[own["activation"] == activation]
        if len(rows):
            row = rows.iloc[0]
            field = Field(label="cross-entropy", x=row["steps"], y=row["steps"], z=row["surface"], kind="surface")
            panels.append(
                Panel(x=Axis(label="step along W"), y=Axis(label="step along K"), fields=[field], title=title)
            )
    return Figure(
        name="layer",
        title="Convex in the last layer, not in the hidden one",
        caption="Cross-entropy of a network 50-40-3 on data that it made itself, in the plane of two random "
        "directions; 41 x 41 points, first seed. The true weights are in the middle.",
        panels=panels,
    )


def neuron(table) -> Figure:
    """One neuron: its weight fixed, and always the best."""
    own = table[(table["network"] == "neuron") & (table["activation"] == "tanh") & ~table["control"]]
    row = own.sort_values("seed").iloc[0]
    k, b = Axis(label="slope k"), Axis(label="bias b")
    fixed = Field(label="J", x=row["steps"], y=row["steps"], z=row["surface"])
    projected = Field(label="J", x=row["steps"], y=row["steps"], z=row["projected"])
    return Figure(
        name="neuron",
        title="One neuron is enough",
        caption="Half the mean squared error of w tanh(k x + b) on 50 points that such a neuron made (first seed). "
        "Left: w fixed at the truth, 1. Right: the reduced objective, w the best for each k and b; the sign of the "
        "unit no longer matters, and so each minimum comes twice.",
        panels=[
            Panel(x=k, y=b, fields=[fixed], title="w = 1", equal=True),
            Panel(x=k, y=b, fields=[projected], title="w the best", equal=True),
        ],
    )


def convexity(table) -> Figure:
    """The excess over chords by kind of line and activation."""
    groups = [
        ("layer", "weights", "tanh"), ("layer", "inner", "tanh"), ("neuron", "inner", "tanh"),
        ("layer", "inner", "identity"), ("neuron", "inner", "identity"),
    ]  # fmt: skip
    place, values = [], []
    for i, (network, along, activation) in enumerate(groups):
        rows = table[
            (table["network"] == network) & (table["along"] == along) & (table["activation"] == activation)
        ].drop_duplicates("seed")
        place += [i] * len(rows)
        values += rows["excess"].clip(lower=1e-17).tolist()
    ticks = ("along W", "along K", "one neuron", "along K, linear", "one neuron, linear")
    panel = Panel(
        x=Axis(label="lines", ticks=ticks, limits=(-0.5, 4.5)),
        y=Axis(label="height above a chord / range", log=True),
        series=[Series(label="every seed", x=place, y=values, style="points")],
        references=[Reference(label="rounding", value=1e-12, role="theory")],
    )
    return Figure(
        name="convexity",
        title="How far from convex",
        caption="The largest height of the objective above one of its chords, over all lines of a surface, in units of "
        "its range. Values below 1e-12 are rounding (zeros are drawn at 1e-17).",
        panels=[panel],
    )


def progress(table) -> Figure:
    """The objective by iterations, on both problems."""
    return Figure(
        name="progress",
        title="Projection saves iterations on either problem",
        caption="The median over seeds of the best J so far, with the smallest and the largest. A run ends at its "
        "target and stays there.",
        panels=_panels(table, "objective", Axis(label="iterations + 1", log=True)),
    )  # fmt: skip


def seconds(table) -> Figure:
    """The objective by processor time, on both problems."""
    return Figure(
        name="seconds",
        title="It saves time on least squares, none on cross-entropy",
        caption="As before, against the processor time of one thread. Adam and SGD run side by side for all seeds and "
        "rates, and are charged their share.",
        panels=_panels(table, "by_time", Axis(label="processor time", unit="s", log=True)),
    )


def _panels(table, column: str, axis: Axis) -> list[Panel]:
    panels = []
    for problem, title in (("peaks", "peaks, least squares"), ("digits", "digits, cross-entropy")):
        own = table[(table["problem"] == problem) & ~table["control"] & (table["status"] == "ok")]
        methods = [(name, own[own["method"] == method]) for method, name in NAMES.items()]
        series = [_band(name, rows, column) for name, rows in methods if len(rows)]
        panels.append(Panel(x=axis, y=Axis(label="objective J", log=True), series=series, title=title))
    return panels


def iterations(table) -> Figure:
    """Kaufman's and the whole Jacobian: iterations of each seed."""
    own = table[~table["control"]]
    pivot = own.pivot(index="seed", columns="method", values="iterations")
    low, high = float(pivot.min().min()), float(pivot.max().max())
    ends = np.array([low, high])
    panel = Panel(
        x=Axis(label="iterations with the whole Jacobian (Golub-Pereyra)"),
        y=Axis(label="iterations with Kaufman's"),
        series=[
            Series(label="every seed", x=pivot["golub-pereyra"], y=pivot["gauss-newton"], style="points"),
            Series(label="equal", x=ends, y=ends, role="theory"),
            Series(label="a factor of 1.5", x=ends, y=1.5 * ends, role="control"),
            Series(label="a factor of 1 / 1.5", x=ends, y=ends / 1.5, role="control"),
        ],
    )
    return Figure(
        name="kaufman", title="Kaufman's approximation costs no iterations to speak of",
        caption="Iterations to J = 1e-4 on the peaks from the same start.", panels=[panel],
    )  # fmt: skip


def remainders(table) -> Figure:
    """Taylor remainders of the reduced objective, inner problem solved and half solved."""
    series = []
    for tolerance, rows in table.groupby("inner_tolerance"):
        values = np.stack(rows["remainders"].to_list())[:, 1]
        steps = np.asarray(rows["steps"].iloc[0])
        middle = np.exp(np.mean(np.log(np.maximum(values, 1e-18)), axis=0))
        role = "control" if rows["control"].all() else "measured"
        series.append(Series(label=f"inner problem to {tolerance:g}", x=steps, y=middle, seeds=values, role=role))
    first = series[0]
    for order, name in ((1, "order h: a wrong gradient"), (2, "order h^2: a right one")):
        line = first.y[0] * (first.x / first.x[0]) ** order
        shown = line > 1e-16
        series.append(Series(label=name, x=first.x[shown], y=line[shown], role="theory"))
    panel = Panel(x=Axis(label="step h", log=True), y=Axis(label="Taylor remainder", log=True), series=series)
    return Figure(
        name="derivative", title="The partial gradient is the gradient",
        caption="|j(x + h v) - j(x) - h g'v| for the partial gradient g, the inner problem solved or stopped at 30 %: "
        "geometric mean over seeds, and every seed.",
        panels=[panel],
    )  # fmt: skip


def _band(name: str, rows, column: str) -> Series:
    """Median, least and largest over seeds of the best J so far, on common points."""
    curves = list(rows[column])
    low = max(min(curve.x[1] if len(curve.x) > 1 else 1.0 for curve in curves), 1e-4)
    if column == "objective":
        points = np.unique(np.round(np.geomspace(1, max(curve.x[-1] for curve in curves) + 1, 40)))
        at = points - 1
    else:
        at = points = np.geomspace(low, max(2 * low, *(curve.x[-1] for curve in curves)), 40)
    values = np.array(
        [np.minimum.accumulate(c.y)[np.maximum(np.searchsorted(c.x, at, side="right") - 1, 0)] for c in curves]
    )
    return Series(label=name, x=points, y=np.median(values, 0), low=values.min(0), high=values.max(0))


def _first(table):
    return table[table["seed"] == table["seed"].min()].sort_values("along", ascending=True)
