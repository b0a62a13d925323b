"""Step sizes of stochastic approximation, mu_k = c / (k + k0)^p for k = 1, 2, ...

Robbins and Monro (1951, Annals of Mathematical Statistics 22, 400-407) want sum mu_k = infinity, or the iterates cannot
get far enough, and sum mu_k^2 < infinity, or the noise is not averaged out: 1/2 < p <= 1. Cost: none.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import cast

import torch
from torch import Tensor

from lemmata.errors import InvalidInput


@dataclass(frozen=True)
class StepSizes:
    """The step sizes c / (k + k0)^power; c, k0 and power are numbers, or tensors (S,) with one number a repeat.

    >>> steps = StepSizes(2.0, k0=3)
    >>> steps(1), steps.divergent, steps.square_summable
    (0.5, True, True)
    """

    c: float | Tensor
    k0: float | Tensor = 0.0
    power: float | Tensor = 1.0

    def __post_init__(self):
        for name, least, value in (("c", 0.0, self.c), ("k0", -1.0, self.k0), ("power", 0.0, self.power)):
            if not isinstance(value, Real | Tensor):
                raise InvalidInput(f"step sizes with {name} a {type(value).__name__}; give a number or a tensor (S,)")
            number = torch.as_tensor(value)
            enough = number >= 0 if name == "power" else number > least
            if number.ndim > 1 or not number.numel() or not (number.isfinite() & enough).all():
                bound = "of 0 or more" if name == "power" else f"above {least:g}"
                raise InvalidInput(f"step sizes with {name} = {value}; finite numbers {bound} are wanted, one or (S,)")

    def __call__(self, k: int) -> float | Tensor:
        """Give the step size of step k = 1, 2, ...: a number, or (S,)."""
        if k < 1:
            raise InvalidInput(f"step {k}; steps are counted from 1")
        return self.c / (k + self.k0) ** self.power

    def take(self, n: int) -> Tensor:
        """Give the first n step sizes: (n,), or (n, S); float64.

        >>> StepSizes(1.0).take(3)
        tensor([1.0000, 0.5000, 0.3333], dtype=torch.float64)
        """
        k = torch.arange(1, n + 1, dtype=torch.float64)
        k = k[:, None] if any(isinstance(v, Tensor) and v.ndim for v in (self.c, self.k0, self.power)) else k
        return cast(Tensor, self.c / (k + self.k0) ** self.power)

    @property
    def divergent(self) -> bool:
        """Whether sum mu_k is infinite."""
        return bool((torch.as_tensor(self.power) <= 1).all())

    @property
    def square_summable(self) -> bool:
        """Whether sum mu_k^2 is finite."""
        return bool((torch.as_tensor(self.power) > 0.5).all())


def as_steps(step: float | Tensor | StepSizes) -> StepSizes:
    """Step sizes as they are, or constant ones.

    >>> as_steps(0.1)(5)
    0.1
    """
    return step if isinstance(step, StepSizes) else StepSizes(step, power=0.0)
