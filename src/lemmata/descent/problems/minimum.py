"""The minimum of a smooth convex function to the last digits, with a certificate: Newton's method.

    x <- x + t p,   H(x) p = -g(x),   t = 1, halved until f falls by a tenth of t |g'p|

The end is judged by the gradient alone: with mu > 0, f* lies in [f(x) - |g|^2 / (2 mu), f(x)] and x* within |g| / mu.
Near the minimum the values agree to rounding and cannot rank two points; there the full step is taken as long as the
gradient shrinks. Quadratic convergence ends at the rounding of the gradient, about 1e-16 of its terms.
Cost: some 5 to 15 steps, each a value, a gradient and the solution of one linear system, which the caller provides.
Fails (raises `NotConverged`) where no minimiser exists, as for separable data without a ridge: the steps go on and on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.descent.problems.problem import Bracket, Function
from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged

Direction = Callable[[Tensor, Tensor], Tensor]  # (x, g) -> p with H(x) p = -g
STEPS = 100


@dataclass(frozen=True)
class Minimum:
    """An approximate minimiser `x` (d,) with its value, its gradient norm, and the number of Newton steps."""

    x: Tensor
    value: float
    gradient_norm: float
    steps: int

    def bracket(self, mu: float) -> Bracket:
        """Where f* lies, of a mu-strongly convex function."""
        return Bracket(self.value - self.gradient_norm**2 / (2 * mu), self.value)

    def radius(self, mu: float) -> float:
        """How far the minimiser of a mu-strongly convex function can be from `x`."""
        return self.gradient_norm / mu


def newton(value: Function, gradient: Function, direction: Direction, start: Tensor, *, tolerance: float) -> Minimum:
    """Minimise from `start` (d,) to |g| <= `tolerance`.

    Nothing is random. Raises `NotConverged` with the best `Minimum`, and `InvalidInput` for a value or gradient that is
    not finite and for a direction along which f does not fall (f is not convex, or the direction is no Newton step).

    >>> found = newton(
    ...     lambda x: (x - x.log()).sum(), lambda x: 1 - 1 / x, lambda x, g: -g * x.square(),
    ...     torch.tensor([0.2]).double(), tolerance=1e-9,
    ... )
    >>> round(float(found.x), 6), found.value
    (1.0, 1.0)
    """
    x, f, g = start, float(value(start)), gradient(start)
    best, size, step = Minimum(x, f, _norm(f, g), 0), abs(f), 0
    while best.gradient_norm > tolerance and step < STEPS:
        step += 1
        p = direction(x, g)
        slope = float(g @ p)
        if slope >= 0:
            raise InvalidInput(
                f"the Newton direction does not lead down (slope {slope:.3g} at gradient norm {float(g.norm()):.3g}): "
                "the function is not convex there, or not twice differentiable"
            )
        x, f = _search(value, x, f, p, slope, size=size)
        size = max(size, abs(f))
        g = gradient(x)
        best = min(best, Minimum(x, f, _norm(f, g), step), key=lambda minimum: minimum.gradient_norm)
    if best.gradient_norm <= tolerance:
        return best
    raise NotConverged(
        "Newton's method", best=best, residual=best.gradient_norm, tolerance=tolerance,
        remedy="there may be no minimiser: add a ridge, or allow a larger tolerance",
    )  # fmt: skip


def _search(value: Function, x: Tensor, f: float, p: Tensor, slope: float, *, size: float) -> tuple[Tensor, float]:
    """Halve the step until the value falls enough, or, among values of this size, as much as rounding lets one see."""
    t = 1.0
    rounding = 64 * torch.finfo(x.dtype).eps * size
    while True:
        there = x + t * p
        reached = float(value(there))
        if reached <= f + 0.1 * t * slope or (abs(t * slope) <= rounding and reached <= f + rounding):
            return there, reached
        t /= 2
        if t < 1e-12:
            return x, f


def _norm(f: float, g: Tensor) -> float:
    norm = float(g.norm())
    if not (norm < float("inf") and abs(f) < float("inf")):
        raise InvalidInput(f"the value is {f} and the gradient's norm {norm}: the function is not finite there")
    return norm
