"""The figures of the study of Garipov et al. (2018)."""

import numpy as np

from lemmata.figures import Axis, Field, Figure, Panel, Reference, Series

NAMES = {
    "line": "straight line", "bezier": "Bezier, one bend", "polygon": "chain, one bend", "random": "bend anywhere",
}  # fmt: skip
PUBLISHED = {  # README of the authors' code: largest test error on Bezier curve, on chain, of the ends, in per cent
    "VGG-16, CIFAR-100": (30.1, 30.8, 27.5),
    "ResNet-164, CIFAR-100": (23.4, 23.6, 21.7),
    "WRN-28-10, CIFAR-100": (19.2, 19.0, 18.9),
}


def along(table) -> Figure:
    """Training loss and test error along the four paths."""
    own = _own(table)
    panels = []
    for column, label in (("loss", "training loss"), ("test_error", "test error")):
        series = [
            Series.over_seeds(
                name, own[own["drawn as"] == path], y=column, role="control" if path == "random" else "measured"
            )
            for path, name in NAMES.items()
        ]
        panels.append(Panel(x=Axis(label="t: the networks are at 0 and 1"), y=Axis(label=label), series=series))
    return Figure(
        name="along",
        title="A hill on the straight line, none on a curve with one bend",
        caption="Between the same two networks, every seed, mean and 95 % band. The bend of the control is as far from "
        "the line as the trained one.",
        panels=panels,
    )


def planes(table) -> Figure:
    """Loss and error over the plane through three networks, and over that of the curve, first seed."""
    own = _own(table)
    row = next(row for _, row in own[own["drawn as"] == "bezier"].iterrows() if np.ndim(row["course"]) == 2)
    panels = []
    for what, label in (("loss", "training loss"), ("error", "test error")):
        for name, title in (("minima", "three networks"), ("curve", "two networks and the bend")):
            x, y = row[f"{name} axes"]
            field = Field(label=label, x=x, y=y, z=row[f"{name} {what}"], log=what == "loss")
            panels.append(
                Panel(
                    x=Axis(label="along the line, in its lengths"), y=Axis(label="away from it"),
                    title=f"{label.capitalize()}: {title}", fields=[field], series=_marks(row, name), equal=True,
                )
            )  # fmt: skip
    return Figure(
        name="planes",
        title="Three networks in three valleys, two of which a curve joins",
        caption="Training loss and test error over the plane through three networks trained apart, and over the plane "
        "through two of them and the bend of the curve between them, in which every point of the curve lies. "
        "Distances are in lengths of the line between the first two. First seed.",
        panels=panels,
    )


def _marks(row, name: str) -> list[Series]:
    corners = row[f"{name} corners"]
    line = Series(label="straight line", x=[0.0, 1.0], y=[0.0, 0.0], role="control")
    if name == "minima":
        return [line, Series(label="networks", x=corners[:, 0], y=corners[:, 1], style="points")]
    course = row["course"]
    return [
        Series(label="Bezier curve", x=course[:, 0], y=course[:, 1]),
        line,
        Series(label="networks", x=corners[:2, 0], y=corners[:2, 1], style="points"),
        Series(label="bend", x=corners[2:, 0], y=corners[2:, 1], style="points", role="theory"),
    ]


def rises(table) -> Figure:
    """How much the test error rises on each path, beside the rises of the paper's table."""
    own = _own(table)
    order = list(NAMES)
    ours = Series.over_seeds("ours", own, x="drawn as", y="test_rise", order=order, style="points")
    references = [
        Reference(label="VGG-16, CIFAR-100: Bezier", value=PUBLISHED["VGG-16, CIFAR-100"][0] / 100 - 0.275),
        Reference(label="VGG-16, CIFAR-100: chain", value=PUBLISHED["VGG-16, CIFAR-100"][1] / 100 - 0.275),
    ]
    left = Panel(
        x=Axis(label="path", ticks=("line", "Bezier", "chain", "anywhere"), limits=(-0.5, 3.5)),
        y=Axis(label="rise of the test error"), series=[ours], references=references, title="Here",
    )  # fmt: skip
    place = np.arange(len(PUBLISHED), dtype=float)
    columns = zip(("Bezier curve", "chain", "ends"), zip(*PUBLISHED.values(), strict=True), strict=True)
    series = [Series(label=name, x=place, y=np.array(values) / 100, style="bars") for name, values in columns]
    right = Panel(
        x=Axis(label="network", ticks=tuple(name.split(",")[0] for name in PUBLISHED), limits=(-0.5, 2.5)),
        y=Axis(label="largest test error, CIFAR-100", limits=(0.0, 0.4)), series=series, title="In the authors' table",
    )  # fmt: skip
    return Figure(
        name="rises",
        title="How nearly is nearly constant",
        caption="Left: the largest test error on a path less the larger of its ends', mean and 95 % interval, every "
        "seed, with the largest rises of the authors' table. Right: that table's rows for CIFAR-100.",
        panels=[left, right],
    )


def _own(table):
    own = table[(~table["control"]) & (table["status"] == "ok")]
    return own.assign(**{"drawn as": own["path"].where(own["bend"] == "trained", "random")})
