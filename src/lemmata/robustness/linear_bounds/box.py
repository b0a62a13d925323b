"""An interval an entry: what a tensor can be."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.robustness.linear_bounds.rounding import above, below


@dataclass(frozen=True, eq=False)
class Box:
    """Lower and upper bounds of N tensors: `low` and `high` (N, ...)."""

    low: Tensor
    high: Tensor

    @property
    def size(self) -> Tensor:
        """The largest absolute value."""
        return torch.maximum(self.low.abs(), self.high.abs())

    def centred(self) -> tuple[Tensor, Tensor]:
        """Centre and radius of a box that holds this one."""
        centre = self.low + (self.high - self.low) / 2
        return centre, above(torch.maximum(self.high - centre, centre - self.low))

    def plus(self, other: Box, sign: float = 1.0) -> Box:
        """The sum, or with sign -1 the difference."""
        first, last = (other.low, other.high) if sign > 0 else (-other.high, -other.low)
        return Box(below(self.low + first), above(self.high + last))

    def within(self, other: Box) -> Box:
        """The part in common."""
        return Box(torch.maximum(self.low, other.low), torch.minimum(self.high, other.high))
