"""Levenberg and Marquardt's method on a reduced objective: Gauss-Newton steps, damped until they keep their promise.

    (G + mu I) d = -g,     rho = (j(theta) - j(theta + d)) / (fall of the model)

A step is taken where rho is positive; a fall too small to show in j has to show as a shorter gradient. The damping
then follows Nielsen (1999): mu <- mu max(1/3, 1 - (2 rho - 1)^3) after a step, mu <- nu mu, nu <- 2 nu after a refusal;
it starts at `damping` times the largest diagonal entry of G.
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
ROUNDING = 1e-13  # of j: a promised fall that rounding may hide


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
        for _ in range(REFUSALS):
            taken = _attempt(reduced, at, quadratic, mu)
            if taken is not None:
                break
            mu, nu = nu * mu, 2 * nu
        else:
            record.stop("rounding")
            break
        at, rho = taken
        mu, nu = mu * max(1 / 3, 1 - (2 * min(rho, 1.0) - 1) ** 3), 2.0
        if not record.ends(at.value):
            quadratic = model(at)
    return at


def _attempt(reduced: Reduced, at: At, quadratic: Matrix | Products, mu: float) -> tuple[At, float] | None:
    """The point after a step of this damping and its rho; None if it is refused."""
    step = quadratic.step(mu)
    if step is None or not step.predicted > 0:
        return None
    trial = reduced.at(at.theta + step.d, at)
    if step.predicted <= ROUNDING * abs(at.value):  # a fall that values cannot show: the gradient has to
        level = trial.value <= at.value + ROUNDING * abs(at.value)
        return (trial, 1.0) if level and trial.gradient.norm() < 0.9 * at.gradient.norm() else None
    rho = (at.value - trial.value) / step.predicted
    return (trial, rho) if rho > ACCEPT else None
