"""Integrate a field over time by a one-step method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.flows.field import State, VectorField, Velocity, as_field, hold
from lemmata.flows.grid import Grid
from lemmata.flows.methods import Method, method_of


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The states at the grid's times: `states` (N + 1, ...), or a pair of such; `evaluations` of the field it cost."""

    times: Tensor
    states: State
    evaluations: int

    @property
    def final(self) -> State:
        """The state at T."""
        return tuple(part[-1] for part in self.states) if isinstance(self.states, tuple) else self.states[-1]


def grid_of(field: VectorField, T: float | None, steps: int) -> Grid:
    """The grid on [0, T], where T is the field's own if it is not given."""
    end = field.T if T is None else T
    if end is None:
        raise InvalidInput(f"{type(field).__name__} has no end of time of its own; give T")
    return Grid(end, steps)


def held(field: VectorField, grid: Grid, method: Method) -> list[list[Velocity]]:
    """Hold the field at all nodes of all steps: a list of `len(method.nodes)` velocities for each step."""
    velocities = hold(field, *grid.nodes(method.nodes))
    width = len(method.nodes)
    return [velocities[n * width : (n + 1) * width] for n in range(grid.steps)]


def march(field: VectorField, y: State, grid: Grid, method: Method) -> Iterator[State]:
    """Give the states after each step, one at a time."""
    method.suit(field)
    for f in held(field, grid, method):
        y = method.step(f, y, grid.h)
        yield y


def integrate(
    field: object, y0: State, *, steps: int, T: float | None = None, method: str | Method = "rk4"
) -> Trajectory:
    """Integrate y' = f(t, y) from y(0) = y0 to T in equal steps, and keep every state."""
    chosen, own = method_of(method), as_field(field)
    grid = grid_of(own, T, steps)
    states = [y0, *march(own, y0, grid, chosen)]
    whole = (
        tuple(torch.stack(parts) for parts in zip(*states, strict=True))
        if isinstance(y0, tuple)
        else torch.stack(states)
    )
    return Trajectory(grid.times, whole, chosen.stages * grid.steps)
