"""The optimised gradient method: the best of all first-order methods for the objective gap after n steps.

    y_{k+1} = x_k - g(x_k)/L
    x_{k+1} = y_{k+1} + (theta_k - 1)/theta_{k+1} (y_{k+1} - y_k) + theta_k/theta_{k+1} (y_{k+1} - x_k)

with Nesterov's theta, but for the last step, where theta_n = (1 + sqrt(1 + 8 theta_{n-1}^2))/2. Then

    f(x_n) - f* <= L D^2 / (2 theta_n^2) <= L D^2 / (n + 1)^2

which is attained (Huber function and quadratic) and cannot be had smaller by any method that combines gradients, in
large enough dimension (Drori, 2017). Half of what is proven of Nesterov's. The last step depends on n; in a run the
output after k steps is the point of a run that ends there, so that one run serves all n. Sources: Drori and Teboulle
(2014); Kim and Fessler (2016, Optimized first-order methods; 2017, On the convergence analysis: exactness).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lemmata.descent.method import Coefficients, Guarantee, Method
from lemmata.descent.schedules.length import whole
from lemmata.descent.schedules.nesterov import theta


def ogm(n: int | None = None) -> Method:
    """Give the optimised gradient method, for up to n steps if n is given; the guarantee is exact at every n.

    Raises `InvalidInput` for n < 1.

    >>> round(ogm().guarantee.bound(1), 6), ogm(1).matrix(1).tolist()
    (0.125, [[1.5]])
    """
    n = None if n is None else whole(n)
    guarantee = Guarantee(
        "gap",
        "distance",
        lambda n: 1 / (2 * last_theta(n) ** 2) if n else 0.5,
        "Kim, Fessler (2016), Optimized first-order methods for smooth convex minimization, Theorem 2",
        tight=True,
    )
    name = "optimised gradient" + (f", {n} steps" if n else "")
    return OptimisedGradient(name, guarantee=guarantee, source="Kim, Fessler (2016)", steps=n)


def last_theta(n: int) -> float:
    """Give theta_n of a run that ends with step n >= 1.

    >>> last_theta(1)
    2.0
    """
    return (1 + math.sqrt(1 + 8 * theta(n - 1) ** 2)) / 2


@dataclass(frozen=True, eq=False)
class OptimisedGradient(Method):
    """Steps 1/L with Nesterov's momentum and as much again along the gradient; `steps` at most, None for no end."""

    steps: int | None = None

    @property
    def length(self) -> int | None:
        """How many steps there are; None where there is no end."""
        return self.steps

    def coefficients(self, k: int) -> Coefficients:
        """Give step k where more steps follow."""
        return _towards(theta(k), theta(k + 1))

    def last(self, k: int) -> Coefficients:
        """Give step k where it is the last."""
        return _towards(theta(k), last_theta(k + 1))


def _towards(now: float, then: float) -> Coefficients:
    return Coefficients(1.0, (now - 1) / then, (2 * now - 1) / then)
