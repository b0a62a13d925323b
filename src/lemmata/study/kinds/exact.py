"""An identity, or a bound that every single run keeps: a residual below a tolerance, an accuracy of 1 in all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lemmata.study.kinds.component import INF, Component, column

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class exact:  # noqa: N801
    """`of` lies between `at_least` and `at_most` (and in the claim's region, if it has one) in every record.

    No mean, no interval, no exception: a record without the number leaves the claim open.

    >>> exact(of="residual", at_most=1e-9).describe()
    'residual <= 1e-09 in every record'
    """

    of: str
    at_least: float = -INF
    at_most: float = INF

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One component: the value of every record."""
        kept = column(table, self.of, curves=False).astype(float).dropna()
        seeds = tuple(int(seed) for seed in table.loc[kept.index, "seed"])
        low, high = max(self.at_least, region[0]), min(self.at_most, region[1])
        dropped = len(table) - len(kept)
        return [Component(self.of, kept.to_numpy(), low, high, exact=True, seeds=seeds, dropped=dropped)]

    def describe(self) -> str:
        """Say what is computed."""
        low = f"{self.at_least:g} <= " if self.at_least > -INF else ""
        high = f" <= {self.at_most:g}" if self.at_most < INF else ""
        return f"{low}{self.of}{high} in every record"
