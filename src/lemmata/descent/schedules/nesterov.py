"""Nesterov's accelerated gradient method, with exact bounds of its theta sequence, and for strong convexity.

    y_{k+1} = x_k - g(x_k)/L,    x_{k+1} = y_{k+1} + b_k (y_{k+1} - y_k),    b_k = (theta_k - 1)/theta_{k+1}
    theta_0 = 1,  theta_{k+1} = (1 + sqrt(1 + 4 theta_k^2))/2

    f(y_n) - f* <= L D^2 / (2 theta_{n-1}^2) <= 2 L D^2 / (n + 1)^2

and on mu-strongly convex functions, with b = (1 - sqrt q)/(1 + sqrt q), q = mu/L,

    f(y_n) - f* <= (1 - sqrt q)^n (f_0 - f* + mu D^2 / 2) <= (1 - sqrt q)^n (1 + q)/2 L D^2

The output is y_n, the gradient step before the last extrapolation. In the recursion of `Method` w_k = x_k - y_k.
The order 1/n^2 is the best there is; the constant is not (see `ogm`), and the gap is not monotone. Sources: Nesterov
(1983); Beck and Teboulle (2009), Theorem 4.4 and its proof; Nesterov (2004), Theorem 2.2.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lemmata.descent.method import Coefficients, Guarantee, Method
from lemmata.errors import InvalidInput

_THETA = [1.0]


def theta(k: int) -> float:
    """Give theta_k; kept for later calls.

    >>> theta(1)
    1.618033988749895
    """
    while len(_THETA) <= k:
        _THETA.append((1 + math.sqrt(1 + 4 * _THETA[-1] ** 2)) / 2)
    return _THETA[k]


def nesterov(*, mu: float = 0.0) -> Method:
    """Give the method for convex functions, or with mu > 0 (in units of L) that for mu-strongly convex ones.

    The guarantees hold at every n and are not attained. Raises `InvalidInput` for mu outside [0, 1).

    >>> round(nesterov().guarantee.bound(100) * 101**2, 4)
    1.9244
    """
    if not 0 <= mu < 1:
        raise InvalidInput(f"mu = {mu} in units of L; it must lie in [0, 1)")
    if mu:
        return _constant_momentum(mu)
    guarantee = Guarantee(
        "gap",
        "distance",
        lambda n: 1 / (2 * theta(n - 1) ** 2) if n else 0.5,
        "Beck, Teboulle (2009), A fast iterative shrinkage-thresholding algorithm, proof of Theorem 4.4",
    )
    return Nesterov("Nesterov", guarantee=guarantee, source="Nesterov (1983)")


@dataclass(frozen=True, eq=False)
class Nesterov(Method):
    """Steps 1/L with a growing momentum, or with the constant one `momentum`; the output is y."""

    momentum: float | None = None

    def coefficients(self, k: int) -> Coefficients:
        """Give step k, with extrapolation."""
        b = (theta(k) - 1) / theta(k + 1) if self.momentum is None else self.momentum
        return Coefficients(1.0, b, b)

    def last(self, k: int) -> Coefficients:
        """Give step k without extrapolation."""
        return Coefficients(1.0)


def _constant_momentum(mu: float) -> Method:
    root = math.sqrt(mu)
    guarantee = Guarantee(
        "gap",
        "distance",
        lambda n: (1 - root) ** n * (1 + mu) / 2,
        "Nesterov (2004), Introductory lectures on convex optimization, Theorem 2.2.3",
        mu=mu,
    )
    name, momentum = f"Nesterov, mu = {mu:g} L", (1 - root) / (1 + root)
    return Nesterov(name, guarantee=guarantee, source="Nesterov (2004), (2.2.11)", momentum=momentum)
