"""A power law: the slope of log of(x) against log x, fitted seed by seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.study.kinds.component import Component, by_seed, component

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class scaling:  # noqa: N801
    """The least-squares slope of log `of` against log `over` lies in the claim's region around the exponent.

    >>> scaling(of="risk", over="n").describe()
    'mean over seeds of the log-log slope of risk against n'
    """

    of: str
    over: str
    null: float | None = 0.0

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One component: the exponent of each seed."""
        pivot = by_seed(table, self.of, self.over).dropna(axis=0, how="any")
        levels = np.asarray(pivot.columns, dtype=float)
        if len(levels) < 2 or np.any(levels <= 0) or (pivot.to_numpy(dtype=float) <= 0).any():
            raise InvalidInput(f"an exponent of {self.of!r} over {self.over!r} wants two or more positive points")
        slopes = pivot.apply(lambda row: np.polyfit(np.log(levels), np.log(row.to_numpy(dtype=float)), 1)[0], axis=1)
        return [component("exponent", slopes, region, null=self.null)]

    def describe(self) -> str:
        """Say what is computed."""
        return f"mean over seeds of the log-log slope of {self.of} against {self.over}"
