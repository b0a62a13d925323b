"""First-order methods whose steps are fixed beforehand, and what is proven of them.

In units of 1/L, L the Lipschitz constant of the gradient, n steps of such a method are

    x_{k+1} = x_0 - (1/L) sum_{j <= k} H[k, j] g(x_j)

with a lower triangular matrix H (Drori and Teboulle, 2014). Gradient descent with steps h_0, h_1, ... has
H[k, j] = h_j; momentum fills the rest. The matrix is what a worst case is computed from; a run uses the recursion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lemmata.errors import InvalidInput

Measure = Literal["gap", "gradient"]
Given = Literal["distance", "gap"]


@dataclass(frozen=True)
class Guarantee:
    """What is proven after n steps on every convex function with L-Lipschitz gradient; D = |x_0 - x*|.

        of gap,      given distance:   f_n - f* <= bound(n) L D^2
        of gradient, given gap:        |g_n|^2  <= bound(n) L (f_0 - f*)
        of gradient, given distance:   |g_n|^2  <= bound(n) L^2 D^2

    `tight` says that some function attains the bound.

    >>> Guarantee("gap", "distance", lambda n: 1 / (4 * n + 2), where="Drori and Teboulle (2014)", tight=True).bound(10)
    0.023809523809523808
    """

    of: Measure
    given: Given
    bound: Callable[[int], float]
    where: str
    tight: bool = False


@dataclass(frozen=True)
class Method:
    """A first-order method with fixed steps; `matrix` gives its H for n steps."""

    name: str
    guarantee: Guarantee | None = field(default=None, kw_only=True)
    source: str = field(default="", kw_only=True)

    def matrix(self, n: int) -> np.ndarray:
        """Give H (n, n), lower triangular, float64."""
        raise NotImplementedError


@dataclass(frozen=True)
class Schedule(Method):
    """Gradient descent with the steps `steps` (N,), float64, in units of 1/L: x_{k+1} = x_k - (steps[k]/L) g(x_k).

    A `cyclic` schedule is a pattern that is repeated for as long as one runs.

    >>> Schedule("pattern", np.array([1.5, 4.9, 1.5]), cyclic=True).take(5).tolist()
    [1.5, 4.9, 1.5, 1.5, 4.9]
    """

    steps: np.ndarray
    cyclic: bool = field(default=False, kw_only=True)

    def __len__(self) -> int:
        return len(self.steps)

    def take(self, n: int) -> np.ndarray:
        """Give the first n steps (n,). Raises `InvalidInput` where the schedule ends before."""
        if self.cyclic:
            return np.resize(self.steps, n)
        if n > len(self.steps):
            raise InvalidInput(f"{self.name} has {len(self.steps)} steps, {n} are asked for; make it for {n} steps")
        return self.steps[:n].copy()

    def matrix(self, n: int) -> np.ndarray:
        """Give H (n, n) with H[k, j] = steps[j] for j <= k."""
        return np.tril(np.broadcast_to(self.take(n), (n, n)))
