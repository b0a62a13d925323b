"""Robust learning in the Bernoulli model of `schmidt_2018`: linear classifiers, and a threshold before one.

    x_i = y theta_i with probability 1/2 + tau, else -y theta_i;   tau = c d^(-1/4),   theta in {-1, 1}^d

The learner averages, w = mean of y_j x_j over n samples; w_i theta_i = v = (2 k - n) / n, k ~ Bin(n, 1/2 + tau). Only
the counts N_k of coordinates with each k matter, a multinomial draw of n + 1 classes at any dimension. Given them, the
margin of a fresh sample is a sum of d independent two-valued terms, and by the central limit theorem its errors are

    standard   Phi( -2 tau sum v / ((1 - 4 tau^2) sum v^2)^(1/2) )
    robust     Phi( -(2 tau sum v - eps sum |v|) / ((1 - 4 tau^2) sum v^2)^(1/2) )     (linf, the paper's Section 4)

(Berry and Esseen: within 0.56 / d^(1/2), 0.0006 at d = 10^6.) The *majority* rounds w to signs first. The *threshold*
rounds the input: sign(x') = x for every |x' - x|_inf < 1, so that its robust error is its standard error as long as
eps < 1, and 1 beyond. For large d the counts are their means, which gives the samples that theory predicts.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from pydantic import Field
from scipy.stats import binom
from scipy.stats import norm as normal

from lemmata.studies._schmidt_2018_gaussian import Z
from lemmata.study import Config, Curve, Measurements

ENOUGH = round(float((np.log(100) / 2) ** 0.25), 4)  # Corollary 28 (see the study): one sample errs at 1 %
POINTS = 14
MOST = 1 << 22  # samples at which the search gives up


class Bernoulli(Config):
    """One dimension, bias and attack."""

    d: int = Field(default=1_000_000, ge=100)
    bias: float = Field(default=ENOUGH, gt=0, description="c: tau = c d^(-1/4)")
    taus: float = Field(default=1.0, ge=0, description="eps / tau; the radius is this times tau, plus `eps`")
    eps: float = Field(default=0.0, ge=0, description="the part of the radius that does not shrink")
    learner: Literal["average", "majority", "threshold"] = "average"

    @property
    def tau(self) -> float:
        """By how much a coordinate is more often right than wrong: 1/2 + tau."""
        return min(self.bias / self.d**0.25, 0.5)

    @property
    def radius(self) -> float:
        """The linf radius of the attack."""
        return self.taus * self.tau + self.eps


def counts(config: Bernoulli, n: int) -> tuple[np.ndarray, np.ndarray]:
    """V (n + 1,) and how many coordinates have each, drawn from the seed, the dimension and n alone."""
    k = np.arange(n + 1)
    share = binom.pmf(k, n, 0.5 + config.tau)
    rng = np.random.default_rng([config.seed, config.d, n])
    return (2 * k - n) / n, rng.multinomial(config.d, share / share.sum()).astype(float)


def margin(config: Bernoulli, v: np.ndarray, N: np.ndarray, *, robust: bool) -> float:
    """Z such that the error is Phi(-z), of coordinates v that are met N times each."""
    weights = np.sign(v) if config.learner == "majority" else v
    tau, radius = config.tau, config.radius if robust else 0.0
    if config.learner == "threshold":
        if radius >= 1:
            return -np.inf
        radius = 0.0
    length = np.sqrt((1 - 4 * tau**2) * (N @ weights**2))
    return float((2 * tau * (N @ weights) - radius * (N @ np.abs(weights))) / length)


def drawn_margin(config: Bernoulli, n: int, *, robust: bool = True) -> float:
    """Z with n samples of this seed."""
    return margin(config, *counts(config, n), robust=robust)


def predicted_margin(config: Bernoulli, n: int) -> float:
    """Z with the counts at their means."""
    k = np.arange(n + 1)
    return margin(config, (2 * k - n) / n, config.d * binom.pmf(k, n, 0.5 + config.tau), robust=True)


def samples_needed(z: Callable[[int], float]) -> float:
    """The least whole n at which the error is 1 % at most, by doubling and halving; infinity if it never comes."""
    if z(1) >= Z:
        return 1.0
    high = 2
    while z(high) < Z:
        high *= 2
        if high > MOST:
            return np.inf
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if z(middle) >= Z else (middle, high)
    return float(high)


def learn(configs: Sequence[Bernoulli]) -> list[Measurements]:
    """Measure members, each from its own draw."""
    return [_measured(config) for config in configs]


def _measured(config: Bernoulli) -> Measurements:
    hopeless = config.radius >= (1 if config.learner == "threshold" else 2 * config.tau)  # theta itself is not robust
    predicted = np.inf if hopeless else samples_needed(lambda n: predicted_margin(config, n))
    samples = np.inf if hopeless else samples_needed(lambda n: drawn_margin(config, n))
    found = {
        "samples": samples,
        "predicted": predicted,
        "standard_error": normal.sf(drawn_margin(config, 1, robust=False)),
        "robust_error": normal.sf(drawn_margin(config, 1)),
    }
    if np.isfinite(predicted):
        n = np.unique(np.geomspace(1, max(16, 4 * predicted), POINTS).astype(int))
        found["error"] = Curve(n, np.asarray(normal.sf([drawn_margin(config, int(at)) for at in n])))
    return Measurements.of(**found)
