"""Shapes with a location: a peak over a swept field, two descents along a curve, or one only.

A descent-ascent-descent is measured by its *bump*: the height of the peak above the larger of the two minima that
enclose it, maximal over all choices of the three. A curve that falls, or falls and rises once, has bump 0. Its place
is claimed only of seeds whose bump is above the claim's `height`; the others count as seeds without a place. A rise
that an unstable step size makes is no double descent, so the curve kinds carry a guard: the training loss, which
must not rise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.study.kinds.component import (
    INF,
    Component,
    by_seed,
    component,
    each_curve,
    each_row,
    is_curve,
    numeric_levels,
)

if TYPE_CHECKING:
    import pandas as pd

    from lemmata.study.measurements import Curve


class Bump(NamedTuple):
    """Height of a peak above the larger of its neighbouring minima, and where the three points are."""

    height: float
    first_minimum: float
    peak: float
    second_minimum: float


def bump(x: np.ndarray, y: np.ndarray, *, smooth: int = 1) -> Bump:
    """The largest minimum-peak-minimum of a curve; height 0 and NaN locations when there is none.

    `smooth` is the width of a running mean taken first (odd; edges repeat). A flat top or bottom is located at its
    middle point. A peak may be infinite; a NaN anywhere makes everything NaN. O(T).

    >>> bump(np.arange(5.0), np.array([3.0, 1.0, 2.0, 0.5, 4.0]))
    Bump(height=1.0, first_minimum=1.0, peak=2.0, second_minimum=3.0)
    """
    if smooth < 1 or smooth % 2 == 0:
        raise InvalidInput(f"smooth = {smooth}: the width of a running mean is an odd number, such as 3")
    if len(y) < 3:
        raise InvalidInput(f"a minimum, a peak and a minimum want three points, got {len(y)}")
    if np.isnan(y).any():
        return Bump(np.nan, np.nan, np.nan, np.nan)
    if smooth > 1:
        y = np.convolve(np.pad(y, smooth // 2, mode="edge"), np.ones(smooth) / smooth, "valid")
    before = np.minimum.accumulate(y)
    after = np.minimum.accumulate(y[::-1])[::-1]
    floor = np.maximum(before, after)
    heights = np.where(y > floor, y, 0.0) - np.where(y > floor, floor, 0.0)  # no infinity minus infinity
    top = int(np.argmax(heights))
    if heights[top] <= 0:
        return Bump(0.0, np.nan, np.nan, np.nan)
    first, second = _middle(-y[:top]), top + _middle(-y[top:])
    return Bump(*map(float, (heights[top], x[first], x[top + _middle(heights[top:])], x[second])))


def _middle(y: np.ndarray) -> int:
    """The middle of the first stretch of points at which y is largest."""
    start = int(np.argmax(y))
    below = np.flatnonzero(y[start:] < y[start])
    return start + (int(below[0]) - 1 if len(below) else len(y) - 1 - start) // 2


def largest_rise(curve: Curve) -> float:
    """How far a curve rises above its lowest value so far, as a share of its first value; 0 if it never rises.

    Infinite for a curve that has a NaN: a loss that is no number any more has risen beyond all bounds.

    >>> from lemmata.study.measurements import Curve
    >>> largest_rise(Curve([1, 2, 3], [4.0, 1.0, 2.0]))
    0.25
    """
    if not np.isfinite(curve.y).all():
        return INF
    rise, start = float((curve.y - np.minimum.accumulate(curve.y)).max()), abs(float(curve.y[0]))
    return rise / start if start else (INF if rise else 0.0)


@dataclass(frozen=True, kw_only=True)
class peak:  # noqa: N801
    """`of`, swept over the numeric field `over`, has an inner peak higher than `height` above both sides.

    With a paper's number the location of the peak is claimed too, to the spacing of the sweep.

    >>> peak(of="risk", over="aspect", height=1.0).describe()
    'risk has a peak over aspect, more than 1 above both sides; its location'
    """

    of: str
    over: str
    height: float = 0.0

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """The bump of each seed, and the location of its peak."""
        pivot = by_seed(table, self.of, self.over)
        x = numeric_levels(pivot, self.over, fewest=3)
        bumps = _frame(each_row(pivot, lambda row: bump(x, row)))
        label = f"peak at {self.over}"
        return _bump_and_place(bumps, self.height, "peak", label, x, paper=paper, region=region)

    def describe(self) -> str:
        """Say what is computed."""
        return f"{self.of} has a peak over {self.over}, more than {self.height:g} above both sides; its location"


@dataclass(frozen=True, kw_only=True)
class double_descent:  # noqa: N801
    """Curve `of` falls, rises by more than `height`, and falls again, while curve `guard` never rises.

    With a paper's number, the location named by `locate` is claimed too. `tolerance` is the rise of the guard, as a
    share of its first value, that rounding (full batch) or sampling (mini-batch) may make.

    >>> double_descent(of="risk", guard="train_loss", height=0.005).describe()
    'bump of risk above 0.005, while train_loss rises by at most 1e-09 of its start; location of its peak'
    """

    of: str
    height: float = 0.0
    locate: Literal["first_minimum", "peak", "second_minimum"] = "peak"
    smooth: int = 1
    guard: str | None = None
    tolerance: float = 1e-9

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """The bump of each seed, the location claimed, and the guard."""
        bumps = _bumps(table, self.of, self.smooth)
        x = np.unique(np.concatenate([curve.x for curve in table[self.of] if is_curve(curve)] or [np.zeros(0)]))
        label = self.locate.replace("_", " ")
        parts = _bump_and_place(bumps, self.height, self.locate, label, x, paper=paper, region=region)
        return parts + _guard(table, self.guard, self.tolerance)

    def describe(self) -> str:
        """Say what is computed."""
        guard = f", while {self.guard} rises by at most {self.tolerance:g} of its start" if self.guard else ""
        return f"bump of {self.of} above {self.height:g}{guard}; location of its {self.locate.replace('_', ' ')}"


@dataclass(frozen=True, kw_only=True)
class single_descent:  # noqa: N801
    """Curve `of` has one minimum: its bump is at most `height`, while curve `guard` never rises.

    >>> single_descent(of="risk", height=0.005).describe()
    'bump of risk at most 0.005'
    """

    of: str
    height: float
    smooth: int = 1
    guard: str | None = None
    tolerance: float = 1e-9

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """The bump of each seed, and the guard."""
        bumps = _bumps(table, self.of, self.smooth)
        part = component("bump", bumps["height"], (-INF, self.height))
        return [part, *_guard(table, self.guard, self.tolerance)]

    def describe(self) -> str:
        """Say what is computed."""
        guard = f", while {self.guard} rises by at most {self.tolerance:g} of its start" if self.guard else ""
        return f"bump of {self.of} at most {self.height:g}{guard}"


def _bumps(table: pd.DataFrame, of: str, smooth: int) -> pd.DataFrame:
    curves = by_seed(table, of, curves=True)[of]
    return _frame(each_curve(curves, lambda curve: bump(curve.x, curve.y, smooth=smooth), missing=Bump(*[np.nan] * 4)))


def _frame(bumps: pd.Series) -> pd.DataFrame:
    """A row a seed, a column for each field of a bump."""
    import pandas as pd

    return pd.DataFrame(bumps.tolist(), index=bumps.index, columns=list(Bump._fields), dtype=float)


def _bump_and_place(
    bumps: pd.DataFrame, height: float, place: str, label: str, x: np.ndarray, *, paper: float | None, region
) -> list[Component]:
    """The heights, and with a paper's number the place of those that are above `height`."""
    parts = [component("bump", bumps["height"], (height, INF), null=0.0)]
    if paper is not None:
        where = bumps[place].where(bumps["height"] > height)
        parts.append(component(label, where, region, resolution=_spacing(x, paper)))
    return parts


def _guard(table: pd.DataFrame, guard: str | None, tolerance: float) -> list[Component]:
    if guard is None:
        return []
    rises = each_curve(by_seed(table, guard, curves=True)[guard], largest_rise)
    return [component(f"largest rise of {guard}", rises, (-INF, tolerance), exact=True)]


def _spacing(x: np.ndarray, at: float) -> float:
    """The distance between the points of x around a place."""
    if len(x) < 2:
        return 0.0
    right = int(np.clip(np.searchsorted(x, at), 1, len(x) - 1))
    return float(x[right] - x[right - 1])
