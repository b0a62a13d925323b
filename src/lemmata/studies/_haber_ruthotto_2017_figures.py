"""The figures of `haber_ruthotto_2017`."""

from typing import Any

import numpy as np

from lemmata.figures import Animation, Axis, Field, Figure, Panel, Reference, Series, film
from lemmata.flows import stability_region
from lemmata.studies._haber_ruthotto_2017_networks import METHODS
from lemmata.studies._haber_ruthotto_2017_objective import HIGH, LOW

LAWS = ("circles", "swiss roll", "peaks")
KINDS = ("plain", "antisymmetric", "verlet")


def stretches(table: Any) -> Figure:
    """How a perturbation grows through ten layers, for three real parts."""
    rows = table[~table["control"] & (table["layers"] == 10)]
    series = []
    for real in sorted(set(rows["real"])):
        mine = rows[rows["real"] == real]
        series.append(Series.over_seeds(f"real part {real:g}", mine, y="stretch"))
        t = np.asarray(mine["stretch"].iloc[0].x)
        series.append(Series(label=f"{real:g} t", x=t, y=real * t, role="theory"))
    panel = Panel(x=Axis(label="time t"), y=Axis(label="ln of the growth of a perturbation"), series=series)
    caption = (
        "Ten layers of forward Euler, h = 0.1, with weights whose eigenvalues have real parts 2, 0 and -2: features "
        "part, stay, or run together. Means over seeds of 20 inputs each, with 95 % bands."
    )
    return Figure(name="stretch", title="The sign of the real part decides", caption=caption, panels=[panel])


def verlet(table: Any) -> Figure:
    """Growth a layer against the step, and the edge of stability."""
    series = [
        Series.over_seeds(f"norm of K {gain:g}", rows, y="rate", role="control" if gain != 1 else "measured")
        for gain, rows in table.groupby("gain")
    ]
    edges = [
        Reference(label=f"h |K| = 2, norm {gain:g}", value=2 / gain, axis="x", role="theory")
        for gain in sorted(set(table["gain"]))
    ]
    panel = Panel(x=Axis(label="step h"), y=Axis(label="growth a layer, ln"), series=series, references=edges)
    caption = (
        "Thirty layers of Verlet's method with random weights, the same in all: bounded up to h |K| = 2. Means over "
        "seeds with 95 % bands."
    )
    return Figure(name="verlet", title="How long Verlet's step may be", caption=caption, panels=[panel])


def objectives(table: Any) -> Figure:
    """The objective over the weights, by five layers and by a hundred."""
    panels = []
    for layers in (5, 100):
        rows = table[(table["layers"] == layers) & (table["T"] == table["T"].min()) & (table["scale"] == 0.1)]
        if len(rows) == 0:
            continue
        z = np.asarray(rows["objective"].iloc[0])
        line = np.linspace(LOW, HIGH, len(z))
        found = Series(label="minimiser found, every seed", x=rows["b"], y=rows["a"], style="points")
        truth = Series(label="weights that made the data", x=[1.0], y=[1.0], style="points", role="paper")
        panels.append(
            Panel(
                x=Axis(label="weight b"), y=Axis(label="weight a"), series=[found, truth], equal=True,
                fields=[Field(label="objective", x=line, y=line, z=z, log=True)], title=f"{layers} layers",
            )
        )  # fmt: skip
    caption = (
        "The training objective of one seed at all weights of a grid, T = 10. With five layers h |lambda| = 6 at the "
        "truth, and the minimiser lies in the corner where layers are least unstable."
    )
    title = "A network that is no stable discretisation learns the wrong weights"
    return Figure(name="objectives", title=title, caption=caption, panels=panels)


def depths(table: Any) -> Figure:
    """The objective at the true weights against depth, and where h |lambda| = 2."""
    rows = table[(table["layers"] == 5) & (table["scale"] == 0.1)]
    series, edges, first = [], [], rows["T"].min()
    for T, mine in rows.groupby("T"):
        role = "control" if first < T else "measured"
        series.append(Series.over_seeds(f"T = {T:g}", mine, y="truth", role=role))
        edges.append(Reference(label=f"h |lambda| = 2, T = {T:g}", value=1.5 * T, axis="x", role="theory"))
    panel = Panel(
        x=Axis(label="layers N"), y=Axis(label="objective at the true weights", log=True), series=series,
        references=edges,
    )  # fmt: skip
    caption = (
        "The error that discretisation alone makes, with the weights that made the data: means over seeds with 95 % "
        "bands."
    )
    return Figure(name="depths", title="Enough layers, and no fewer", caption=caption, panels=[panel])


