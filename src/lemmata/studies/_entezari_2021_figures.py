"""The figures of the study of Entezari, Sedghi, Saukh and Neyshabur (2021)."""

from lemmata.figures import Axis, Figure, Panel, Reference, Series

KINDS = (
    ("independent", "independent networks", "measured"),
    ("permuted", "a network and its permuted copy", "control"),
)
T, LOSS = Axis(label="t"), Axis(label="training loss", unit="nats")
BARRIER = Axis(label="barrier of the training loss", unit="nats")


def by_width_and_depth(table) -> Figure:
    """Barriers by width and by depth, of independent networks and of permuted copies."""
    own = _plain(table)
    wide, deep = own[own.depth == own.depth.min()], own[own.width == 64]
    panels = [
        Panel(x=Axis(label="hidden units", log=True), y=BARRIER, series=_both(wide, "width"), title="one hidden layer"),
        Panel(x=Axis(label="hidden layers"), y=BARRIER, series=_both(deep, "depth"), title="64 units a layer"),
    ]
    return Figure(
        name="barriers",
        title="The barrier between two networks, and between one network and itself in another order",
        caption="Mean over pairs of networks with its 95 % interval, and every pair. A permuted copy computes the same "
        "function: its barrier is due to the order of neurons alone.",
        panels=[panel for panel in panels if panel.series],
    )


def lines(table) -> Figure:
    """The loss along the line, at three settings."""
    own = _plain(table)
    cases = [("width 16", own[(own.width == 16) & (own.depth == 1)]), ("width 256", own[(own.width == 256)])]
    cases.append(("4 layers of 64", own[(own.width == 64) & (own.depth == 4)]))
    panels = []
    for title, rows in cases:
        series = [
            Series.over_seeds(label, rows[rows.other == name], y="loss", role=role)
            for name, label, role in KINDS
            if (rows.other == name).any()
        ]
        if series:
            panels.append(
                Panel(x=Axis(label="t"), y=Axis(label="training loss", unit="nats"), series=series, title=title)
            )
    return Figure(
        name="lines",
        title="The loss along the straight line",
        caption="From one network (t = 0) to the other (t = 1); mean over pairs, 95 % interval, every pair.",
        panels=panels,
    )


def searches(table) -> Figure:
    """The loss along the line with the order found by annealing, and by matching weights."""
    rows = table[(table.depth == 2) & (table.width == 64) & (table.reach == 1.0) & (table.other == "independent")]
    rows = rows[rows.presented == rows.presented.max()]
    cases = (("none", "order as trained", "control"), ("annealing", "after simulated annealing", "measured"))
    series = [
        Series.over_seeds(label, rows[rows.search == name], y="loss", role=role)
        for name, label, role in (*cases, ("weights", "after matching weights", "measured"))
        if (rows.search == name).any()
    ]
    guess = Reference(label="guessing, ln 10", value=2.302585, role="theory")
    return Figure(
        name="searches",
        title="What annealing and matching make of the same two networks",
        caption="Two hidden layers of 64 units. Annealing lowers the loss of the midpoint by swapping neurons; "
        "matching weights solves assignment problems and never looks at the loss.",
        panels=[Panel(x=T, y=LOSS, series=series, references=[guess])],
    )


def _plain(table):
    """The rows of the sweeps: no control, no search."""
    return table[~table["control"] & (table.search == "none")]


def _both(rows, over: str) -> list[Series]:
    return [
        Series.over_seeds(label, rows[rows.other == name], x=over, y="barrier", role=role)
        for name, label, role in KINDS
        if (rows.other == name).any()
    ]
