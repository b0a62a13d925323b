"""Polyak's heavy ball: x_{k+1} = x_k - (alpha_k/L) g(x_k) + beta_k (x_k - x_{k-1}), and what is proven of it.

    average of x_0, ..., x_n, constant beta and alpha <= 1 - beta:
        f - f* <= min{ ((1 - beta)/(2 alpha) + beta/(2 (1 - beta))) / (n + 1), 1/2 } L D^2
    last point, beta_k = k/(k + 2), alpha_k = alpha/(k + 2), alpha <= 1:
        f_n - f* <= L D^2 / (2 alpha (n + 1))
    last point, on quadratics with curvature in [mu, L], alpha = 4/(1 + sqrt q)^2, beta = ((1 - sqrt q)/(1 + sqrt q))^2:
        f_n - f* <= beta^n (n + 1 + n sqrt(beta))^2 / 2 L D^2,        q = mu/L

The first two are one telescoping sum each, of |z_k - x*|^2 with z_k = x_k + beta/(1 - beta) (x_k - x_{k-1}) and
z_k = x_k + k (x_k - x_{k-1}); 1/2, since f(x_k) + beta/(2 alpha) |x_k - x_{k-1}|^2 never rises. The third is
|U_n - sqrt(beta) U_{n-1}| with Chebyshev's U of the second kind, which is at most n + 1 in size.

Fails: with the third choice the method does not converge on all strongly convex functions (Lessard, Recht, Packard,
2016), and no constant choice accelerates there (Goujaud, Taylor, Dieuleveut, 2023). Sources: Polyak (1964); Ghadimi,
Feyzmahdavian and Johansson (2015), Theorems 1 and 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from lemmata.descent.method import Coefficients, Guarantee, Method, State
from lemmata.descent.numbers import is_positive
from lemmata.errors import InvalidInput

GHADIMI = (
    "Ghadimi, Feyzmahdavian, Johansson (2015), Global convergence of the heavy-ball method for convex optimization"
)
V = TypeVar("V")


def heavy_ball(
    momentum: float | Literal["increasing"] = 0.5,
    step: float | None = None,
    *,
    mu: float | None = None,
    output: Literal["average", "last"] = "average",
) -> Method:
    """Give the heavy ball with a constant momentum beta in [0, 1), or "increasing", or tuned to quadratics by `mu`.

    `step` is alpha, by default 1 - beta (constant) or 1 (increasing). With a constant momentum the output is the
    average of all points, of which the guarantee speaks where alpha <= 1 - beta; ``output="last"`` gives the last
    point, without one. `mu`, in units of L, sets both numbers by Polyak's formula for quadratics; the guarantee holds
    on quadratics only. Raises `InvalidInput` for numbers outside these ranges.

    >>> heavy_ball(0.5).guarantee.bound(9), heavy_ball("increasing").guarantee.bound(9)
    (0.1, 0.05)
    """
    if mu is not None:
        return _for_quadratics(mu)
    if momentum == "increasing":
        return _increasing(1.0 if step is None else step)
    if isinstance(momentum, str) or not 0 <= momentum < 1:
        raise InvalidInput(f"momentum = {momentum!r}; it must lie in [0, 1), or be 'increasing'")
    step = 1 - momentum if step is None else step
    if not is_positive(step):
        raise InvalidInput(f"step = {step!r} in units of 1/L; it must be positive")
    name = f"heavy ball, momentum {momentum:g}"
    if output == "last":
        return HeavyBall(name, source="Polyak (1964)", momentum=momentum, step=step)
    if output != "average":
        raise InvalidInput(f"output = {output!r}; take 'average' or 'last'")
    factor = (1 - momentum) / (2 * step) + momentum / (2 * (1 - momentum))
    bound = Guarantee("gap", "distance", lambda n: min(0.5, factor / (n + 1)), f"{GHADIMI}, Theorem 1")
    guarantee = bound if step <= 1 - momentum else None
    return AveragedHeavyBall(
        f"{name}, average", guarantee=guarantee, source="Polyak (1964)", momentum=momentum, step=step
    )


@dataclass(frozen=True, eq=False)
class HeavyBall(Method):
    """The heavy ball with constant numbers; w_k = x_k - x_{k-1}."""

    momentum: float = 0.0
    step: float = 1.0

    def coefficients(self, k: int) -> Coefficients:
        """Give step k."""
        return Coefficients(0.0, self.momentum, self.step)


@dataclass(frozen=True, eq=False)
class IncreasingHeavyBall(Method):
    """The heavy ball with beta_k = k/(k + 2) and alpha_k = step/(k + 2)."""

    step: float = 1.0

    def coefficients(self, k: int) -> Coefficients:
        """Give step k."""
        return Coefficients(0.0, k / (k + 2), self.step / (k + 2))


@dataclass(frozen=True, eq=False)
class AveragedHeavyBall(HeavyBall):
    """The heavy ball whose output is the average of all points, x_0 and the last among them."""

    def matrix(self, n: int) -> np.ndarray:
        """Give H (n, n); the last row is the average's."""
        H = super().matrix(n)
        H[-1] = H.sum(0) / (n + 1)
        return H

    def advance(self, state: State[V], gradient: V, value: float | None = None) -> State[V]:
        """Take the step, and the new point into the average."""
        new = super().advance(state, gradient, value)
        average = state.output + (new.x - state.output) / (new.k + 1)  # type: ignore[operator]
        return State(new.x, average, new.memory, new.k, new.L)


def _increasing(step: float) -> Method:
    if not 0 < step < math.inf:
        raise InvalidInput(f"step = {step} in units of 1/L; it must be positive")
    bound = Guarantee("gap", "distance", lambda n: 1 / (2 * step * (n + 1)), f"{GHADIMI}, Theorem 2")
    guarantee = bound if step <= 1 else None
    return IncreasingHeavyBall("heavy ball, increasing momentum", guarantee=guarantee, source=GHADIMI, step=step)


def _for_quadratics(mu: float) -> Method:
    if not 0 < mu <= 1:
        raise InvalidInput(f"mu = {mu} in units of L; it must lie in (0, 1]")
    root = math.sqrt(mu)
    beta = ((1 - root) / (1 + root)) ** 2
    guarantee = Guarantee(
        "gap",
        "distance",
        lambda n: beta**n * (n + 1 + n * math.sqrt(beta)) ** 2 / 2,
        "Polyak (1964), Some methods of speeding up the convergence of iteration methods; Chebyshev polynomials",
        mu=mu,
        on="quadratic",
    )
    name = f"heavy ball for quadratics, mu = {mu:g} L"
    return HeavyBall(name, guarantee=guarantee, source="Polyak (1964)", momentum=beta, step=4 / (1 + root) ** 2)
