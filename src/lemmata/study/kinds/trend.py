"""A monotone trend: Spearman's rank correlation of a quantity with a swept field, seed by seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lemmata.study.kinds.component import Component, by_seed, component

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class trend:  # noqa: N801
    """Spearman's rho between `over` and `of` is at least `at_least` (or at most minus it, when `falling`).

    >>> trend(of="test_error", over="corruption").describe()
    "mean over seeds of Spearman's rho between corruption and test_error, at least 0.9"
    """

    of: str
    over: str
    at_least: float = 0.9
    falling: bool = False

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One component: rho of each seed."""
        from scipy.stats import spearmanr

        pivot = by_seed(table, self.of, self.over).dropna(axis=0, how="any")
        levels = np.asarray(pivot.columns, dtype=float)
        rho = pivot.apply(lambda row: spearmanr(levels, row.to_numpy(dtype=float)).statistic, axis=1)
        bounds = (-1.0, -self.at_least) if self.falling else (self.at_least, 1.0)
        return [component("Spearman's rho", rho, bounds, null=0.0)]

    def describe(self) -> str:
        """Say what is computed."""
        bound = f"at most -{self.at_least:g}" if self.falling else f"at least {self.at_least:g}"
        return f"mean over seeds of Spearman's rho between {self.over} and {self.of}, {bound}"
