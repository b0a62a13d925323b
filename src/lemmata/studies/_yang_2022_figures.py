"""The figures of the study of Yang, Hu and others (2022)."""

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.studies._yang_2022_training import LAYERS

RULES = (("adam", "Adam"), ("sgd", "SGD"))
KINDS = (("sp", "SP"), ("mup", "muP"))
POWERS = {("adam", "sp"): (0.0, 1.0, 1.5), ("sgd", "sp"): (-0.5, 0.5, 1.0), "mup": (0.0,)}


def first_step(table) -> Figure:
    """Change of each layer's pre-activations by a first, tiny step, relative to the narrowest network."""
    return Figure(
        name="first-step",
        title="In muP the first step changes each layer by as much at every width",
        caption="Root mean square change of the pre-activations after one step so small that the change is linear in "
        "it, relative to the mean of the narrowest networks; mean over seeds with its 95 % interval. Theory: powers of "
        "the width.",
        panels=_coordinates(table[table.steps == 1], theory=True),
    )


def four_steps(table) -> Figure:
    """The same after four steps of an ordinary size."""
    return Figure(
        name="four-steps",
        title="In muP four ordinary steps, too, change each layer by as much at every width",
        caption="Root mean square change of the pre-activations after four steps of Adam (step size 2⁻⁷) and of SGD "
        "(0.1), relative to the mean of the narrowest networks; mean over seeds with its 95 % interval.",
        panels=_coordinates(table[table.steps > 1], theory=False),
    )


def _coordinates(table, *, theory: bool) -> list[Panel]:
    panels = []
    for rule, words in RULES:
        for kind, name in KINDS:
            own = table[(table.optimiser == rule) & (table.parametrisation == kind)]
            if not len(own):
                continue
            ends = np.array([own.width.min(), own.width.max()], dtype=float)
            series = [_relative(own, layer) for layer in LAYERS]
            for power in POWERS.get((rule, kind), POWERS["mup"]) if theory else ():
                series.append(Series(label=_power(power), x=ends, y=(ends / ends[0]) ** power, role="theory"))
            y = Axis(label="change, relative to the narrowest", log=True, limits=(0.2, 100.0))
            panels.append(Panel(x=Axis(label="width n", log=True), y=y, series=series, title=f"{words}, {name}"))
    return panels


def _relative(table, layer: str) -> Series:
    scale = float(table[table.width == table.width.min()][layer].mean())
    label = "output" if layer == "output" else f"{layer} hidden layer"
    return Series.over_seeds(label, table.assign(**{layer: table[layer] / scale}), x="width", y=layer)


def _power(power: float) -> str:
    return {0.0: "n⁰", 0.5: "n^½", 1.0: "n", 1.5: "n^(3/2)", -0.5: "n^(−½)"}[power]


def losses(table) -> Figure:
    """Training loss against the step size, a line a width."""
    panels = []
    for kind, name in KINDS:
        own = table[(table.parametrisation == kind) & (table.base == table.base.min())]
        series = [
            Series.over_seeds(f"width {width}", rows, y="loss") for width, rows in own.groupby("width") if len(rows)
        ]
        x = Axis(label="log₂ of the step size")
        panels.append(Panel(x=x, y=Axis(label="training loss", log=True), series=_without_bands(series), title=name))
    return Figure(
        name="losses",
        title="In muP the best step size stays, in SP it falls with the width",
        caption="Training loss after one epoch of Adam against the step size. Each thin line is a seed, the thick ones "
        "their mean.",
        panels=[panel for panel in panels if panel.series],
    )


def _without_bands(series: list[Series]) -> list[Series]:
    """A symmetric interval of a mean that one seed dominates reaches below zero, where a logarithm does not."""
    return [Series(label=s.label, x=s.x, y=s.y, seeds=s.seeds, role=s.role) for s in series]


def best(table) -> Figure:
    """Best step size against the width."""
    own = table[table.base == table.base.min()]
    series = [
        Series.over_seeds(name, rows, x="width", y="best", role="control" if kind == "sp" else "measured")
        for kind, name in KINDS
        if len(rows := own[own.parametrisation == kind])
    ]
    widths = np.sort(own.width.unique()).astype(float)
    start = float(own[own.width == widths[0]].best.mean())
    for label, power in (("muP, theory: n⁰", 0.0), ("SP, theory of hidden layers: 1/n", -1.0)):
        series.append(Series(label=label, x=widths, y=start + power * np.log2(widths / widths[0]), role="theory"))
    panel = Panel(x=Axis(label="width n", log=True), y=Axis(label="log₂ of the best step size"), series=series)
    return Figure(
        name="best-step-size",
        title="The best step size of Adam, by width",
        caption="Vertex of a parabola through log training loss; mean over seeds with its 95 % interval. Theory starts "
        "at the mean of the narrowest networks.",
        panels=[panel],
    )
