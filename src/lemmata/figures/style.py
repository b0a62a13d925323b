"""Which colour, line and marker a series gets: roles and order in, looks out, the same for every renderer.

Colours are those of Okabe and Ito (2008), told apart under every common colour blindness and, with the markers and
dashes, in black and white print. Black is kept for theory, grey for controls, wine red for the paper's numbers. Fields
are drawn in viridis, whose lightness rises evenly, so that it is read by every eye and in grey print.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lemmata.figures.field import Field, Scale, scale
from lemmata.figures.figure import Figure, Panel, Role, Series

MEASURED = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
CONTROL = ("#6E6E6E", "#9A9A9A", "#4A4A4A")
THEORY, PAPER = "#000000", "#882255"
DASHES: tuple[tuple[float, ...], ...] = ((5, 2), (2, 1.5), (7, 2, 1.5, 2), (9, 3), (1, 2))
FIELD = "viridis"
HOLE = "#EFEFEF", "#B5B5B5"  # ground and hatching
CLOUD = 60  # points that are seen together rather than one by one
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True)
class Look:
    """How one series is drawn. `dash` is a pattern of on and off lengths in points, empty for a solid line."""

    colour: str
    dash: tuple[float, ...]
    marker: str
    width: float


def looks(figure: Figure) -> dict[tuple[str, Role], Look]:
    """The look of each (label, role) of a figure; the same label looks the same in every panel.

    >>> from lemmata.figures import Axis
    >>> curves = [Series(label=name, x=[1], y=[1]) for name in ("a", "b")]
    >>> panel = Panel(x=Axis(label="x"), y=Axis(label="y"), series=curves)
    >>> [look.colour for look in looks(Figure(name="f", title="", caption="", panels=[panel])).values()]
    ['#0072B2', '#D55E00']
    """
    found: dict[tuple[str, Role], Look] = {}
    for panel in figure.panels:
        for series in panel.series:
            key = (series.label, series.role)
            if key not in found:
                found[key] = _look(series.role, sum(role == series.role for _, role in found))
    return found


def _look(role: Role, order: int) -> Look:
    if role == "theory":
        return Look(THEORY, DASHES[order % len(DASHES)], "", 1.6)
    if role == "paper":
        return Look(PAPER, DASHES[2], MARKERS[-1], 1.4)
    marker = MARKERS[order % len(MARKERS)]
    if role == "control":
        return Look(CONTROL[order % len(CONTROL)], (4, 1.2, 1, 1.2), MARKERS[-2 - order % 3], 1.3)
    solid = order < len(MEASURED)
    return Look(MEASURED[order % len(MEASURED)], () if solid else DASHES[order % len(DASHES)], marker, 1.8)


def scales(figure: Figure) -> list[list[Scale]]:
    """The scale of each field of each panel; one object for all fields that share it."""
    if not figure.one_scale:
        return [[scale([field]) for field in panel.fields] for panel in figure.panels]
    alike: dict[tuple[str, bool], list[Field]] = {}
    for panel in figure.panels:
        for field in panel.fields:
            alike.setdefault((field.text, field.log), []).append(field)
    shared = {key: scale(fields) for key, fields in alike.items()}
    return [[shared[field.text, field.log] for field in panel.fields] for panel in figure.panels]


def dodged(panel: Panel) -> Iterator[tuple[Series, np.ndarray, float]]:
    """Each series with its x and the width of a bar: bars, and points over categories, stand side by side."""
    beside = [s for s in panel.series if s.style == "bars" or (s.style == "points" and panel.x.ticks)]
    width = 0.8 / max(len(beside), 1)
    for series in panel.series:
        x = np.asarray(series.x)
        if series in beside:
            yield series, x + (beside.index(series) - (len(beside) - 1) / 2) * width, width
        else:
            yield series, x, width


def beside(count: int, width: float) -> np.ndarray:
    """Where the seeds of one bar or point stand beside its middle.

    >>> beside(3, 1.0)
    array([-0.224,  0.   ,  0.224])
    """
    return np.linspace(-1, 1, count) * min(width, 0.8) * 0.28


def thinned(x: np.ndarray, *, log: bool, most: int) -> np.ndarray:
    """Indices of at most `most` points of an increasing axis, evenly spread as the axis shows them; ends are kept.

    >>> thinned(np.arange(1.0, 1001.0), log=True, most=4)
    array([  0,   9,  99, 999])
    """
    if len(x) <= most:
        return np.arange(len(x))
    shown = np.log(np.maximum(x, x[x > 0].min())) if log else x
    wanted = np.linspace(shown[0], shown[-1], most)
    after = np.clip(np.searchsorted(shown, wanted), 1, len(x) - 1)
    nearest = np.where(wanted - shown[after - 1] < shown[after] - wanted, after - 1, after)
    return np.unique([0, *nearest[1:-1], len(x) - 1])
