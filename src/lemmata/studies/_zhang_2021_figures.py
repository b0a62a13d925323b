"""The figures of the study of Zhang et al. (2021)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series, mean_and_band

CHANCE = 0.9
REGULARISERS = ("none", "weight decay", "early stopping")


def learning_curves(table) -> Figure:
    """Figure 1a: the training loss, by condition."""
    own = _plain(table[~table.control])
    conditions = {
        "true labels": _where(own, labels="true", inputs="true", corruption=0.0),
        "shuffled pixels": _where(own, inputs="shuffled"),
        "random pixels": _where(own, inputs="random"),
        "Gaussian pixels": _where(own, inputs="gaussian"),
        "random labels": _where(own, labels="random"),
    }
    panel = Panel(
        x=Axis(label="epoch", log=True),
        y=Axis(label="mean training loss", log=True),
        series=[Series.over_seeds(label, rows, y="train_loss") for label, rows in conditions.items() if len(rows)],
    )
    return Figure(
        name="learning-curves",
        title="Every version of the data is fitted",
        caption="Training loss after each epoch (Figure 1a). A network stops when its loss is small enough, and its "
        "line stays where it stopped.",
        panels=[panel],
    )


def corruption_curves(table) -> Figure:
    """Figure 1b and c: slow-down and test error against corruption."""
    rows = _where(_plain(table[~table.control]), labels="true", inputs="true")
    epochs = rows.pivot(index="seed", columns="corruption", values="epochs_to_fit").sort_index(axis=1)
    factor = epochs.div(epochs.get(0.0, epochs.min(axis=1)), axis=0).to_numpy(dtype=float)
    mean, low, high = mean_and_band(np.where(np.isfinite(factor), factor, np.nan))
    levels = epochs.columns.to_numpy(dtype=float)
    share = Axis(label="share of labels redrawn", limits=(-0.02, 1.02))
    slow = Panel(
        x=share,
        y=Axis(label="epochs to fit, relative to true labels"),
        series=[Series(label="perceptron", x=levels, y=mean, low=low, high=high, seeds=factor)],
        references=[Reference(label="no slow-down", value=1.0, role="theory")],
        title="Slow-down (Figure 1b)",
    )
    test = Panel(
        x=share,
        y=Axis(label="test error", limits=(0.0, 1.0)),
        series=[Series.over_seeds("perceptron", rows, x="corruption", y="test_error")],
        references=[Reference(label="chance, the paper's end point", value=CHANCE)],
        title="Test error (Figure 1c)",
    )
    return Figure(
        name="corruption",
        title="What label corruption costs",
        caption="Training takes longer by a small factor, which hardly grows beyond half of the labels, while the "
        "test error rises steadily to chance.",
        panels=[slow, test],
    )


def regularisers(table) -> Figure:
    """The regularisers' table, with that of the paper beside it."""
    own = _where(table[~table.control], inputs="true", corruption=0.0)
    names = Axis(label="regulariser", ticks=REGULARISERS, limits=(-0.5, 2.5))
    series = [_bars(f"{labels} labels", _where(own, labels=labels), "test_error") for labels in ("true", "random")]
    ours = Panel(
        x=names, y=Axis(label="test error", limits=(0.0, 1.0)), series=series, title="Here",
        references=[Reference(label="chance", value=CHANCE, role="theory")],
    )  # fmt: skip
    rows = ("1x512", "1x512, weight decay", "3x512", "3x512, weight decay")
    theirs = Panel(
        x=Axis(label="perceptron", ticks=rows, limits=(-0.5, 3.5)),
        y=Axis(label="test error", limits=(0.0, 1.0)),
        series=[Series(label="the paper", x=range(4), y=[0.4949, 0.4961, 0.4761, 0.4665], role="paper", style="bars")],
        title="The paper's Table 1 (CIFAR-10, true labels)",
    )
    return Figure(
        name="regularisers",
        title="Explicit regularisers are neither necessary nor sufficient",
        caption="On true labels they change little; on random labels the network is near chance with and without them.",
        panels=[ours, theirs],
    )


def misfit_by_units(table) -> Figure:
    """Theorem 1: what is left of the values when units are missing."""
    full = table[table.units == table.units.max()]  # the curve is the same, whatever share of units is judged
    series = []
    for n, rows in full.groupby("n"):
        curves = Series.over_seeds(
            f"n = {n:,} points", rows, y="misfit", role="control" if rows.control.all() else "measured"
        )
        series.append(curves)
    own = full[~full.control]
    points = int(own["n"].iloc[0])
    panel = Panel(
        x=Axis(label="hidden units"),
        y=Axis(label="root mean square error of the best fit", log=True),
        series=series,
        references=[
            Reference(label="n, the theorem's number", value=points, axis="x"),
            Reference(label="tolerance: what rounding may cost", value=float(own["tolerance"].max()), role="theory"),
        ],
    )
    return Figure(
        name="theorem-1",
        title="2n + d weights take any values, and one unit fewer does not",
        caption="Units of the network of Theorem 1 are added in random order, the output weights fitted by least "
        "squares. The error drops to rounding with the last one; with half the points, at half the number.",
        panels=[panel],
    )


def kernel_test_error(table) -> Figure:
    """The kernel interpolant's test error by the number of digits."""
    own = _where(table[~table.control], labels="true")
    panel = Panel(
        x=Axis(label="training digits", log=True, limits=(400, 80_000)),
        y=Axis(label="test error", log=True),
        series=[Series.over_seeds("least-norm interpolant", own, x="n", y="test_error")],
        references=[
            Reference(label="the paper's 1.2 %", value=0.012),
            Reference(label="60,000 digits", value=60_000, axis="x"),
        ],
    )
    return Figure(
        name="kernel",
        title="A kernel that fits every label generalises",
        caption="Test error of the interpolant of least norm (Gaussian kernel, raw pixels, no regulariser). The "
        "paper's number is for 60,000 digits.",
        panels=[panel],
    )


def _where(table, **fields):
    for name, wanted in fields.items():
        table = table[table[name] == wanted]
    return table


def _plain(table):
    return _where(table, regulariser="none")


def _bars(label: str, table, of: str) -> Series:
    pivot = table.pivot(index="seed", columns="regulariser", values=of).reindex(columns=list(REGULARISERS))
    values = pivot.to_numpy(dtype=float)
    mean, low, high = mean_and_band(values)
    return Series(label=label, x=np.arange(len(mean)), y=mean, low=low, high=high, seeds=values, style="bars")
