"""Levenberg and Marquardt's method on a reduced objective: Gauss-Newton steps, damped until they keep their promise.

    (G + mu I) d = -g,     rho = (j(theta) - j(theta + d)) / (fall of the model)

A step is taken where rho is positive. The damping then follows Nielsen (1999): mu <- mu max(1/3, 1 - (2 rho - 1)^3)
after a step, mu <- nu mu, nu <- 2 nu after a refusal; it starts at `damping` times the largest diagonal entry of G.
Cost: a model and its solution a step, an evaluation and a solution a refusal. Ends at a stationary point, which need
not be a minimum, still less a global one.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from lemmata.regression.single_layer.gauss_newton import Matrix, Products
from lemmata.regression.single_layer.history import Recorder
from lemmata.regression.single_layer.reduced import At, Reduced

REFUSALS = 25  # in a row, after which j does not fall beyond rounding
ACCEPT = 1e-4
EPS = 1e-15  # of j: a promised fall that rounding would hide


def levenberg_marquardt(
    reduced: Reduced,
    start: Tensor,
    model: Callable[[At], Matrix | Products],
    record: Recorder,
    *,
    damping: float = 1e-4,
) -> At:
    """Minimise from `start` until the recorder says so, or until no step makes j fall beyond rounding."""
    at = reduced.at(start)
    quadratic = model(at)
    mu, nu = damping * quadratic.largest, 2.0
    while not record.done(at.value, at.gradient):
        rho, trial = -1.0, at
        for _ in range(REFUSALS):
            step = quadratic.step(mu)
            if step is not None and step.predicted <= EPS * abs(at.value):
                break
            if step is not None:
                trial = reduced.at(at.theta + step.d, at)
                rho = (at.value - trial.value) / step.predicted if step.predicted > 0 else -1.0
                if rho > ACCEPT:
                    break
            mu, nu = nu * mu, 2 * nu
        if not rho > ACCEPT:
            record.stop("rounding")
            return at
        mu, nu = mu * max(1 / 3, 1 - (2 * min(rho, 1.0) - 1) ** 3), 2.0
        at = trial
        if not record.ends(at.value):
            quadratic = model(at)
    return at
