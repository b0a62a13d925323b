"""An identity, or a bound that every single run keeps: a residual below a tolerance, an accuracy of 1 in all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lemmata.errors import InvalidInput
from lemmata.study.kinds.component import INF, Component

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class exact:  # noqa: N801
    """`of` lies between `at_least` and `at_most` in every record: no mean, no interval, no exception.

    >>> exact(of="residual", at_most=1e-9).describe()
    'residual <= 1e-09 in every record'
    """

    of: str
    at_least: float = -INF
    at_most: float = INF

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One component: the value of every record."""
        if self.of not in table.columns:
            raise InvalidInput(f"no column {self.of!r} in the records; there are {', '.join(map(str, table.columns))}")
        values = table[self.of].astype(float)
        dropped = int(values.isna().sum())
        kept = values.dropna()
        seeds = tuple(int(seed) for seed in table.loc[kept.index, "seed"])
        return [
            Component(
                self.of,
                kept.to_numpy(),
                self.at_least,
                self.at_most,
                exact=True,
                seeds=seeds,
                dropped=dropped,
            )
        ]

    def describe(self) -> str:
        """Say what is computed."""
        low = f"{self.at_least:g} <= " if self.at_least > -INF else ""
        high = f" <= {self.at_most:g}" if self.at_most < INF else ""
        return f"{low}{self.of}{high} in every record"
