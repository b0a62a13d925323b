"""Integrate a field with steps chosen by an estimate of their error, through torchdiffeq.

Where the truth is wanted (a reference, a neural ODE) rather than a network of so many layers: the number of steps
depends on the state, so there are no layers to count and nothing to vectorise over members.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.flows.field import State, VectorField, as_field
from lemmata.flows.integrate import grid_of
from lemmata.flows.required import require_list
from lemmata.flows.state import finite, require_state
from lemmata.flows.trajectory import Trajectory
from lemmata.given import require_number, require_whole

FIRST = 0.01  # of the time: where the solver chose the first step itself, it would differentiate its choice
MOST = 2**31 - 1  # steps that the solver can count
ADAPTIVE = ("dopri5", "dopri8", "bosh3", "adaptive_heun", "fehlberg2")


def integrate_adaptive(
    field: object,
    y0: State,
    *,
    T: float | None = None,
    method: str = "dopri5",
    rtol: float = 1e-7,
    atol: float = 1e-9,
    points: int = 2,
    jumps: Sequence[float] = (),
    most_steps: int = 100_000,
) -> Trajectory:
    """Integrate y' = f(t, y) from y(0) = y0 to T, the local error held below atol + rtol |y|.

    `field` and `y0` as for `integrate`; the states are kept at `points` times, evenly spaced from 0 to T. `method` is
    one of ADAPTIVE. `jumps` are times at which the weights jump, as piecewise constant ones do: steps end there, and
    need not shrink to find them. The result can be differentiated through the solver's operations.
    Raises `InvalidInput` for bad settings and for states that are not finite, `NotConverged` where a step would have to
    be shorter than the rounding of t, or where more than `most_steps` would be needed.

    >>> class Decay(torch.nn.Module):
    ...     def forward(self, t, y):
    ...         return -y
    >>> run = integrate_adaptive(Decay(), torch.ones(1, 1, dtype=torch.float64), T=1.0)
    >>> f"{run.final.item():.6f}"
    '0.367879'
    """
    from torchdiffeq import odeint

    if method not in ADAPTIVE:
        raise UnknownName("adaptive method", method, ADAPTIVE)
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if not (require_number(tolerance, name) >= 0 and math.isfinite(tolerance)):
            raise InvalidInput(f"{name} = {tolerance}; give a tolerance of at least 0, such as 1e-7")
    if rtol == 0 == atol:
        raise InvalidInput("rtol = atol = 0 asks for no error at all; give one of them above 0")
    own = as_field(field)
    grid = grid_of(own, T, require_whole(points, "points", least=2) - 1)
    require_state(y0, own)
    if finite(y0) is False:
        raise InvalidInput("y0 holds a NaN or an infinite number; give finite states")
    counted = _Counted(own)
    options: dict[str, Any] = {
        "max_num_steps": min(require_whole(most_steps, "most_steps"), MOST),
        "dtype": torch.float64,
        "first_step": FIRST * grid.T,
    }
    at = [require_number(t, "jumps") for t in require_list(jumps, "jumps", "[0.25, 0.5]")]
    if not all(map(math.isfinite, at)):
        raise InvalidInput(f"jumps = {jumps!r}; give finite times, those outside of (0, T) change nothing")
    inside = sorted({t for t in at if 0 < t < grid.T})
    if inside:
        options["jump_t"] = torch.tensor(inside, dtype=torch.float64)
    try:
        states = odeint(counted, y0, grid.times, rtol=rtol, atol=atol, method=method, options=options)
    except AssertionError as failed:
        raise NotConverged(
            f"{method} ({failed})", best=counted.last, residual=math.inf, tolerance=rtol,
            remedy="raise rtol and atol, name the times at which weights jump, or integrate by an implicit method",
        ) from failed  # fmt: skip
    if finite(states) is False:
        raise InvalidInput(f"{method} met states that are not finite before t = {grid.T:.4g}; take a shorter T")
    return Trajectory(grid.times, states, counted.count)


class _Counted:
    """The field as the solver asks for it, counting."""

    def __init__(self, field: VectorField):
        self.field, self.count, self.last = field, 0, None

    def __call__(self, t: Tensor, y: State) -> State:
        self.count, self.last = self.count + 1, y
        return self.field(t, y)
