"""When a curve reaches a level, how two such times compare, and that it never does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.study.kinds.component import INF, Component, by_seed, column, component, each_curve, is_curve, level

if TYPE_CHECKING:
    import pandas as pd

    from lemmata.study.measurements import Curve


def first_crossing(curve: Curve, threshold: float, *, rising: bool = False) -> float:
    """The first x at which the curve is at or beyond the threshold; infinity when it never is.

    >>> from lemmata.study.measurements import Curve
    >>> first_crossing(Curve([1, 2, 3], [0.9, 0.4, 0.1]), 0.5)
    2.0
    """
    place = _place(curve, threshold, rising)
    return INF if place is None else float(curve.x[place])


def resolution(curve: Curve, threshold: float, *, rising: bool = False) -> float:
    """The spacing of the curve's points before its first crossing, to which the crossing is known; NaN without one.

    >>> from lemmata.study.measurements import Curve
    >>> resolution(Curve([1, 2, 4], [0.9, 0.6, 0.1]), 0.5)
    2.0
    """
    place = _place(curve, threshold, rising)
    if place is None or len(curve.x) < 2:
        return np.nan
    right = max(place, 1)
    return float(curve.x[right] - curve.x[right - 1])


def _place(curve: Curve, threshold: float, rising: bool) -> int | None:
    hit = curve.y >= threshold if rising else curve.y <= threshold
    return int(np.argmax(hit)) if hit.any() else None


@dataclass(frozen=True, kw_only=True)
class reached:  # noqa: N801
    """The mean over seeds of the first x at which curve `of` falls to `threshold` (rises to it: `rising`).

    A run that never gets there has time infinity; the verdict then rests on the median.

    >>> reached(of="train_loss", threshold=0.01).describe()
    'mean over seeds of the first point at which train_loss <= 0.01'
    """

    of: str
    threshold: float
    rising: bool = False

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One component: the crossing time of each seed, known to the spacing of the curve's points."""
        curves = by_seed(table, self.of, curves=True)[self.of]
        label = f"point where {self.of} passes {self.threshold:g}"
        return [component(label, _times(curves, self), region, resolution=_mean(_spacings(curves, self)))]

    def describe(self) -> str:
        """Say what is computed."""
        return f"mean over seeds of the first point at which {_condition(self)}"


@dataclass(frozen=True, kw_only=True)
class time_ratio:  # noqa: N801
    """The mean over seeds of time(between[1]) / time(between[0]), time being the first x at the threshold.

    Infinite where only between[1] never gets there, 0 where only between[0] does not, no number where neither does.

    >>> time_ratio(of="loss", threshold=0.01, over="labels", between=("true", "random")).describe()
    'mean over seeds of the first point at which loss <= 0.01, at labels = random divided by that at true'
    """

    of: str
    threshold: float
    over: str
    between: tuple[Any, Any]
    rising: bool = False
    null: float | None = 1.0

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One component: the paired ratio of times, known to what the spacing of the points makes of it."""
        pivot = by_seed(table, self.of, self.over, curves=True)
        below, above = (level(pivot, side) for side in self.between)
        base, other = _times(below, self), _times(above, self)
        ratios = other / base
        grid = ratios * (_spacings(below, self) / base + _spacings(above, self) / other)  # to first order
        label = f"ratio of times to {self.of} = {self.threshold:g}"
        return [component(label, ratios, region, null=self.null, resolution=_mean(grid))]

    def describe(self) -> str:
        """Say what is computed."""
        sides = f"at {self.over} = {self.between[1]} divided by that at {self.between[0]}"
        return f"mean over seeds of the first point at which {_condition(self)}, {sides}"


@dataclass(frozen=True, kw_only=True)
class never:  # noqa: N801
    """In no run does curve `of` fall to `threshold` (rise to it: `rising`) within the budget.

    >>> never(of="train_error", threshold=0.5).describe()
    'train_error <= 0.5 at no recorded point of any run'
    """

    of: str
    threshold: float
    rising: bool = False

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One exact component: 1 where a run reaches the level, 0 where it does not; all must be 0."""
        found = column(table, self.of, curves=True)
        curves = found[found.map(is_curve)]
        hit = np.array([np.isfinite(first_crossing(c, self.threshold, rising=self.rising)) for c in curves])
        seeds = tuple(int(seed) for seed in table.loc[curves.index, "seed"])
        label, dropped = f"reaches {self.threshold:g}", len(found) - len(curves)
        return [Component(label, hit.astype(float), 0.0, 0.0, exact=True, seeds=seeds, dropped=dropped)]

    def describe(self) -> str:
        """Say what is computed."""
        return f"{_condition(self)} at no recorded point of any run"


def _times(curves: pd.Series, kind: reached | time_ratio) -> pd.Series:
    return each_curve(curves, lambda c: first_crossing(c, kind.threshold, rising=kind.rising)).astype(float)


def _spacings(curves: pd.Series, kind: reached | time_ratio) -> pd.Series:
    return each_curve(curves, lambda c: resolution(c, kind.threshold, rising=kind.rising)).astype(float)


def _mean(spacings: pd.Series) -> float:
    finite = spacings[np.isfinite(spacings)]
    return float(finite.mean()) if len(finite) else 0.0


def _condition(kind: reached | time_ratio | never) -> str:
    return f"{kind.of} {'>=' if kind.rising else '<='} {kind.threshold:g}"
