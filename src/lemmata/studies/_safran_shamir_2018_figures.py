"""The figures of the study of Safran and Shamir (2018)."""

import numpy as np

from lemmata.bernoulli import clopper_pearson
from lemmata.figures import Axis, Figure, Panel, Reference, Series


def by_width(table) -> Figure:
    """Shares over k for students with no, one and two extra neurons, with exact intervals of all starts pooled."""
    rows = table[(table.displaced == 0) & (table.most > 100)].drop_duplicates(["k", "extra", "seed"])
    series = []
    for extra, own in rows.groupby("extra"):
        pooled = own.groupby("k").agg(hits=("spurious", "sum"), starts=("started", "sum")).sort_index()
        low, high = clopper_pearson(pooled.hits, pooled.starts, alpha=0.05, side="two-sided")
        label = "n = k" if extra == 0 else f"n = k + {int(extra)}"
        share = (pooled.hits / pooled.starts).to_numpy(dtype=float)
        series.append(Series(label=label, x=pooled.index.to_numpy(), y=100 * share, low=100 * low, high=100 * high))
    panel = Panel(
        x=Axis(label="neurons of the teacher, k"), y=Axis(label="descents that end in spurious minima", unit="%"),
        series=series,
    )  # fmt: skip
    return Figure(
        name="by-width",
        title="Spurious minima are common, and extra neurons remove them",
        caption="Gradient descent on the exact loss from Gaussian starts, all seeds pooled, with exact 95 % intervals. "
        "Nothing is sampled but the starts.",
        panels=[panel],
    )


def losses(table) -> Figure:
    """Mean objective and lowest eigenvalue of the spurious minima over k."""
    rows = table[(table.displaced == 0) & (table.most > 100) & (table.extra == 0)]
    rows = rows.drop_duplicates(["k", "seed"])
    rows = rows[rows["spurious"] > 0] if "objective" in rows.columns else rows.iloc[:0]
    panels = []
    for label, name in (("mean loss of the spurious minima", "objective"), ("lowest eigenvalue", "lowest_eigenvalue")):
        series = [Series.over_seeds("n = k", rows, x="k", y=name, style="points")] if len(rows) else []
        panels.append(Panel(x=Axis(label="neurons of the teacher, k"), y=Axis(label=label), series=series))
    return Figure(
        name="losses",
        title="They are no flat regions: losses and curvatures of the spurious minima",
        caption="Mean over seeds with its 95 % interval, of batches with a spurious minimum. Right: the lowest "
        "eigenvalue of the Hessian over all of a batch's spurious minima; positive, so that they are strict.",
        panels=panels,
    )


def onset(table) -> Figure:
    """The share over k, for each number of extra neurons."""
    series = [
        Series.over_seeds("n = k" if extra == 0 else f"n = k + {int(extra)}", own, y="share")
        for extra, own in table.groupby("extra")
    ]
    series = [_percent(one) for one in series]
    panel = Panel(
        x=Axis(label="neurons of the teacher, k"), y=Axis(label="descents that end in spurious minima", unit="%"),
        series=series, references=[Reference(label="common, as set here", value=5.0, role="theory")],
    )  # fmt: skip
    return Figure(
        name="onset",
        title="Where spurious minima begin",
        caption="Share of the starts, mean over seeds with its 95 % interval. An extra neuron moves the onset.",
        panels=[panel],
    )


def _percent(one: Series) -> Series:
    low, high = (np.asarray(part, dtype=float) * 100 for part in (one.low, one.high))
    return Series(label=one.label, x=one.x, y=100 * np.asarray(one.y), low=low, high=high)
