"""What every kind of claim comes down to: one number a seed, and the region in which the claim holds.

A claim holds when all its components hold (an intersection-union: no correction is needed inside a claim).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from lemmata.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

INF = math.inf


@dataclass(frozen=True)
class Component:
    """A per-seed statistic with the region low <= mean <= high in which the claim holds.

    `null` is the value that means "no effect": beyond it on the region's side the direction is right even if the
    magnitude is not, and where it is an edge of the region it does not belong to it. `resolution` is the spacing of
    the grid the statistic lives on (0 for a continuous one): a standard deviation below resolution / sqrt(12) is not
    believed. `exact` components are judged seed by seed, without statistics. `dropped` counts the seeds that gave no
    number.

    >>> Component("slope", np.array([0.9, 1.1]), low=0.5, high=1.5).n
    2
    """

    label: str
    samples: np.ndarray
    low: float = -INF
    high: float = INF
    null: float | None = None
    resolution: float = 0.0
    exact: bool = False
    seeds: tuple[int, ...] = field(default=())
    dropped: int = 0

    @property
    def n(self) -> int:
        """The number of seeds that count."""
        return len(self.samples)


class Kind(Protocol):
    """A kind of claim: names the statistic, and gives its components from a table of records.

    `table` has a row a member: a column for each field of the configuration (dotted), each scalar and each curve.
    `paper` is the paper's number (or None), `region` the interval that the claim's margin makes of it.
    """

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """Reduce the table to one number a seed for each thing that has to hold."""
        ...

    def describe(self) -> str:
        """Say in words what is computed, for the report's methods."""
        ...


def column(table: pd.DataFrame, name: str, *, curves: bool | None = None) -> pd.Series:
    """A column of the records; with `curves` given, one that holds curves (True) or numbers (False).

    A run that did not record the quantity has NaN there. Raises `InvalidInput` naming what there is instead.
    """
    if name not in table.columns:
        raise InvalidInput(f"no column {name!r} in the records; there are {', '.join(map(str, table.columns))}")
    values = table[name]
    if curves is None:
        return values
    are_curves = values.map(is_curve)
    if curves and not (are_curves | values.isna()).all():
        raise InvalidInput(f"{name!r} is a number a record, and a curve is wanted; measure it as a Curve")
    if not curves and are_curves.any():
        raise InvalidInput(f"{name!r} is a curve, and a number a record is wanted; measure its value, or use a shape")
    return values


def is_curve(value: object) -> bool:
    """Whether a cell of the table holds a `Curve`."""
    return hasattr(value, "x") and hasattr(value, "y")


def by_seed(table: pd.DataFrame, of: str, over: str | None = None, *, curves: bool = False) -> pd.DataFrame:
    """Arrange `of` with a row a seed and a column a level of `over`; every other field must be one value.

    Raises `InvalidInput` when a measurement or field is missing, when it is a curve and a number is wanted (or the
    other way round), or when rows differ in a field nobody named.
    """
    values = column(table, of, curves=curves)
    frame = values.to_frame(of)[[of]].assign(seed=table["seed"])
    keys = ["seed"]
    if over is not None:
        frame["over"], keys = column(table, over).map(_hashable), ["seed", "over"]
    if frame.duplicated(keys).any():
        raise InvalidInput(
            f"several records a seed for {of!r}: they differ in {_varying(table, over)}; "
            "narrow the claim with select={...} or name the field in `over`"
        )
    if over is None:
        return frame.set_index("seed")[[of]].sort_index()
    return frame.pivot(index="seed", columns="over", values=of).sort_index()


def numeric_levels(pivot: pd.DataFrame, over: str, *, fewest: int) -> np.ndarray:
    """The levels of a sweep as numbers, increasing; raises `InvalidInput` when there are too few, or words."""
    try:
        levels = np.asarray(pivot.columns, dtype=float)
    except (TypeError, ValueError):
        raise InvalidInput(f"{over!r} takes {_listed(pivot)}; a sweep over numbers is wanted") from None
    if len(levels) < fewest or not np.isfinite(levels).all():
        raise InvalidInput(f"{over!r} takes {_listed(pivot)}; {fewest} or more finite levels are wanted")
    return levels


def each_row(pivot: pd.DataFrame, function: Callable[[np.ndarray], Any]) -> pd.Series:
    """Apply a function to the numbers of each seed."""
    import pandas as pd

    rows = [function(np.asarray(row, dtype=float)) for row in pivot.to_numpy()]
    return pd.Series(rows, index=pivot.index, dtype=object)


def each_curve(curves: pd.Series, function: Callable[[Any], Any], *, missing: Any = np.nan) -> pd.Series:
    """Apply a function to the curve of each seed; `missing` where a run recorded none."""
    return curves.map(lambda curve: function(curve) if is_curve(curve) else missing)


def component(label: str, values: pd.Series, region: tuple[float, float], **rest: Any) -> Component:
    """Make a component of a per-seed series: seeds without a number are dropped and counted."""
    kept = values.astype(float)
    kept = kept[~kept.isna()]
    return Component(
        label, kept.to_numpy(), region[0], region[1], seeds=tuple(int(s) for s in kept.index),
        dropped=len(values) - len(kept), **rest,
    )  # fmt: skip


def level(pivot: pd.DataFrame, value: object) -> pd.Series:
    """The column of one level; says which levels there are when it is missing."""
    here = pivot.columns.isna() if value is None else [name == _hashable(value) for name in pivot.columns]
    if any(here):
        return pivot.iloc[:, int(np.argmax(here))]
    raise InvalidInput(f"no records at {value!r}; levels recorded: {_listed(pivot)}")


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _listed(pivot: pd.DataFrame) -> str:
    return ", ".join(map(str, pivot.columns))


def _varying(table: pd.DataFrame, over: str | None) -> str:
    fields = [name for name in table.attrs.get("fields", []) if name not in ("seed", over)]
    return ", ".join(name for name in fields if table[name].astype(str).nunique() > 1) or "nothing recorded"
