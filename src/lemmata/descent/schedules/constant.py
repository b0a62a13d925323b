"""Gradient descent with one step size, and its exact worst case.

With h in (0, 2), q = mu/L and n steps,

    f_n - f* <= (L D^2 / 2) max{ q / (q - 1 + (1 - q h)^(-2n)),  (1 - h)^(2n) }

which a Huber function attains (first term; 1/(2nh + 1) for q = 0) or the quadratic L x^2/2 (second). It was
conjectured by Drori and Teboulle (2014, mu = 0) and Taylor, Hendrickx and Glineur (2017), and proven by Kim (2024,
arXiv:2412.04427). The two terms are equal at the best step for n steps, which tends to 2/(1 + q), or 2, as n grows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from lemmata.descent.method import Guarantee, Schedule
from lemmata.descent.numbers import is_positive
from lemmata.descent.schedules.length import whole
from lemmata.errors import InvalidInput

KIM = "Kim (2024), A proof of the exact convergence rate of gradient descent, main theorem"


def constant(n: int | None = None, h: float | Literal["optimal"] = 1.0, *, mu: float = 0.0) -> Schedule:
    """Take the step h/L n times, or without end (n = None), on mu-strongly convex functions (mu in units of L).

    `h` = "optimal" is the step with the least worst case after exactly n steps, found to rounding by bisection;
    ``h=2 / (1 + mu)`` the classical one. The guarantee of the gap is exact for 0 < h < 2; beyond, there is none, since
    the quadratic diverges. Raises `InvalidInput` for n < 1, h not positive, mu outside [0, 1), "optimal" without n.

    >>> constant(10).guarantee.bound(10)
    0.023809523809523808
    >>> constant(1, "optimal").steps
    array([1.5])
    """
    n = None if n is None else whole(n)
    if not 0 <= mu < 1:
        raise InvalidInput(f"mu = {mu} in units of L; it must lie in [0, 1)")
    if h == "optimal":
        if n is None:
            raise InvalidInput("the optimal constant step depends on the number of steps; give n")
        h = _balanced(n, mu)
    if not is_positive(h):
        raise InvalidInput(f"h = {h!r} in units of 1/L; it must be positive and finite, or 'optimal'")
    guarantee = Guarantee("gap", "distance", _exact(h, mu), KIM, tight=True, mu=mu) if h < 2 else None
    name = f"constant step {h:.4g}" + (f", mu = {mu:g} L" if mu else "")
    return Schedule(name, np.full(n or 1, h), cyclic=n is None, guarantee=guarantee, source="Cauchy (1847)")


def _exact(h: float, mu: float) -> Callable[[int], float]:
    return lambda n: max(_slow(n, h, mu), _fast(n, h)) / 2


def _slow(n: int, h: float, mu: float) -> float:
    """The Huber function's term, through expm1 so that a small mu loses no digits."""
    if mu == 0:
        return 1 / (2 * n * h + 1)
    if mu * h >= 1:
        return 0.0  # for h >= 1/mu the quadratic's term is the larger one, whatever n
    exponent = -2 * n * math.log1p(-mu * h)
    return mu / (mu + math.expm1(exponent)) if exponent < 700 else 0.0


def _fast(n: int, h: float) -> float:
    return (1 - h) ** (2 * n)


def _balanced(n: int, mu: float) -> float:
    """The h in [1, 2) where both terms are equal: the first falls in h, the second rises."""
    low, high = 1.0, 2.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _slow(n, middle, mu) > _fast(n, middle) else (low, middle)
    return low if abs(_slow(n, low, mu) - _fast(n, low)) <= abs(_slow(n, high, mu) - _fast(n, high)) else high