def untangled(table: Any) -> Figure:
    """Test samples of the swiss roll on their way through a trained two-field network: a figure that moves."""
    row = table.sort_values("seed").iloc[0]
    points, classes = row["points"], row["classes"]
    (left, low), (right, high) = points.min((0, 1)), points.max((0, 1))
    axes: dict[str, Any] = {
        "x": Axis(label="beyond the classifier's line", limits=(1.05 * left, 1.05 * right)),
        "y": Axis(label="across", limits=(low - 0.05 * (high - low), high + 0.05 * (high - low))),
    }
    line = Reference(label="the classifier's line", value=0.0, axis="x", role="theory")
    frames = [
        Panel(**axes, references=[line], series=[
            Series(label=f"class {c}", x=at[classes == c, 0], y=at[classes == c, 1], style="points") for c in (0, 1)
        ])
        for at in points
    ]  # fmt: skip
    caption = (
        f"{len(classes)} test samples in {row['layers']} layers of Verlet's method after {row['steps']} steps of Adam, "
        f"test accuracy {row['accuracy']:.2f}: seen along the last classifier's direction and, across it, along that "
        "in which the features of the last layer vary most."
    )
    moving = Animation(label="layer", values=list(range(len(points))), frames=frames)
    return film("untangled", "A spiral untangled, layer by layer", caption, moving)


def eigenvalues(table: Any) -> Figure:
    """The eigenvalues of trained layers by forward Euler, at the edge of its disk: a figure that moves."""
    rows = table[(table["law"] == "circles") & (table["seed"] == 0) & (table["real"] == 0)]
    rows = rows[rows["T"] == rows["T"].min()].set_index("kind")
    kinds = [kind for kind in KINDS if kind in rows.index and METHODS[kind] == "forward-euler"]
    z = {kind: rows.loc[kind, "z"] for kind in kinds}
    reach = 1.15 * max(float(np.abs(values).max()) for values in z.values())
    region = stability_region("forward-euler", x=(-reach, reach), y=(-reach, reach), points=161)
    low, high = float(region.growth.min()), float(region.growth.max())
    a_unit = 10 if high - low < 1 else 2  # levels, 1 among them
    levels = np.arange(np.floor(a_unit * low), np.ceil(a_unit * high) + 1) / a_unit
    field = Field(
        label="growth in a step", x=region.x, y=region.y, z=region.growth,
        levels=levels.tolist(), limits=(float(levels[0]), float(levels[-1])),
    )  # fmt: skip
    layers = rows.loc[kinds[0], "z_layers"]
    frames = [
        Panel(
            x=Axis(label="Re hλ", limits=(-reach, reach)), y=Axis(label="Im hλ", limits=(-reach, reach)), equal=True,
            fields=[field],
            series=[
                Series(label=kind, x=z[kind][0, i].ravel(), y=z[kind][1, i].ravel(), style="points") for kind in kinds
            ],
        )
        for i in range(len(layers))
    ]  # fmt: skip
    caption = (
        "Networks of one seed after training on the circles, eigenvalues of their layers' Jacobians at test samples, "
        "before the edge of forward Euler's disk (the line at 1). Plain layers leave it to the right, where "
        "the equation itself is unstable; antisymmetric ones stand on the imaginary axis, a little outside by the "
        "step's length alone."
    )
    moving = Animation(label="layer", values=[int(layer) for layer in layers], frames=frames)
    return film("eigenvalues", "Eigenvalues of the layers at the edge of stability", caption, moving)


def trained(table: Any) -> Figure:
    """Test accuracy and initial growth of the three kinds on the two laws, at a short and at a long step."""
    panels = []
    for T in sorted(set(table["T"]))[-2:]:
        rows = table[(table["T"] == T) & (table["layers"] == table["layers"].max())]
        kinds = [(kind, rows[(rows["kind"] == kind) & (rows["real"] == 0)]) for kind in KINDS]
        kinds.append(("antisymmetric + 3 I", rows[rows["real"] > 0]))
        series = [
            Series.over_seeds(
                label,
                mine,
                x="law",
                y="accuracy",
                order=LAWS,
                style="points",
                role="control" if "+" in label else "measured",
            )
            for label, mine in kinds
            if len(mine)
        ]
        axis = Axis(label="test accuracy", limits=(0.0, 1.05))
        panels.append(
            Panel(x=Axis(label="data", ticks=LAWS), y=axis, series=series, title=f"h = {T / table['layers'].max():g}")
        )
    caption = (
        f"Networks of {table['layers'].max()} layers after as many steps of Adam: means over seeds, 95 % intervals."
    )
    return Figure(name="trained", title="Which deep networks train", caption=caption, panels=panels)


def growth_before(table: Any) -> Figure:
    """The growth of perturbations at the initial weights beside the accuracy after training."""
    rows = table[(table["layers"] == table["layers"].max()) & (table["real"] == 0)]
    series = [
        Series(
            label=kind,
            x=rows[rows["kind"] == kind]["stretch"],
            y=rows[rows["kind"] == kind]["accuracy"],
            style="points",
        )
        for kind in KINDS
    ]
    panel = Panel(
        x=Axis(label="ln of the growth of a perturbation, initial weights"),
        y=Axis(label="test accuracy"),
        series=series,
    )
    caption = (
        "Every network of the largest depth, all laws, both steps: none whose perturbations grow by e^5 trains well. "
        "The converse does not hold: at h = 1 weights leave the region of stability while they are trained."
    )
    return Figure(name="growth", title="Growth before training, accuracy after", caption=caption, panels=[panel])
