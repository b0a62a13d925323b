"""A monotone trend: Spearman's rank correlation of a quantity with a swept field, seed by seed.

The region is a half-line (rho >= 0.9, not 0.9 <= rho <= 1): 1 is the end of the scale and no margin, and a test that
the mean lies below 1 would punish perfect trends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lemmata.study.kinds.component import INF, Component, by_seed, component, each_row, numeric_levels

if TYPE_CHECKING:
    import pandas as pd


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rho, ties at their mean rank; 0 for a constant y, NaN if y has a NaN. Infinite values have a rank.

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, np.inf]))
    1.0
    """
    from scipy.stats import rankdata

    if np.isnan(y).any():
        return np.nan
    a, b = rankdata(x) - (len(x) + 1) / 2, rankdata(y) - (len(y) + 1) / 2
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else 0.0


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
        pivot = by_seed(table, self.of, self.over)
        levels = numeric_levels(pivot, self.over, fewest=3)
        rho = each_row(pivot, lambda row: spearman(levels, row))
        bounds = (-INF, -self.at_least) if self.falling else (self.at_least, INF)
        return [component("Spearman's rho", rho, bounds, null=0.0)]

    def describe(self) -> str:
        """Say what is computed."""
        bound = f"at most -{self.at_least:g}" if self.falling else f"at least {self.at_least:g}"
        return f"mean over seeds of Spearman's rho between {self.over} and {self.of}, {bound}"
