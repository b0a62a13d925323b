"""A neural ODE, the solvers that integrate it, and the gradient by the adjoint equation, every evaluation counted.

    y' = f(t, y),   a' = -(df/dy)^T a,   g' = -(df/dtheta)^T a,   a(T) = dL/dy(T),  g(T) = 0

from T back to 0 as one system, whose answer is (y(0), dL/dy(0), dL/dtheta) (the paper's Algorithm 1). The solver may be
the paper's, Adams' implicit method of VODE through scipy, or one of torchdiffeq's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.integrate import ode
from torch import Tensor, nn
from torch.nn.functional import softplus
from torchdiffeq import odeint

from lemmata.estimate import NotConverged

Solver = Literal["adams", "dopri5", "bosh3", "adaptive_heun", "rk4"]
Parts = tuple[Tensor, ...]
FIXED = 16  # steps of rk4, whatever the tolerance
TIGHT = 1e-11  # of what counts as the truth


class Network(nn.Module):
    """f(t, y) = V tanh(W y + c t + b) + e - damping y; weights uniform with the variance gain^2 over the inputs."""

    def __init__(self, width: int, hidden: int, draw: torch.Generator, *, gain: float = 1.0, damping: float = 0.0):
        super().__init__()
        self.damping = damping

        def uniform(*shape: int) -> nn.Parameter:
            rows = torch.rand(*shape, generator=draw, dtype=torch.float64)
            return nn.Parameter((2 * rows - 1) * gain * (3 / shape[0]) ** 0.5)

        self.W, self.V = uniform(width, hidden), uniform(hidden, width)
        self.c, self.b, self.e = (nn.Parameter(torch.zeros(n, dtype=torch.float64)) for n in (hidden, hidden, width))

    def forward(self, t: Any, y: Tensor) -> Tensor:
        """Give y' of states (samples, width)."""
        return torch.tanh(y @ self.W + self.c * t + self.b) @ self.V + self.e - self.damping * y


class Contracting(nn.Module):
    """f(y) = R (m - y) + B softplus(y), R = diag(rate, ..., rate, 0, ..., 0) with `slow` zeros, B antisymmetric.

    Without slow coordinates all eigenvalues of the Jacobian have the real part -rate: B D with a positive diagonal D
    is similar to the antisymmetric D^(1/2) B D^(1/2). With some, the others contract at `rate` but for O(|B|^2 / rate).
    """

    def __init__(self, width: int, slow: int, draw: torch.Generator, *, rate: float):
        super().__init__()
        free = torch.randn(width, width, generator=draw, dtype=torch.float64)
        self.B = nn.Parameter((free - free.T) / 2)
        self.m = nn.Parameter(torch.randn(width, generator=draw, dtype=torch.float64))
        self.R: Tensor
        self.register_buffer("R", rate * (torch.arange(width) < width - slow).double())

    def forward(self, t: Any, y: Tensor) -> Tensor:
        """Give y' of states (samples, width)."""
        return self.R * (self.m - y) + softplus(y) @ self.B.T


Velocity = Callable[[Any, Parts], Parts]


def integrated(
    velocity: Velocity, state: Parts, times: tuple[float, float], *, solver: Solver, tolerance: float
) -> Parts:
    """Give the state at the second time, the local error held below tolerance (1 + |state|) but for rk4.

    The norms are the solvers' own: over all numbers at once (VODE), or the largest of those of the parts (torchdiffeq).
    """
    if solver == "adams":
        return _by_adams(velocity, state, times, tolerance)
    options = {"step_size": abs(times[1] - times[0]) / FIXED} if solver == "rk4" else {}
    found = odeint(
        velocity,
        state,
        torch.tensor(times, dtype=torch.float64),
        rtol=tolerance,
        atol=tolerance,
        method=solver,
        options=options,
    )
    return tuple(part[-1] for part in found)


def _by_adams(velocity: Velocity, state: Parts, times: tuple[float, float], tolerance: float) -> Parts:
    def parts(numbers: np.ndarray) -> Parts:
        pieces = torch.from_numpy(np.array(numbers)).split([part.numel() for part in state])
        return tuple(piece.view(part.shape) for piece, part in zip(pieces, state, strict=True))

    def numbers(parts: Parts) -> np.ndarray:
        return torch.cat([part.detach().reshape(-1) for part in parts]).numpy()

    run = ode(lambda t, z: numbers(velocity(t, parts(z))))
    run.set_integrator("vode", method="adams", rtol=tolerance, atol=tolerance, nsteps=100_000)
    run.set_initial_value(numbers(state), times[0])
    found = run.integrate(times[1])
    if not run.successful():
        raise NotConverged(
            "Adams' method of VODE", best=found, residual=np.inf, tolerance=tolerance, remedy="raise the tolerance"
        )
    return parts(found)


@dataclass(frozen=True, eq=False)
class Found:
    """The state at T and, gone back to, at 0; the gradient by all weights; evaluations of the field either way."""

    final: Tensor
    again: Tensor
    gradient: Tensor
    forward: int
    backward: int


def adjoint(
    field: nn.Module, y: Tensor, slope: Callable[[Tensor], Tensor], *, T: float, solver: Solver, tolerance: float,
    back: float | None = None, sign: int = 1,
) -> Found:  # fmt: skip
    """Solve forwards, and the adjoint equation backwards from a(T) = slope(y(T)), by tolerances of their own if asked.

    `sign` = -1 makes the mistake of a wrong sign in a'.
    """
    weights, count = tuple(field.parameters()), 0

    def velocity(t: Any, state: Parts) -> Parts:
        nonlocal count
        count += 1
        with torch.no_grad():
            return (field(t, state[0]),)

    def augmented(t: Any, state: Parts) -> Parts:
        nonlocal count
        count += 1
        with torch.enable_grad():
            at = state[0].detach().requires_grad_()
            moved = field(t, at)
            by_state, *by_weights = torch.autograd.grad(moved, (at, *weights), -state[1], materialize_grads=True)
        return (moved.detach(), sign * by_state, *by_weights)

    (final,) = integrated(velocity, (y,), (0.0, T), solver=solver, tolerance=tolerance)
    forward, count = count, 0
    start = (final, slope(final), *(torch.zeros_like(weight) for weight in weights))
    again, _, *found = integrated(augmented, start, (T, 0.0), solver=solver, tolerance=back or tolerance)
    return Found(final, again, flat(found), forward, count)


def solved(field: nn.Module, y: Tensor, *, T: float, solver: Solver, tolerance: float) -> Tensor:
    """Give y(T), without gradients."""
    with torch.no_grad():
        return integrated(lambda t, state: (field(t, state[0]),), (y,), (0.0, T), solver=solver, tolerance=tolerance)[0]


def through(
    field: nn.Module, y: Tensor, loss: Callable[[Tensor], Tensor], *, T: float, solver: Solver, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Give y(T) and the gradient by all weights, by differentiating the solver's own operations (torchdiffeq's)."""
    (final,) = integrated(lambda t, state: (field(t, state[0]),), (y,), (0.0, T), solver=solver, tolerance=tolerance)
    return final.detach(), flat(torch.autograd.grad(loss(final), tuple(field.parameters()), materialize_grads=True))


def flat(parts: Sequence[Tensor]) -> Tensor:
    """All numbers in one vector."""
    return torch.cat([part.reshape(-1) for part in parts])


def relative(found: Tensor, right: Tensor) -> float:
    """|found - right| / |right|."""
    return float((found - right).norm() / right.norm())
