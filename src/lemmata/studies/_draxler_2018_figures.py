"""The figures of the study of Draxler et al. (2018)."""

from lemmata.figures import Axis, Figure, Panel, Series

DEPTHS = [1, 2, 3]
NAMES = {"line": "straight line", "band": "elastic band"}


def along(table) -> Figure:
    """Training loss and test error on the straight line and on the band, the widest networks."""
    own = _own(table)
    own = own[(own["ends.width"] == own["ends.width"].max()) & (own["ends.depth"] == 2)]
    panels = []
    for column, label in (("loss", "training loss"), ("test_error", "test error")):
        series = [Series.over_seeds(name, own[own["path"] == path], y=column) for path, name in NAMES.items()]
        panels.append(Panel(x=Axis(label="t: the networks are at 0 and 1"), y=Axis(label=label), series=series))
    return Figure(
        name="along",
        title="The pass between two minima is essentially flat",
        caption="The straight line between two networks trained apart, and the elastic band relaxed from it, at its "
        "pivots and between them: every seed, mean and 95 % band.",
        panels=panels,
    )


def heights(table) -> Figure:
    """What is left of the barrier, by width and by depth."""
    own = _own(table)
    two = own[own["ends.depth"] == 2]
    width = Axis(label="units a hidden layer", log=True)
    lines = [Series.over_seeds(name, two[two["path"] == p], x="ends.width", y="barrier") for p, name in NAMES.items()]
    bands = own[own["path"] == "band"]
    narrow = bands[bands["ends.width"] == 16]
    panels = [
        Panel(x=width, y=Axis(label="barrier of the training loss"), series=lines, title="Line and band"),
        Panel(
            x=width, y=Axis(label="barrier of the training loss"), title="The band alone",
            series=[Series.over_seeds(NAMES["band"], bands[bands["ends.depth"] == 2], x="ends.width", y="barrier")],
        ),
        Panel(
            x=Axis(label="hidden layers, of 16 units", ticks=tuple(map(str, DEPTHS)), limits=(-0.2, len(DEPTHS) - 0.8)),
            y=Axis(label="barrier of the training loss"), title="By depth",
            series=[Series.over_seeds(NAMES["band"], narrow, x="ends.depth", y="barrier", order=DEPTHS)],
        ),
    ]  # fmt: skip
    return Figure(
        name="heights",
        title="What is left of the barrier, for networks trained to the same loss",
        caption="Largest height of the training loss above the straight line between the ends' losses: every seed, "
        "mean and 95 % interval. Middle: the lower line of the left panel, magnified.",
        panels=panels,
    )


def _own(table):
    return table[(~table["control"]) & (table["status"] == "ok")]
