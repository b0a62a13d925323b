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

    def start(self, y: State) -> State:
        """Give the state in which it starts from y: a partitioned field moves a tensor q as (q, 0)."""
        if isinstance(self.field, Partitioned) and isinstance(y, torch.Tensor):
            return y, torch.zeros_like(y)
        return y

    def forward(self, y: State) -> State:
        """Give y(T)."""
        state = self.start(y)
        for moved in march(self.field, state, self.grid, self.method):
            state = moved
        return state[0] if isinstance(state, tuple) and not isinstance(y, tuple) else state
