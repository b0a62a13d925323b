"""Integrate a field over time by a one-step method.

`integrate` looks at its states when it is done and says after which step the first was not finite. `march` gives one
state at a time and looks at each if it is asked to; `require_finite_way` looks at the end of a way, which is enough.
Within vmap, where nobody can look, none of them does.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.flows.field import State, VectorField, Velocity, as_field, hold
from lemmata.flows.grid import Grid
from lemmata.flows.methods import Method, method_of
from lemmata.flows.state import finite, require_state
from lemmata.flows.trajectory import Trajectory


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


def march(field: VectorField, y: State, grid: Grid, method: Method, *, check: bool = False) -> Iterator[State]:
    """Give the states after each step, one at a time; with `check` refuse the first that is not finite."""
    method.suit(field)
    if check:
        require_finite(y, 0, grid, method)
    for n, f in enumerate(held(field, grid, method), start=1):
        try:
            y = method.step(f, y, grid.h)
        except NotConverged as failed:
            raise NotConverged(
                f"Newton's method in step {n} of {grid.steps} of {method.name} (layer {n}, h = {grid.h:.4g})",
                best=failed.best, residual=failed.residual, tolerance=failed.tolerance,
                remedy="take more steps, so that each is shorter",
            ) from failed  # fmt: skip
        if check:
            require_finite(y, n, grid, method)
        yield y


def require_finite(y: State, n: int, grid: Grid, method: Method) -> None:
    """Refuse the state after step n if its numbers can be looked at and are not all finite."""
    if finite(y) is False:
        raise InvalidInput(_not_finite(n, grid, method))


def require_finite_way(field: VectorField, y: State, end: State, grid: Grid, method: Method) -> None:
    """Refuse a way from y whose end is not finite, and name the first layer after which the state was not.

    What is not finite stays so, as steps add to the state: so the end alone is looked at, and only where it is not
    finite are the steps taken again, without derivatives, to find the layer.
    """
    if finite(end) is not False:
        return
    with torch.no_grad():
        require_finite(y, 0, grid, method)
        for _ in march(field, y, grid, method, check=True):
            pass
    raise InvalidInput(
        f"the state after {grid.steps} steps of {method.name} with h = {grid.h:.4g} was not finite, and was when the "
        f"steps were taken again; does the field draw random numbers, or change as it is used?"
    )


def _not_finite(n: int, grid: Grid, method: Method) -> str:
    if n == 0:
        return "y0 holds a NaN or an infinite number; give finite states"
    return (
        f"the state is no longer finite after step {n} of {grid.steps} (layer {n}, t = {grid.h * n:.4g}) of "
        f"{method.name} with h = {grid.h:.4g}; take more steps, or a method that is stable at this one"
    )


def integrate(
    field: object, y0: State, *, steps: int, T: float | None = None, method: str | Method = "rk4"
) -> Trajectory:
    """Integrate y' = f(t, y) from y(0) = y0 to T in equal steps, and keep every state.

    `field` is a `VectorField` or a module f(t, y), `y0` (samples, ...) or for partitioned fields a pair (q, p) of such;
    `T` is by default the field's own. The result can be differentiated by y0 and by the weights. Cost: `method.stages`
    velocities a step; implicit and exponential methods solve systems besides. Raises `InvalidInput` for steps or T that
    are not positive, a method or a state that does not suit the field, a field that gives another shape or dtype, and
    states that are not finite, with the number of the step; `NotConverged` where an implicit step finds no solution.

    >>> class Decay(torch.nn.Module):
    ...     def forward(self, t, y):
    ...         return -y
    >>> run = integrate(Decay(), torch.ones(1, 1, dtype=torch.float64), steps=10, T=1.0)
    >>> f"{run.final.item():.5f}", run.evaluations
    ('0.36788', 40)
    """
    chosen, own = method_of(method), as_field(field)
    grid = grid_of(own, T, steps)
    require_state(y0, own)
    states = [y0, *march(own, y0, grid, chosen)]
    whole = (
        tuple(torch.stack(parts) for parts in zip(*states, strict=True))
        if isinstance(y0, tuple)
        else torch.stack(states)
    )
    if finite(whole) is False:
        first = next(n for n, y in enumerate(states) if not finite(y))
        raise InvalidInput(_not_finite(first, grid, chosen))
    return Trajectory(grid.times, whole, chosen.stages * grid.steps)
