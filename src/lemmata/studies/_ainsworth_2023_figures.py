"""The figures of the study of Ainsworth, Hayase and Srinivasa (2023)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series

LOSS = Axis(label="test loss", unit="nats")


def by_width(table) -> Figure:
    """Barriers before and after matching by width."""
    rows = _swept(table)
    series = [
        Series.over_seeds("order as trained", rows, x="width", y="before_test", role="control"),
        Series.over_seeds("after weight matching", rows, x="width", y="barrier_test"),
    ]
    zero = Reference(label="zero, read as 2 % of ln 10", value=0.046, role="paper")
    y = Axis(label="barrier of the test loss", unit="nats")
    panel = Panel(x=Axis(label="hidden units a layer", log=True), y=y, series=series, references=[zero])
    return Figure(
        name="barriers",
        title="The barrier before and after the neurons are put in order",
        caption="Three hidden layers; mean over independent pairs of networks with its 95 % interval, and every pair.",
        panels=[panel],
    )


def in_training(table) -> Figure:
    """What matching leaves of the barrier in the course of training, and how alike the weights are that it matches."""
    own = table[~table["control"]]
    seen = Axis(label="digits seen in training", log=True)
    share = Axis(label="share of the barrier that is left")
    none = [
        Reference(label="no barrier", value=0.0, role="theory"),
        Reference(label="all of it", value=1.0, role="theory"),
    ]
    return Figure(
        name="training",
        title="Networks become alike, up to the order of neurons, in the course of training",
        caption="Weight matching of pairs of networks; mean with its 95 % interval, and every pair. The share is "
        "negative where the midpoint is better than its ends.",
        panels=[
            Panel(
                x=seen, y=share, series=[Series.over_seeds("measured", own, x="presented", y="left")], references=none,
            ),
            Panel(
                x=seen, y=Axis(label="cosine of the matched weights"),
                series=[Series.over_seeds("measured", own, x="presented", y="cosine")],
            ),
        ],
    )  # fmt: skip


def lines(table) -> Figure:
    """The test loss along the line: unmatched, matched, and with the controls' orders."""
    rows = _plain(table[table.reach == 1.0])
    panels = []
    for width in sorted({rows.width.min(), 64, rows.width.max()} & set(rows.width)):
        own = rows[rows.width == width]
        matched = own[own.matching == "weights"]
        series = []
        if len(matched):
            series.append(Series.over_seeds("order as trained", matched, y="loss_before", role="control"))
        for name, label in (
            ("weights", "weight matching"),
            ("straight-through", "straight-through estimator"),
            ("exchanged", "layers' orders exchanged"),
            ("initial", "order of the initial weights"),
        ):
            if (own.matching == name).any():
                role = "control" if name in {"exchanged", "initial"} else "measured"
                series.append(Series.over_seeds(label, own[own.matching == name], y="loss_test", role=role))
        panels.append(Panel(x=Axis(label="t"), y=LOSS, series=series, title=f"{width} units a layer"))
    return Figure(
        name="lines",
        title="The test loss along the line between two networks",
        caption="From one network (t = 0) to the other (t = 1), three hidden layers; mean over pairs, 95 % interval, "
        "every pair.",
        panels=panels,
    )


def three(table) -> Figure:
    """The test losses of three networks, and of their means in one order, pair by pair, and at random."""
    order = [name for name in ("joint", "pairs", "random") if (table.matching == name).any()]
    words = {"joint": "one order for all", "pairs": "each matched to the first", "random": "random orders"}
    place = table.assign(case=table.matching.map({name: float(i) for i, name in enumerate(order)}))
    joint = table[table.matching == order[0]]
    ends = [Reference(label="mean of the three networks", value=float(np.mean(joint["mean"])), role="theory")]
    ends.append(Reference(label="mean weights, order as trained", value=float(np.mean(joint["plain"])), role="control"))
    losses = Panel(
        x=Axis(label="", ticks=tuple(words[name] for name in order)), y=Axis(label="test loss", unit="nats", log=True),
        series=[Series.over_seeds("mean weights of three", place, x="case", y="merged", style="points")],
        references=ends,
    )  # fmt: skip
    others = Panel(
        x=Axis(label="", ticks=tuple(words[name] for name in order)),
        y=Axis(label="loss of the middle over its ends", unit="nats"),
        series=[Series.over_seeds("between the two others", place, x="case", y="between_others", style="points")],
        references=[Reference(label="zero, read as 2 % of ln 10", value=0.046, role="paper")],
    )
    around = Panel(
        x=Axis(label="", ticks=tuple(words[name] for name in order)),
        y=Axis(label="share of neurons that return", limits=(0.0, 1.05)),
        series=[Series.over_seeds("around a cycle of three", place, x="case", y="consistent", style="points")],
    )
    return Figure(
        name="three",
        title="Three networks averaged",
        caption="Mean over seeds with its 95 % interval, and every seed. A cycle takes each neuron from network to "
        "network to network and back by the three matchings; in one order for all it closes by construction.",
        panels=[losses, others, around],
    )


def repaired(table) -> Figure:
    """The height of the midpoint before and after REPAIR, and with the statistics of networks in other orders."""
    matched = table[table.matching == "weights"]
    mixed = matched.mixed.astype(bool)
    cases = ["matched", "REPAIR"] + (["REPAIR, other orders"] if mixed.any() else [])
    place = matched.assign(case=matched.repaired.astype(float) + (mixed & matched.repaired.astype(bool)))
    place = place[~(mixed & ~matched.repaired.astype(bool))]
    panel = Panel(
        x=Axis(label="", ticks=tuple(cases)),
        y=Axis(label="loss of the midpoint over its ends", unit="nats"),
        series=[Series.over_seeds("four layers of 32 neurons", place, x="case", y="height_test", style="points")],
        references=[Reference(label="as good as the ends", value=0.0, role="theory")],
    )
    return Figure(
        name="repair",
        title="What REPAIR gives back",
        caption="Test loss after weight matching; mean over pairs with its 95 % interval, and every pair.",
        panels=[panel],
    )


def _plain(table):
    """Three hidden layers, independent networks, one training, nothing repaired."""
    rows = table[(table.depth == 3) & (table.optimiser == "momentum")]
    return rows[~rows["copied"].astype(bool) & ~rows.repaired.astype(bool)]


def _swept(table):
    """The rows of the sweep over width: weights matched, no control."""
    rows = _plain(table)
    return rows[~rows["control"] & (rows.matching == "weights")]
