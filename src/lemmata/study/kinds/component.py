"""What every kind of claim comes down to: one number a seed, and the region in which the claim holds.

A claim holds when all its components hold (an intersection-union: no correction is needed inside a claim).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lemmata.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

INF = math.inf


@dataclass(frozen=True)
class Component:
    """A per-seed statistic with the region low <= mean <= high in which the claim holds.

    `null` is the value that means "no effect": beyond it on the region's side the direction is right even if the
    magnitude is not. `resolution` is the spacing of the grid the statistic lives on (0 for a continuous one): a
    standard deviation below resolution / sqrt(12) is not believed. `exact` components are judged seed by seed,
    without statistics. `dropped` counts the seeds that gave no number.

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


def by_seed(table: pd.DataFrame, of: str, over: str | None = None) -> pd.DataFrame:
    """Arrange `of` with a row a seed and a column a level of `over`; every other field must be one value.

    Raises `InvalidInput` when a measurement or field is missing, or when rows differ in a field nobody named.
    """
    for name in (of, over):
        if name is not None and name not in table.columns:
            raise InvalidInput(f"no column {name!r} in the records; there are {', '.join(map(str, table.columns))}")
    keys = ["seed"] if over is None else ["seed", over]
    if table.duplicated(keys).any():
        fields = table.attrs.get("fields", [])
        varying = [name for name in fields if name not in keys and table[name].astype(str).nunique() > 1]
        raise InvalidInput(
            f"several records a seed for {of!r}: they differ in {', '.join(varying) or 'nothing recorded'}; "
            "narrow the claim with select={...} or name the field in `over`"
        )
    if over is None:
        return table.set_index("seed")[[of]].sort_index()
    return table.pivot(index="seed", columns=over, values=of).sort_index()


def component(label: str, values: pd.Series, region: tuple[float, float], **rest) -> Component:
    """Make a component of a per-seed series: seeds without a number are dropped and counted."""
    kept = values.astype(float)
    kept = kept[~kept.isna()]
    return Component(
        label, kept.to_numpy(), region[0], region[1], seeds=tuple(int(s) for s in kept.index),
        dropped=len(values) - len(kept), **rest,
    )  # fmt: skip


def level(pivot: pd.DataFrame, value: object) -> pd.Series:
    """The column of one level; says which levels there are when it is missing."""
    if value not in pivot.columns:
        raise InvalidInput(f"no records at {value!r}; levels recorded: {', '.join(map(str, pivot.columns))}")
    return pivot[value]
