"""The figures of the study of Goodfellow, Vinyals and Saxe (2015)."""

import numpy as np
from scipy.stats import beta

from lemmata.figures import Axis, Figure, Panel, Reference, Series

LINES = {
    "initialisation": "from its initial weights",
    "unrelated": "from an unrelated initialisation",
    "solutions": "from another solution",
    "permuted": "from its permuted copy",
}
OPTIMISERS = {"sgd": 0.1, "momentum": 0.05, "adam": 0.001}
ALONG = Axis(label="position on the line: the solution is at 1")
LOSS = "training loss / that of the initial weights"


def curves(table) -> Figure:
    """The loss along each kind of line, ReLU units, by optimiser."""
    own = _where(_usual(table), **{"network.activation": "relu"})
    top = max(float(curve.y.max()) for curve in own["loss"])
    panels = []
    for line, title in LINES.items():
        rows = _where(own, line=line)
        series = [
            Series.over_seeds(name, part, y="loss")
            for name in OPTIMISERS
            if len(part := _where(rows, **{"training.optimiser": name}))
        ]
        y = Axis(label=LOSS, limits=(0.0, 1.05 * top))
        panels.append(Panel(x=ALONG, y=y, series=series, title=title))
    return Figure(
        name="lines",
        title="The loss falls all the way from any initial weights, and climbs a barrier from any solution",
        caption="Training loss on four straight lines to one solution, every seed, mean and 95 % band (ReLU units). "
        "The permuted copy is the same function with its hidden units in another order.",
        panels=panels,
    )


def activations(table) -> Figure:
    """The two cases, by activation."""
    own = _where(_usual(table), **{"training.optimiser": "momentum"})
    panels = []
    for line in ("initialisation", "solutions"):
        rows = _where(own, line=line)
        series = [
            Series.over_seeds(str(name), part, y="loss")
            for name, part in rows.groupby("network.activation", sort=False)
        ]
        panels.append(Panel(x=ALONG, y=Axis(label=LOSS, limits=(0.0, 1.05)), series=series, title=LINES[line]))
    return Figure(
        name="activations",
        title="Whatever the activation",
        caption="SGD with momentum: every seed, mean and 95 % band.",
        panels=panels,
    )


def fractions(table) -> Figure:
    """How many runs are monotone, and the largest rise of each, by kind of line."""
    own = _usual(table)
    place = np.arange(len(LINES), dtype=float)
    names = Axis(label="line from", ticks=("own weights", "others", "a solution", "its copy"), limits=(-0.5, 3.5))
    shares, largest = [], []
    for name, step in OPTIMISERS.items():
        rows = _where(own, **{"training.optimiser": name})
        counts = [_where(rows, line=line)["monotone"] for line in LINES]
        low, high = zip(*(_clopper_pearson(int(part.sum()), len(part)) for part in counts), strict=True)
        share = [part.mean() if len(part) else np.nan for part in counts]
        shares.append(
            Series(label=f"{name}, {step:g}", x=place, y=share, low=np.array(low), high=np.array(high), style="bars")
        )
        rises = [np.sort(_where(rows, line=line)["rise"].to_numpy()) for line in LINES]
        fewest = min(len(part) for part in rises)
        every = np.array([part[-fewest:] for part in rises]).T
        largest.append(Series(label=f"{name}, {step:g}", x=place, y=every.max(0), seeds=every, style="points"))
    share = Panel(x=names, y=Axis(label="share of monotone runs", limits=(0.0, 1.0)), series=shares, title="Monotone")
    seen = [Reference(label="invisible in a figure below", value=1e-3, role="theory")]
    rise = Panel(
        x=names, y=Axis(label="largest rise / initial loss"), series=largest, references=seen, title="Largest rise",
    )  # fmt: skip
    return Figure(
        name="fractions",
        title="How many lines are monotone",
        caption="All activations together, to one solution from its own initial weights, unrelated ones, another "
        "solution, and its own permuted copy. Left: share of runs that never rise by more than rounding, with its 95 % "
        "interval (Clopper and Pearson, the activations of a seed counted as runs of their own). Right: the largest "
        "rise of each run; the mark is the largest of all.",
        panels=[share, rise],
    )


def far(table) -> Figure:
    """Adam with larger and larger steps: how far the weights move, and how much the loss rises."""
    own = table[(~table["control"]) & (table["training.optimiser"] == "adam") & (table["line"] == "initialisation")]
    own = own[own["network.activation"].isin(["relu", "maxout"])]
    step = Axis(label="step size of Adam", log=True)
    moved, rises = [], []
    for name, rows in own.groupby("network.activation", sort=False):
        moved.append(Series.over_seeds(str(name), rows, x="training.step_size", y="distance"))
        shown = rows.assign(visible=(rows["rise"] > 1e-5).astype(float))
        counts = shown.groupby("training.step_size")["visible"].agg(["sum", "count"])
        low, high = zip(*(_clopper_pearson(int(k), int(n)) for k, n in counts.to_numpy()), strict=True)
        rises.append(
            Series(
                label=str(name), x=counts.index.to_numpy(), y=(counts["sum"] / counts["count"]).to_numpy(),
                low=np.array(low), high=np.array(high), style="points",
            )
        )  # fmt: skip
    distance = Panel(
        x=step, y=Axis(label="way moved / norm of the initial weights", log=True), series=moved, title="How far",
    )  # fmt: skip
    share = Panel(x=step, y=Axis(label="share of runs that rise", limits=(0.0, 1.0)), series=rises, title="How often")
    return Figure(
        name="far",
        title="Far weights can break the rule, and need not",
        caption="Adam on ReLU and maxout units. Large steps carry both many times the norm of their initial weights "
        "away; the line then rises for most maxout solutions and hardly any of ReLU units, at the same distance (95 % "
        "intervals of Clopper and Pearson).",
        panels=[distance, share],
    )


def _usual(table):
    """The runs of the main sweep: each optimiser at its usual step size."""
    usual = table["training.step_size"] == table["training.optimiser"].map(OPTIMISERS)
    return table[usual & ~table["control"] & (table["reach"] == 1.0) & (table["status"] == "ok")]


def _where(table, **fields):
    for name, wanted in fields.items():
        table = table[table[name] == wanted]
    return table


def _clopper_pearson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a binomial share, k of n."""
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return low, high
