"""A kind of claim for curves that theory gives: at every level of a sweep, the relative deviation is within its error.

The error is stated beforehand, level by level, and recorded beside the deviation. Each level is a component of its own,
so that the claim is about the largest deviation: it holds only if it is shown at all of them. No correction for several
levels is needed, since all have to hold; the samples of a level are the seeds. Where the limit is infinite nothing is
stated, and the level cannot be part of a claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.study.kinds.component import Component, by_seed, component, numeric_levels

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class near_theory:  # noqa: N801  (a constructor read as a word, as the other kinds)
    """The mean over seeds of `of`, a relative deviation, is between -`within` and `within` at each level of `over`.

    `within` names the column of the stated error, which is the same for all seeds of a level.

    >>> near_theory(of="deviation", over="features", within="stated_error").describe()
    'mean over seeds of deviation, within stated_error at each level of features'
    """

    of: str
    over: str
    within: str

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One component a level. Raises `InvalidInput` for an infinite error, which every deviation would keep."""
        deviations = by_seed(table, self.of, self.over)
        errors = by_seed(table, self.within, self.over)
        levels = numeric_levels(deviations, self.over, fewest=1)
        stated = [float(np.nanmax(errors[column].astype(float))) for column in deviations.columns]
        if np.isinf(stated).any():
            vacuous = levels[np.isinf(stated)].tolist()
            raise InvalidInput(f"{self.within} is infinite at {self.over} = {vacuous}: leave these levels out")
        return [
            component(f"{self.of} at {self.over} = {level:g}", deviations[column], (-error, error))
            for level, column, error in zip(levels, deviations.columns, stated, strict=True)
        ]

    def describe(self) -> str:
        """Say what is computed."""
        return f"mean over seeds of {self.of}, within {self.within} at each level of {self.over}"
