"""A figure as data: panels of series with error bands, reference lines and axes with units.

A figure is described once and rendered by matplotlib (`lemmata.figures.static`: SVG, PNG, PDF) and by plotly
(`lemmata.report.interactive`). Roles, not colours, are chosen here; the renderers map roles and order to a palette
that survives print and colour blindness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.figures.field import Field

if TYPE_CHECKING:
    import pandas as pd

    from lemmata.figures.animation import Animation

Role = Literal["measured", "theory", "control", "paper"]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A labelled axis; `unit` is printed in brackets. `ticks` names categories at 0, 1, 2, ...

    >>> Axis(label="epochs to fit", unit="epochs").text
    'epochs to fit [epochs]'
    """

    label: str
    unit: str = ""
    log: bool = False
    limits: tuple[float, float] | None = None
    ticks: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The label with its unit."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points (x, y) of shape (T,), a band [low, high] of shape (T,) each, and every seed's own y in `seeds` (S, T).

    >>> Series(label="risk", x=[1, 2], y=[0.3, 0.2]).y
    array([0.3, 0.2])
    """

    label: str
    x: np.ndarray | Sequence[float]
    y: np.ndarray | Sequence[float]
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    seeds: np.ndarray | None = None
    role: Role = "measured"
    style: Literal["line", "points", "bars"] = "line"

    def __post_init__(self):
        for name in ("x", "y", "low", "high", "seeds"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, np.asarray(given, dtype=float))
        shapes = {
            name: np.shape(getattr(self, name)) for name in ("x", "y", "low", "high") if getattr(self, name) is not None
        }
        if len(set(shapes.values())) != 1 or len(np.shape(self.x)) != 1:
            raise InvalidInput(f"series {self.label!r} wants x, y, low, high of one shape (T,), got {shapes}")
        if (self.low is None) != (self.high is None):
            raise InvalidInput(f"series {self.label!r} has one end of its band only; give `low` and `high`")
        if self.seeds is not None and (self.seeds.ndim != 2 or self.seeds.shape[1] != len(self.x)):
            wanted = f"(S, {len(self.x)})"
            raise InvalidInput(f"series {self.label!r} wants seeds of shape {wanted}, got {self.seeds.shape}")

    @classmethod
    def over_seeds(
        cls,
        label: str,
        table: pd.DataFrame,
        *,
        x: str | None = None,
        y: str,
        order: Sequence[Any] | None = None,
        level: float = 0.95,
        **rest: Any,
    ) -> Self:
        """The mean over seeds with its Student-t interval at each point.

        With `x`, a swept field, `y` is a scalar column; a numeric field is drawn at its values, and `order` puts the
        named levels at 0, 1, 2, ... (as categories with `Axis.ticks`). Without `x`, `y` is a column of curves on
        common points: a shorter curve (stopped early) counts as far as it goes, and rows without one are left out.
        Raises `InvalidInput` when there is nothing to draw or the curves' points differ.
        """
        if x is None:
            points, values = _stacked(label, y, [curve for curve in table[y] if hasattr(curve, "x")])
        else:
            pivot = table.pivot(index="seed", columns=x, values=y).sort_index(axis=1)
            if order is not None:
                pivot = pivot.reindex(columns=list(order))
            points = np.arange(len(order), dtype=float) if order is not None else pivot.columns.to_numpy(dtype=float)
            values = pivot.to_numpy(dtype=float)
        mean, low, high = mean_and_band(values, level)
        return cls(label=label, x=points, y=mean, low=low, high=high, seeds=values, **rest)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A line at a value: the paper's number (`role="paper"`) or a theoretical limit, on the x or the y axis."""

    label: str
    value: float
    axis: Literal["x", "y"] = "y"
    role: Role = "paper"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes with its series and reference lines, drawn over its fields, if it has any.

    The first field is filled and has the colour bar; a contour after it is drawn as labelled lines only. `equal` gives
    a unit of x and a unit of y the same length. A panel with a field of kind "surface" is drawn in three dimensions,
    its series at the surface's height; it has one such field and no reference lines.
    """

    x: Axis
    y: Axis
    series: Sequence[Series] = ()
    references: Sequence[Reference] = ()
    title: str = ""
    fields: Sequence[Field] = ()
    equal: bool = False

    def __post_init__(self):
        if any(field.kind == "surface" for field in self.fields) and (len(self.fields) > 1 or self.references):
            raise InvalidInput(
                f"panel {self.title!r}: a surface stands alone, without other fields and without reference lines"
            )


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Panels side by side under one title; `caption` says what is seen, in a sentence or two.

    With `one_scale` fields of the same label share their colours, and so their heights. Where there is an `animation`
    (see `film`), the panels are its frames on paper, and a page plays it instead.

    >>> panel = Panel(x=Axis(label="step"), y=Axis(label="risk"), series=[Series(label="gd", x=[1, 2], y=[2, 1])])
    >>> Figure(name="risk", title="Risk", caption="Risk of the iterates.", panels=[panel]).name
    'risk'
    """

    name: str
    title: str
    caption: str
    panels: Sequence[Panel]
    one_scale: bool = False
    animation: Animation | None = None

    def __post_init__(self) -> None:
        if not self.panels:
            raise InvalidInput(f"figure {self.name!r} has no panels: there is nothing to draw in it yet")

    def save(self, path: Path | str) -> Path:
        """Draw the figure by matplotlib into a file ending in .svg, .png or .pdf; returns the path."""
        from lemmata.figures.static import render

        render(self, path)
        return Path(path)

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        from lemmata.figures.static import render

        return str(render(self))


def mean_and_band(values: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over the first axis with the Student-t interval of the mean; NaNs are left out point by point.

    Where one value is left there is a mean and no interval (NaN); where none is left, neither.

    >>> mean_and_band(np.array([[1.0], [3.0]]), level=0.5)
    (array([2.]), array([1.]), array([3.]))
    """
    from scipy.stats import t

    n = np.sum(~np.isnan(values), axis=0)
    mean = np.where(n > 0, np.nansum(values, axis=0) / np.maximum(n, 1), np.nan)
    with np.errstate(invalid="ignore"):  # an infinite value has an infinite mean, and no interval
        variance = np.nansum((values - mean) ** 2, axis=0) / np.maximum(n - 1, 1)
    half = t.ppf(0.5 + level / 2, np.maximum(n - 1, 1)) * np.sqrt(variance / np.maximum(n, 1))
    half = np.where(n > 1, half, np.nan)
    return mean, mean - half, mean + half


def _stacked(label: str, column: str, curves: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    if not curves:
        raise InvalidInput(f"series {label!r}: no row has a curve {column!r}")
    points = max((curve.x for curve in curves), key=len)
    values = np.full((len(curves), len(points)), np.nan)
    for row, curve in zip(values, curves, strict=True):
        if not np.array_equal(curve.x, points[: len(curve.x)]):
            raise InvalidInput(f"series {label!r}: the curves {column!r} were recorded at different points")
        row[: len(curve.x)] = curve.y
    return points, values
