"""A kind of claim for a quantity that is known of each problem itself: what was found over what is true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lemmata.study.kinds.component import Component, by_seed, component

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class over_truth:  # noqa: N801  (a constructor read as a word, as the other kinds)
    """The mean over seeds of `of` divided by `truth`, another column of the same records, lies in the claim's region.

    >>> over_truth(of="erank", truth="true_erank").describe()
    'mean over seeds of erank divided by true_erank'
    """

    of: str
    truth: str

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One component: the quotient of each seed."""
        quotient = by_seed(table, self.of)[self.of] / by_seed(table, self.truth)[self.truth]
        return [component(f"{self.of} over {self.truth}", quotient, region)]

    def describe(self) -> str:
        """Say what is computed."""
        return f"mean over seeds of {self.of} divided by {self.truth}"
