"""An order of settings: of(a) < of(b) < of(c), each step paired by seed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lemmata.errors import InvalidInput
from lemmata.study.kinds.component import INF, Component, by_seed, component, level

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class ordering:  # noqa: N801
    """Each setting in `order` has a larger mean of `of` than the one before it, by at least `gap` (by any, if 0).

    Steps between settings that never get anywhere (infinity minus infinity) give no number.

    >>> ordering(of="epochs", over="inputs", order=("true", "gaussian", "random")).describe()
    'epochs: inputs = true < gaussian < random, paired by seed'
    """

    of: str
    over: str
    order: tuple[Any, ...]
    gap: float = 0.0

    def components(self, table: pd.DataFrame, paper: float | None, region: tuple[float, float]) -> list[Component]:
        """One component a step of the order."""
        if len(self.order) < 2:
            raise InvalidInput(f"an ordering of {self.of!r} wants two or more settings, got {self.order!r}")
        pivot = by_seed(table, self.of, self.over)
        return [
            component(f"{self.of}: {b} minus {a}", level(pivot, b) - level(pivot, a), (self.gap, INF), null=0.0)
            for a, b in pairwise(self.order)
        ]

    def describe(self) -> str:
        """Say what is computed."""
        at_least = f", each step at least {self.gap:g}" if self.gap else ""
        return f"{self.of}: {self.over} = {' < '.join(map(str, self.order))}, paired by seed{at_least}"
