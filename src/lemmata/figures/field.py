"""A value over a plane, z(x, y), as data: a loss surface, an attention map, a table of two swept fields.

A field stands in a panel beside its series, which are drawn over it: a path on a contour plot, a point on a surface.
Its colours and its height follow a scale that is worked out here, once for every renderer: limits, round contour
levels, and round numbers to write at the colour bar. Where z is NaN or infinite, or not positive on a logarithmic
scale, there is a hole. Cost: none to speak of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lemmata.errors import InvalidInput

ROUNDING = 2e-9  # relative: what a value may lie beyond a level and still count as on it
LEVELS = 12  # about so many contour levels, if none are asked for
LEVELS_AT_MOST = 60
ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class Field:
    """Values `z` (ny, nx) at the points x (nx,) and y (ny,): z[i, j] belongs to (x[j], y[i]).

    `kind` is "contour" (filled, with labelled lines), "heatmap" (a cell a point, nothing between them) or "surface"
    (in three dimensions, lit from the side). `levels` is about how many contour levels there are, or the levels
    themselves. `limits` holds colours and heights to a range; what lies beyond is drawn in the end colours. The
    `palette` "grey" (black to white) is for heat maps that are images.
    Raises `InvalidInput` for shapes that disagree, points that do not increase, and a field without a finite value.

    >>> field = Field(label="loss", x=[-1, 0, 1], y=[0, 1], z=[[1, 0, 1], [2, 1, 2]])
    >>> field.z.shape, field.text
    ((2, 3), 'loss')
    """

    label: str
    x: np.ndarray | Sequence[float]
    y: np.ndarray | Sequence[float]
    z: np.ndarray | Sequence[Sequence[float]]
    kind: Literal["contour", "heatmap", "surface"] = "contour"
    unit: str = ""
    log: bool = False
    levels: int | Sequence[float] | None = None
    limits: tuple[float, float] | None = None
    palette: Literal["viridis", "grey"] = "viridis"

    def __post_init__(self):
        for name in ("x", "y", "z"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=float))
        x, y, z = np.asarray(self.x), np.asarray(self.y), np.asarray(self.z)
        if x.ndim != 1 or y.ndim != 1 or z.shape != (len(y), len(x)):
            raise InvalidInput(
                f"field {self.label!r} wants x (nx,), y (ny,) and z (ny, nx), got {x.shape}, {y.shape} and {z.shape}"
            )
        for name, points in (("x", x), ("y", y)):
            if len(points) < 2 or not (np.diff(points) > 0).all():
                raise InvalidInput(f"field {self.label!r}: {name} must be two or more increasing points, got {points}")
        if np.isnan(self.values).all():
            kept = "positive and finite" if self.log else "finite"
            raise InvalidInput(f"field {self.label!r} has no {kept} value to draw")
        if self.kind not in ("contour", "heatmap", "surface"):
            raise InvalidInput(f"field {self.label!r} is a contour, a heatmap or a surface, not a {self.kind!r}")
        if self.palette not in ("viridis", "grey"):
            raise InvalidInput(f"field {self.label!r} is drawn in viridis or in grey, not {self.palette!r}")
        if self.limits is not None and not (self.limits[0] < self.limits[1] and (not self.log or self.limits[0] > 0)):
            wanted = "positive and increasing, as its scale is logarithmic" if self.log else "increasing"
            raise InvalidInput(f"field {self.label!r}: limits must be {wanted}, got {self.limits}")

    @property
    def text(self) -> str:
        """The label with its unit."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label

    @property
    def values(self) -> np.ndarray:
        """The values, with NaN where there is nothing to draw."""
        z = np.asarray(self.z)
        return np.where(np.isfinite(z) & ((z > 0) | (not self.log)), z, np.nan)

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The heights at points on the plane, bilinear between the grid's; NaN off it and beside holes.

        >>> Field(label="z", x=[0, 1], y=[0, 1], z=[[0, 1], [2, 3]]).at(np.array([0.5]), np.array([0.5]))
        array([1.5])
        """
        gx, gy = np.asarray(self.x), np.asarray(self.y)
        column = np.clip(np.searchsorted(gx, x, side="right") - 1, 0, len(gx) - 2)
        row = np.clip(np.searchsorted(gy, y, side="right") - 1, 0, len(gy) - 2)
        u = (x - gx[column]) / (gx[column + 1] - gx[column])
        v = (y - gy[row]) / (gy[row + 1] - gy[row])
        z = self.values
        low = (1 - u) * z[row, column] + u * z[row, column + 1]
        high = (1 - u) * z[row + 1, column] + u * z[row + 1, column + 1]
        inside = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
        return np.where(inside, (1 - v) * low + v * high, np.nan)


@dataclass(frozen=True)
class Scale:
    """From values to colours: the ends, the contour levels, what is written at the bar, and whether it is logarithmic.

    `below` and `above` say that some values lie beyond the ends.
    """

    text: str
    low: float
    high: float
    log: bool
    levels: tuple[float, ...]
    ticks: tuple[float, ...]
    below: bool
    above: bool
    palette: str = "viridis"


def scale(fields: Sequence[Field]) -> Scale:
    """The scale that holds all values of these fields, which are alike in `log`, or the first limits among them.

    >>> scale([Field(label="loss", x=[0, 1], y=[0, 1], z=[[0.02, 0.3], [7, 90]], log=True)]).ticks
    (0.1, 1.0, 10.0, 100.0)
    """
    first, log = fields[0], fields[0].log
    low = min(float(np.nanmin(field.values)) for field in fields)
    high = max(float(np.nanmax(field.values)) for field in fields)
    limits = next((field.limits for field in fields if field.limits is not None), None)
    asked = first.levels
    if asked is not None and not isinstance(asked, int):
        levels = np.unique(np.asarray(asked, dtype=float))
        ends = limits or (min(low, levels[0]), max(high, levels[-1]))
        levels = levels[(levels > ends[0]) & (levels < ends[1])]
        levels = np.array([ends[0], *levels, ends[1]])
    else:
        ends = limits or _apart(low, high, log)
        levels = _rounded(*ends, asked or LEVELS, log=log)
        if limits is not None:
            inside = levels[(levels > limits[0]) & (levels < limits[1])]
            levels = np.array([limits[0], *inside, limits[1]])
    levels = levels[np.unique(np.linspace(0, len(levels) - 1, min(len(levels), LEVELS_AT_MOST)).astype(int))]
    start, end = float(levels[0]), float(levels[-1])
    ticks = _ticks(start, end, log=log)
    below, above = low < start - ROUNDING * abs(start), high > end + ROUNDING * abs(end)
    round_ones = tuple(ticks.tolist())
    return Scale(first.text, start, end, log, tuple(levels.tolist()), round_ones, below, above, first.palette)


def _apart(low: float, high: float, log: bool) -> tuple[float, float]:
    """The ends, moved apart where they are equal."""
    if high > low:
        return low, high
    return (low / 1.1, low * 1.1) if log else (low - (abs(low) * 0.1 or 1.0), low + (abs(low) * 0.1 or 1.0))


def _rounded(low: float, high: float, count: int, *, log: bool) -> np.ndarray:
    """About `count` round values from one at or below `low` to one at or above `high`."""
    decades = np.log10(high / low) if log else 0.0
    if not log or decades < max(0.6, count / 18):  # six levels a decade at most, which would be too few
        step = _step((high - low) / count)
        values = step * np.arange(np.floor(low / step), np.ceil(high / step) + 1)
        return np.array([low, *values[values > low]]) if log and values[0] <= 0 else values
    between = next((m for m in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3)) if len(m) * decades <= 1.3 * count), (1,))
    apart = max(1, round(decades / count))
    first, last = int(np.floor(np.log10(low) - 1e-9)), int(np.ceil(np.log10(high) + 1e-9))
    values = np.array([m * 10.0**power for power in range(first, last + apart, apart) for m in between])
    start = np.searchsorted(values, low * (1 + 1e-9), side="right") - 1
    return values[max(start, 0) : np.searchsorted(values, high * (1 - 1e-9)) + 1]


def _ticks(low: float, high: float, *, log: bool) -> np.ndarray:
    """Between three and eight round values on the scale."""
    if log and high / low >= 30:
        values = _rounded(low, high, 7, log=True)
        powers = values[np.isclose(np.log10(values) % 1, 0) | np.isclose(np.log10(values) % 1, 1)]
        values = powers if np.sum((powers >= low * 0.999) & (powers <= high * 1.001)) >= 3 else values
    else:
        values = _rounded(low, high, 6, log=False)
    room = 1e-6 * (high - low)
    return values[(values >= low - room) & (values <= high + room)]


def _step(raw: float) -> float:
    power = 10.0 ** np.floor(np.log10(raw))
    return float(min(m * power for m in ROUND if m * power >= raw * 0.999))
