"""A residual network as a module: a field, a method and a number of steps."""

from __future__ import annotations

import torch
from torch import nn

from lemmata.flows.field import Partitioned, State, as_field
from lemmata.flows.integrate import grid_of, march
from lemmata.flows.methods import Method, method_of


class Flow(nn.Module):
    """y(0) -> y(T) in `steps` steps of `method`: a residual network whose depth is a discretisation.

    A tensor given to a partitioned field starts as q with p = 0, and q(T) comes back.
    """

    def __init__(self, field: object, *, steps: int, T: float | None = None, method: str | Method = "rk4"):
        super().__init__()
        self.field = as_field(field)
        self.method = method_of(method)
        self.grid = grid_of(self.field, T, steps)
        self.method.suit(self.field)

    def forward(self, y: State) -> State:
        """Give y(T)."""
        alone = isinstance(self.field, Partitioned) and not isinstance(y, tuple)
        state: State = (y, torch.zeros_like(y)) if alone else y  # type: ignore[arg-type]
        for moved in march(self.field, state, self.grid, self.method):
            state = moved
        return state[0] if alone else state
