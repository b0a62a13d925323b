"""The figures of the study of Frankle, Dziugaite, Roy and Carbin (2020)."""

from lemmata.figures import Axis, Figure, Panel, Reference, Series

STABLE = 0.02
DEPTH = 5
ERROR = "error on the line above its ends"


def by_part(table) -> Figure:
    """Instability against the epoch at which the copies part, and the error on the lines."""
    rows = table[(table.layers == DEPTH) & ~table.unrelated & (table.source == "mnist1d") & (table.reach == 1)]
    curve = Series.over_seeds("five hidden layers", rows, x="part", y="instability")
    left = Panel(
        x=Axis(label="epochs before the copies part"), y=Axis(label=f"largest {ERROR}"), series=[curve],
        references=[Reference(label="stable, as set here", value=STABLE, role="theory")],
    )  # fmt: skip
    lines = [
        Series.over_seeds(f"after {part:g} epochs", own, y="line")
        for part, own in rows.groupby("part")
        if part in (0.0, 1.0, 2.0, 5.0)
    ]
    right = Panel(x=Axis(label="t, from one copy to the other"), y=Axis(label="test error"), series=lines)
    return Figure(
        name="instability",
        title="Copies that part late end in one basin",
        caption="A perceptron with five hidden layers on MNIST-1D, two copies of each trained with different data "
        "orders after the epoch shown. Every seed, mean, and 95 % interval.",
        panels=[left, right],
    )


def by_depth(table) -> Figure:
    """The lines of copies that part at the start, for three depths."""
    rows = table[(table.part == 0) & ~table.unrelated & (table.source == "mnist1d") & (table.reach == 1)]
    lines = [
        Series.over_seeds("softmax regression" if not layers else f"{layers} hidden layers", own, y="line")
        for layers, own in rows.groupby("layers")
    ]
    panel = Panel(x=Axis(label="t, from one copy to the other"), y=Axis(label="test error"), series=lines)
    return Figure(
        name="instability_by_depth",
        title="From the start, deeper networks part for good",
        caption="Two copies trained from the same initial weights with different data orders on MNIST-1D; means and "
        "95 % intervals.",
        panels=[panel],
    )


def lenet(table) -> Figure:
    """The lines of LeNet's copies and of unrelated networks."""
    lines = [
        Series.over_seeds(label, own, y="line", role=role)
        for label, own, role in (
            ("copies, from the same initial weights", table[~table.unrelated], "measured"),
            ("unrelated initial weights", table[table.unrelated], "control"),
        )
        if len(own)
    ]
    panel = Panel(x=Axis(label="t, from one to the other"), y=Axis(label="test error"), series=lines)
    return Figure(
        name="lenet",
        title="LeNet on digits is stable from its initial weights",
        caption="LeNet-300-100 on 4,000 digits, Adam, 4 epochs; means and 95 % intervals over seeds.",
        panels=[panel],
    )
