"""A figure as data: panels of series with error bands, reference lines and axes with units.

A figure is described once and rendered by matplotlib (`lemmata.figures.static`: SVG, PNG, PDF) and by plotly
(`lemmata.report.interactive`). Roles, not colours, are chosen here; the renderers map roles and order to a palette
that survives print and colour blindness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from lemmata.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

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

    @classmethod
    def over_seeds(
        cls, label: str, table: pd.DataFrame, *, x: str | None = None, y: str, level: float = 0.95, **rest: Any
    ) -> Self:
        """The mean over seeds with its Student-t interval at each point.

        With `x`, a swept numeric field, `y` is a scalar column; without it, `y` is a column of curves that share
        their points (those of the shortest are kept).
        """
        if x is None:
            curves = list(table[y])
            length = min(len(curve.x) for curve in curves)
            points, values = curves[0].x[:length], np.stack([curve.y[:length] for curve in curves])
        else:
            pivot = table.pivot(index="seed", columns=x, values=y).sort_index(axis=1)
            points, values = pivot.columns.to_numpy(dtype=float), pivot.to_numpy(dtype=float)
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
    """One pair of axes with its series and reference lines."""

    x: Axis
    y: Axis
    series: Sequence[Series]
    references: Sequence[Reference] = ()
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Panels side by side under one title; `caption` says what is seen, in a sentence or two.

    >>> panel = Panel(x=Axis(label="step"), y=Axis(label="risk"), series=[Series(label="gd", x=[1, 2], y=[2, 1])])
    >>> Figure(name="risk", title="Risk", caption="Risk of the iterates.", panels=[panel]).name
    'risk'
    """

    name: str
    title: str
    caption: str
    panels: Sequence[Panel]


def mean_and_band(values: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over the first axis with the Student-t interval of the mean; NaNs are left out point by point.

    >>> mean_and_band(np.array([[1.0], [3.0]]), level=0.5)[0]
    array([2.])
    """
    from scipy.stats import t

    n = np.sum(~np.isnan(values), axis=0)
    shown = np.where(n > 0, n, 1)
    mean = np.nansum(values, axis=0) / shown
    variance = np.nansum((values - mean) ** 2, axis=0) / np.maximum(n - 1, 1)
    half = np.where(n > 1, t.ppf(0.5 + level / 2, np.maximum(n - 1, 1)) * np.sqrt(variance / shown), 0.0)
    return np.where(n > 0, mean, np.nan), mean - half, mean + half
