"""The steps of an integration: N intervals of [0, T]."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_number, require_whole

LATEST = 1e30  # multiples of a step by a tableau's numbers are still float32
MOST = 2**31


@dataclass(frozen=True)
class Grid:
    """`steps` equal steps from 0 to `T`.

    >>> Grid(T=1.0, steps=4).h
    0.25
    """

    T: float
    steps: int

    def __post_init__(self):
        T = require_number(self.T, "T")
        if not 0 < T <= LATEST:
            raise InvalidInput(f"T = {self.T}; the end of time is a finite number above 0, at most {LATEST:.0e}")
        if require_whole(self.steps, "steps") > MOST:
            raise InvalidInput(f"steps = {self.steps}; their times alone do not fit in memory, give at most {MOST}")
        object.__setattr__(self, "T", T)

    @property
    def h(self) -> float:
        """The length of a step."""
        return self.T / self.steps

    @property
    def times(self) -> Tensor:
        """t_0 = 0, ..., t_N = T: (N + 1,) float64."""
        return torch.linspace(0.0, self.T, self.steps + 1, dtype=torch.float64)

    def nodes(self, c: tuple[float, ...]) -> tuple[Tensor, Tensor]:
        """Give t_n + c_i h and the middle of the step, (N * len(c),) each, step after step."""
        begin = self.times[:-1]
        at = begin[:, None] + self.h * torch.tensor(c, dtype=torch.float64)
        middle = (begin + self.h / 2)[:, None].expand_as(at)
        return at.reshape(-1), middle.reshape(-1)
