"""Adversarial logistic regression on the distribution itself: no samples, no training, but the minimiser to rounding.

    min over (a, b)  E log(1 + exp(-y (a x_1 + b (x_2 + ... + x_{d+1})) + eps (|a| + d |b|)))

By symmetry and convexity the best weights of the faint features are equal, so that two numbers are left; given y and
whether x_1 = y the score is normal, and the expectation a quadrature of Gauss and Hermite. The slope in b at b = 0 is
d (eps - eta) E sigmoid(.) for b > 0, since x_i is independent of x_1 given y: the faint features are left out if and
only if eps >= eta.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field
from scipy.optimize import minimize
from scipy.special import expit

from lemmata.studies._tsipras_2019_features import accuracy
from lemmata.study import Config, Measurements

NODES = 80


class Population(Config):
    """One distribution and adversary."""

    p: float = Field(default=0.95, ge=0.5, le=1, description="probability that the first feature is right")
    d: int = Field(default=100, ge=1, description="faint features")
    strength: float = Field(default=3.0, gt=0, description="their mean eta times sqrt(d)")
    eps: float = Field(default=2.0, ge=0, description="the adversary's eps, in units of eta")


def minimisers(configs: Sequence[Population]) -> list[Measurements]:
    """The best weights of each member, and their exact accuracies."""
    return [_minimiser(config) for config in configs]


def _minimiser(config: Population) -> Measurements:
    root = np.sqrt(config.d)
    eta, nodes = config.strength / root, np.polynomial.hermite_e.hermegauss(NODES)
    eps, z, weight = config.eps * eta, nodes[0], nodes[1] / np.sqrt(2 * np.pi)

    def loss(u: np.ndarray) -> tuple[float, np.ndarray]:
        """In u = (a, b sqrt(d)), both at least 0: the sum of the faint features is sqrt(d) (sqrt(d) eta + z)."""
        value, slope = 0.0, np.zeros(2)
        for share, sign in ((config.p, 1.0), (1 - config.p, -1.0)):
            by_a, by_b = sign - eps, root * (eta - eps) + z
            score = u[0] * by_a + u[1] * by_b
            value += share * weight @ np.logaddexp(0.0, -score)
            pull = -share * weight * expit(-score)
            slope += np.array([pull.sum() * by_a, pull @ by_b])
        return value, slope

    found = minimize(loss, [0.1, 0.1], jac=True, bounds=[(0, None)] * 2, method="L-BFGS-B", tol=1e-14)
    a, b = found.x[0], found.x[1] / root
    w = np.array([a, *[b] * config.d])
    return Measurements.of(
        status="ok" if found.success else "diverged",
        faint_share=float(config.d * b / max(a + config.d * b, 1e-300)),
        standard=accuracy(w, 0.0, config.p, eta),
        robust=accuracy(w, 0.0, config.p, eta, robust=eps),
    )
