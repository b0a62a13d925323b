"""Polyak's step size, chosen as one runs from the gap, which needs the minimum f* and no L:

    x_{k+1} = x_k - a (f(x_k) - f*)/|g(x_k)|^2 g(x_k),        0 < a <= 2

On convex functions with L-Lipschitz gradient, for the best of x_0, ..., x_{n-1}, after n steps,

    f - f* <= L D^2 / ((2a - a^2/2) n):        2/(3n) for a = 1,  1/(2n) for a = 2

since |x_{k+1} - x*|^2 <= |x_k - x*|^2 - (2a - a^2/2)(f_k - f*)/L, by <g, x - x*> >= f - f* + |g|^2/(2L) and |g|^2 <=
2L (f - f*). (With convexity alone the constant is 2, a = 1.) Fails where f* is not known: one above the minimum stops
at it, one below makes steps too long. Sources: Polyak (1969; 1987, section 5.3); Hazan and Kakade (2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from lemmata.descent.method import Coefficients, Guarantee, Method, State
from lemmata.errors import InvalidInput

V = TypeVar("V", bound=Any)


def polyak(minimum: float, *, factor: float = 1.0) -> PolyakStep:
    """Give the method that knows f* = `minimum`, its step multiplied by `factor` in (0, 2].

    Its `advance` wants the value with the gradient, of one point at a time; the output is the best point met. It has
    no matrix. Raises `InvalidInput` for a minimum that is not finite and a factor outside (0, 2].

    >>> method = polyak(0.0)
    >>> state = method.start(np.array([1.0]))
    >>> method.advance(state, np.array([2.0]), value=1.0).x
    array([0.5])
    """
    if not math.isfinite(minimum):
        raise InvalidInput(f"minimum = {minimum}; Polyak's step needs the value of f at its minimum")
    if not 0 < factor <= 2:
        raise InvalidInput(f"factor = {factor}; it must lie in (0, 2]")
    decrease = 2 * factor - factor**2 / 2
    guarantee = Guarantee(
        "gap",
        "distance",
        lambda n: min(0.5, 1 / (decrease * n)) if n else 0.5,
        "Polyak (1987), Introduction to optimization, section 5.3, with smoothness used",
    )
    name = "Polyak's step" + (f", factor {factor:g}" if factor != 1 else "")
    return PolyakStep(name, guarantee=guarantee, source="Polyak (1969)", minimum=minimum, factor=factor)


@dataclass(frozen=True, eq=False)
class PolyakStep(Method):
    """Gradient descent with steps from the gap; `adaptive`, since they depend on the values met."""

    adaptive: ClassVar[bool] = True
    minimum: float = 0.0
    factor: float = 1.0

    def step(self, value: float, squared_norm: float) -> float:
        """Give the step's length (not in units of 1/L) from f(x) and |g(x)|^2; 0 at the minimum."""
        gap = value - self.minimum
        if not math.isfinite(gap) or gap < -1e-9 * max(1.0, abs(self.minimum)):
            raise InvalidInput(
                f"{self.name}: the value {value:.9g} is below the minimum {self.minimum:.9g} it was told"
            )
        return self.factor * gap / squared_norm if gap > 0 and squared_norm > 0 else 0.0

    def advance(self, state: State[V], gradient: V, value: float | None = None) -> State[V]:
        """Take the step from x_k by value and gradient there; the output is the best of x_0, ..., x_k."""
        if value is None:
            raise InvalidInput(f"{self.name} chooses its step by the value: advance(state, gradient, value)")
        length = self.step(value, float((gradient * gradient).sum()))
        better = value < state.best
        x = state.x - length * gradient if length else state.x
        output = state.x if better else state.output
        return State(x, output, None, state.k + 1, state.L, min(value, state.best))

    def coefficients(self, k: int) -> Coefficients:
        """Refuse: the steps are not fixed."""
        raise InvalidInput(f"{self.name} has no coefficients, since its steps depend on the values met")

    def matrix(self, n: int) -> np.ndarray:
        """Refuse: the steps are not fixed."""
        raise InvalidInput(f"{self.name} has no matrix, since its steps depend on the values met")
