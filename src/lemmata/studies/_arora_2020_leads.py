"""Claims about classifiers on a collection of tables: one number a random split, from the accuracies on all tables.

For each seed, one random split of every table, the accuracies form a matrix (tables, classifiers); a statistic of it is
that seed's number. Its spread over seeds is what splitting makes of it; the tables are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from lemmata.kernels import RankComparison, rank_comparison
from lemmata.study.kinds import Component
from lemmata.study.kinds.component import column, component

if TYPE_CHECKING:
    from collections.abc import Sequence

CLASSIFIERS = ("ntk", "gaussian", "polynomial", "forest")
WORDS = {"rank": "average rank", "accuracy": "mean accuracy", "pma": "mean share of the best accuracy"}


@dataclass(frozen=True, kw_only=True)
class lead:  # noqa: N801  (a constructor read as a word, as those of lemmata.study.kinds)
    """How far `first` is ahead of each of `others` over all tables, among the four classifiers.

    >>> lead(of="rank", first="ntk", others=("forest",)).describe()
    'mean over random splits of how far ntk is ahead of forest in average rank over the tables'
    """

    of: Literal["rank", "accuracy", "pma"]
    first: str
    others: tuple[str, ...]

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One component for each of the others: the lead of each seed; none where a table is missing."""
        by_seed = matrices(table, sorted({*CLASSIFIERS, self.first, *self.others}))
        null = 0.0 if 0.0 in region else None
        return [
            component(f"lead over {other}", pd.Series({s: self._lead(m, other) for s, m in by_seed.items()}), region,
                      null=null)
            for other in self.others
        ]  # fmt: skip

    def describe(self) -> str:
        """Say what is computed."""
        return (
            f"mean over random splits of how far {self.first} is ahead of {', '.join(self.others)} in {WORDS[self.of]} "
            "over the tables"
        )

    def _lead(self, values: pd.DataFrame, other: str) -> float:
        if values.isna().any(axis=None):
            return np.nan
        values = values.round(12)  # sums of equal counts in another order are equal
        if self.of == "rank":
            ranks = values.rank(axis=1, ascending=False)
            return float((ranks[other] - ranks[self.first]).mean())
        shares = values if self.of == "accuracy" else values.div(values.max(axis=1), axis=0)
        return float((shares[self.first] - shares[other]).mean())


@dataclass(frozen=True, kw_only=True)
class each:  # noqa: N801
    """Every one of several numbers lies in the claim's region, in the mean over seeds.

    >>> each(of=("ntk", "forest")).describe()
    'means over random splits of ntk, forest'
    """

    of: tuple[str, ...]

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One component a number."""
        return [component(name, column(table.set_index("seed"), name), region) for name in self.of]

    def describe(self) -> str:
        """Say what is computed."""
        return f"means over random splits of {', '.join(self.of)}"


def matrices(table: pd.DataFrame, names: Sequence[str]) -> dict[int, pd.DataFrame]:
    """For each seed the accuracies with a row a table (NaN where none is recorded) and a column a classifier."""
    whole = table.set_index(["seed", "table"])[list(names)].astype(float)
    tables = sorted(set(table["table"]))
    return {int(seed): whole.loc[seed].reindex(tables) for seed in sorted(set(table["seed"]))}


def averaged(table: pd.DataFrame, names: Sequence[str] = CLASSIFIERS) -> RankComparison:
    """The comparison of accuracies averaged over splits, tables as units; incomplete tables are left out."""
    means = table.groupby("table")[list(names)].mean().dropna()
    return rank_comparison(means.to_numpy(), names)
