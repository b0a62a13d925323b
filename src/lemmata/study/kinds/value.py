"""A number within a margin of the paper's: one scalar, a difference or a ratio of two settings, a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lemmata.study.kinds.component import Component, by_seed, component, level

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class value:  # noqa: N801  (a constructor read as a word: kind=value(of="risk"))
    """The mean over seeds of a scalar lies in the claim's region.

    `null` is the value of "no effect" for the verdict *direction only*.

    >>> value(of="test_error").describe()
    'mean over seeds of test_error'
    """

    of: str
    null: float | None = None

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One component: the scalar itself."""
        return [component(self.of, by_seed(table, self.of)[self.of], region, null=self.null)]

    def describe(self) -> str:
        """Say what is computed."""
        return f"mean over seeds of {self.of}"


@dataclass(frozen=True, kw_only=True)
class difference:  # noqa: N801
    """The mean over seeds of of(between[1]) - of(between[0]), paired by seed; `over` is the field that differs.

    >>> difference(of="test_error", over="weight_decay", between=(0.0, 5e-4)).describe()
    'mean over seeds of test_error at weight_decay = 0.0005 minus at 0.0'
    """

    of: str
    over: str
    between: tuple[Any, Any]
    null: float | None = 0.0

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One component: the paired difference."""
        pivot = by_seed(table, self.of, self.over)
        gap = level(pivot, self.between[1]) - level(pivot, self.between[0])
        return [component(f"difference of {self.of}", gap, region, null=self.null)]

    def describe(self) -> str:
        """Say what is computed."""
        return f"mean over seeds of {self.of} at {self.over} = {self.between[1]} minus at {self.between[0]}"


@dataclass(frozen=True, kw_only=True)
class ratio:  # noqa: N801
    """The mean over seeds of of(between[1]) / of(between[0]), paired by seed; `over` is the field that differs.

    >>> ratio(of="epochs", over="labels", between=("true", "random")).describe()
    'mean over seeds of epochs at labels = random divided by that at true'
    """

    of: str
    over: str
    between: tuple[Any, Any]
    null: float | None = 1.0

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One component: the paired ratio."""
        pivot = by_seed(table, self.of, self.over)
        quotient = level(pivot, self.between[1]) / level(pivot, self.between[0])
        return [component(f"ratio of {self.of}", quotient, region, null=self.null)]

    def describe(self) -> str:
        """Say what is computed."""
        return f"mean over seeds of {self.of} at {self.over} = {self.between[1]} divided by that at {self.between[0]}"
