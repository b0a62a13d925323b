"""One step of the Runge-Kutta-Chebyshev method: explicit, second order, stable over a long stretch of the real axis.

    Y_0 = y,    Y_1 = Y_0 + m_1 h f_0
    Y_j = (1 - mu_j - nu_j) Y_0 + mu_j Y_{j-1} + nu_j Y_{j-2} + m_j h f(Y_{j-1}) + g_j h f_0,     j = 2, ..., s
    y' = f(y)  from  t  to  t + h:     y(t + h) = Y_s + O(h^3)

On y' = -a y the step multiplies y by a shifted, damped Chebyshev polynomial of degree s, of modulus below 1 for
0 < h a <= 2/3 (s^2 - 1)(1 - 2/15 eps), eps = 2/13. Over a time T with a largest curvature a that takes about
sqrt(1.5 a h) gradients a step, where a classical Runge-Kutta method of fourth order takes 4 a h / 2.8: a tenth at
a h = 100. It is made for flows with real eigenvalues, as gradient flows are, and its error is estimated for free:

    error = 0.8 (y(t) - y(t + h)) + 0.4 h (f(y(t)) + f(y(t + h)))

Reference: Sommeijer, Shampine and Verwer (1998), RKC: an explicit solver for parabolic PDEs, Journal of Computational
and Applied Mathematics 88, equations 2.1 to 2.7 and section 3.1. Cost: s evaluations of f, the last one being the first
of the next step; four vectors of memory.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from torch import Tensor

DAMPING = 2 / 13


class Coefficients(NamedTuple):
    """Of the stages j = 2, ..., s in turn; `first` is m_1."""

    first: float
    mu: list[float]
    nu: list[float]
    m: list[float]
    g: list[float]


def stable_reach(s: int) -> float:
    """The largest h a at which s stages are stable.

    >>> round(stable_reach(10), 1)
    64.6
    """
    return 2 / 3 * (s**2 - 1) * (1 - 2 / 15 * DAMPING)


def stages(reach: float) -> int:
    """The least number of stages s, 2 or more, with which a step is stable for h a up to `reach`.

    >>> stages(1.0), stages(100.0)
    (2, 13)
    """
    return max(2, math.ceil(math.sqrt(1 + 1.5 * reach / (1 - 2 / 15 * DAMPING))))


@lru_cache(maxsize=256)
def coefficients(s: int) -> Coefficients:
    """The coefficients for s stages.

    >>> round(sum(coefficients(2).m) + sum(coefficients(2).g) + coefficients(2).mu[0] * coefficients(2).first, 12)
    1.0
    """
    w0 = 1 + DAMPING / s**2
    T, dT, ddT = _chebyshev(w0, s)
    w1 = dT[s] / ddT[s]
    b = [ddT[j] / dT[j] ** 2 for j in range(2, s + 1)]
    b = [b[0], 1 / w0, *b]
    a = [1 - b[j] * T[j] for j in range(s + 1)]
    mu = [2 * b[j] * w0 / b[j - 1] for j in range(2, s + 1)]
    nu = [-b[j] / b[j - 2] for j in range(2, s + 1)]
    m = [2 * b[j] * w1 / b[j - 1] for j in range(2, s + 1)]
    g = [-a[j - 1] * part for j, part in zip(range(2, s + 1), m, strict=True)]
    return Coefficients(b[1] * w1, mu, nu, m, g)


def chebyshev_step(f: Callable[[Tensor], Tensor], y: Tensor, f0: Tensor, h: float, s: int) -> Tensor:
    """Advance y' = f(y) from y, where f is `f0`, by the time h in s stages.

    >>> import torch
    >>> y = torch.tensor([1.0], dtype=torch.float64)
    >>> round(float(chebyshev_step(lambda y: -y, y, -y, 0.1, 3)), 4), round(math.exp(-0.1), 4)
    (0.9049, 0.9048)
    """
    c = coefficients(s)
    before, now = y, y.add(f0, alpha=c.first * h)
    for mu, nu, m, g in zip(c.mu, c.nu, c.m, c.g, strict=True):
        slope = f(now)
        after = y.mul(1 - mu - nu).add_(now, alpha=mu).add_(before, alpha=nu)
        after.add_(slope, alpha=m * h).add_(f0, alpha=g * h)
        before, now = now, after
    return now


def _chebyshev(x: float, s: int) -> tuple[list[float], list[float], list[float]]:
    """The polynomials T_0 to T_s at x, and their first and second derivatives."""
    T, dT, ddT = [1.0, x], [0.0, 1.0], [0.0, 0.0]
    for j in range(2, s + 1):
        T.append(2 * x * T[j - 1] - T[j - 2])
        dT.append(2 * T[j - 1] + 2 * x * dT[j - 1] - dT[j - 2])
        ddT.append(4 * dT[j - 1] + 2 * x * ddT[j - 1] - ddT[j - 2])
    return T, dT, ddT
