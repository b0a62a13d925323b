"""Shapes with a location: a peak over a swept field, two descents along a curve, or one only.

A descent-ascent-descent is measured by its *bump*: the height of the peak above the larger of the two minima that
enclose it, maximal over all choices of the three. A curve that falls, or falls and rises once, has bump 0. A rise
that an unstable step size makes is no double descent, so the curve kinds carry a guard: the training loss, which
must not rise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from lemmata.study.kinds.component import INF, Component, by_seed, component

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

    `smooth` is the width of a running mean taken first (odd; edges repeat). O(T).

    >>> bump(np.arange(5.0), np.array([3.0, 1.0, 2.0, 0.5, 4.0]))
    Bump(height=np.float64(1.0), first_minimum=np.float64(1.0), peak=np.float64(2.0), second_minimum=np.float64(3.0))
    """
    if smooth > 1:
        y = np.convolve(np.pad(y, smooth // 2, mode="edge"), np.ones(smooth) / smooth, "valid")
    before = np.minimum.accumulate(y)
    after = np.minimum.accumulate(y[::-1])[::-1]
    heights = y - np.maximum(before, after)
    peak = int(np.argmax(heights))
    if heights[peak] <= 0:
        return Bump(0.0, np.nan, np.nan, np.nan)
    first, second = int(np.argmin(y[:peak])), peak + int(np.argmin(y[peak:]))
    return Bump(heights[peak], x[first], x[peak], x[second])


def largest_rise(curve: Curve) -> float:
    """How far a curve rises above its lowest value so far, as a share of its first value; 0 if it never rises.

    >>> from lemmata.study.measurements import Curve
    >>> largest_rise(Curve([1, 2, 3], [4.0, 1.0, 2.0]))
    0.25
    """
    return float((curve.y - np.minimum.accumulate(curve.y)).max() / abs(curve.y[0]))


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
        pivot = by_seed(table, self.of, self.over).dropna(axis=0, how="any")
        x = np.asarray(pivot.columns, dtype=float)
        bumps = pivot.apply(lambda row: bump(x, row.to_numpy(dtype=float)), axis=1)
        parts = [component("bump", bumps.map(lambda b: b.height), (self.height, INF), null=0.0)]
        if paper is not None:
            where = bumps.map(lambda b: b.peak)
            spacing = _spacing(x, paper)
            parts.append(component(f"peak at {self.over}", where, region, resolution=spacing))
        return parts

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
        parts = [component("bump", bumps.map(lambda b: b.height), (self.height, INF), null=0.0)]
        if paper is not None:
            where = bumps.map(lambda b: getattr(b, self.locate))
            x = np.unique(np.concatenate([c.x for c in table[self.of]]))
            label = self.locate.replace("_", " ")
            parts.append(component(label, where, region, resolution=_spacing(x, paper)))
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
        part = component("bump", bumps.map(lambda b: b.height), (0.0, self.height))
        return [part, *_guard(table, self.guard, self.tolerance)]

    def describe(self) -> str:
        """Say what is computed."""
        guard = f", while {self.guard} rises by at most {self.tolerance:g} of its start" if self.guard else ""
        return f"bump of {self.of} at most {self.height:g}{guard}"


def _bumps(table: pd.DataFrame, of: str, smooth: int) -> pd.Series:
    return by_seed(table, of)[of].map(lambda curve: bump(curve.x, curve.y, smooth=smooth))


def _guard(table: pd.DataFrame, guard: str | None, tolerance: float) -> list[Component]:
    if guard is None:
        return []
    rises = by_seed(table, guard)[guard].map(largest_rise)
    return [component(f"largest rise of {guard}", rises, (-INF, tolerance), exact=True)]


def _spacing(x: np.ndarray, at: float) -> float:
    x = np.sort(x)
    place = int(np.clip(np.searchsorted(x, at), 1, len(x) - 1))
    return float(x[place] - x[place - 1])
