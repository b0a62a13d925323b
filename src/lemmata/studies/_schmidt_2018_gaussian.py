"""Robust learning in the Gaussian model of `schmidt_2018`: errors given the data in closed form, and samples needed.

    x = y theta + sigma N(0, I),   sigma = c d^(1/4)

n samples enter by w = mean of y_i x_i = theta + s g, g ~ N(0, I), s = sigma / n^(1/2). There are two learners. The
*average* classifies by the sign of <w, x>; with |theta| = d^(1/2), as in the upper bound, its robust error given w is

    Phi( -( <w, theta> - eps |w|_* ) / (sigma |w|_2) ),   |.|_* the dual norm: l1 for linf, l2 for l2.

The *best* is Bayes': theta ~ N(0, I), as in the lower bound. Given the data theta ~ N(m, v I), m = n w / (n + sigma^2),
v = sigma^2 / (n + sigma^2), so that y x ~ N(m, (sigma^2 + v) I), and the least robust error of any classifier,
averaged over theta given the data, is

    Phi( -D / (sigma^2 + v)^(1/2) ),   D = | (|m| - eps)_+ |_2 for linf, (|m|_2 - eps)_+ for l2

D is the distance of m from the ball of radius eps: an attack cannot bring the means of the two classes closer than 2 D,
and the linear classifier along the shortest connection attains that. No learner errs less on average, so this is what
"any learning algorithm" can do.

For large d the sums over coordinates are their means, |w|_1 = d (2 (1 + s^2) / pi)^(1/2), and an error of 1 % needs

    average, linf   n = sigma^2 / (1 / a^2 - 1),   a = eps (2 / pi)^(1/2) + z sigma / d^(1/2),   z = Phi^-1(0.99)

which is c^2 (2 / pi) eps^2 d^(1/2) (1 + o(1)). One draw of (theta, g) serves all n of a seed: the law of w is exact at
each n. n is treated as a real number, since it enters by the noise sigma^2 / n alone; at least 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from scipy.optimize import brentq
from scipy.stats import norm as normal
from torch import Tensor

from lemmata.study import Config, Curve, Measurements

LEVEL = 0.01
Z = float(normal.isf(LEVEL))
POINTS = 16


class Gaussian(Config):
    """One dimension, noise and attack."""

    d: int = Field(default=1_000_000, ge=2)
    noise: float = Field(default=0.25, gt=0, description="c: sigma = c d^(1/4)")
    eps: float = Field(default=0.25, ge=0)
    norm: Literal["linf", "l2"] = "linf"
    learner: Literal["average", "best"] = "average"
    budget: float = Field(default=1.0, gt=0, description="times the samples of the lower bound")

    @property
    def sigma(self) -> float:
        """The standard deviation of a coordinate."""
        return self.noise * self.d**0.25


@dataclass(frozen=True)
class Draw:
    """theta and the noise g of the mean, with their products: what a seed is."""

    theta: Tensor
    g: Tensor

    @classmethod
    def of(cls, d: int, seed: int) -> "Draw":
        """Draw from the seed and the dimension alone."""
        generator = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, d]).generate_state(1)[0]))
        return cls(torch.randn(d, generator=generator), torch.randn(d, generator=generator))

    @cached_property
    def squares(self) -> tuple[float, float, float]:
        """|theta|^2, <theta, g>, |g|^2."""
        pairs = ((self.theta, self.theta), (self.theta, self.g), (self.g, self.g))
        tt, tg, gg = (float(torch.dot(a, b)) for a, b in pairs)
        return tt, tg, gg

    @cached_property
    def room(self) -> Tensor:
        """Where w is computed."""
        return torch.empty_like(self.theta)

    def size(self, t: float, s: float) -> Tensor:
        """|t theta + s g|, entry by entry; overwritten by the next call."""
        return torch.mul(self.theta, t, out=self.room).add_(self.g, alpha=s).abs_()


def margin(config: Gaussian, draw: Draw, n: float, eps: float | None = None) -> float:
    """Z such that the robust error with n samples is Phi(-z); without `eps` the configuration's."""
    eps, sigma = config.eps if eps is None else eps, config.sigma
    s = sigma / n**0.5
    tt, tg, gg = draw.squares
    if config.learner == "average":
        t = (config.d / tt) ** 0.5  # |t theta| = d^(1/2)
        length = (config.d + 2 * s * t * tg + s**2 * gg) ** 0.5
        dual = length if config.norm == "l2" else float(draw.size(t, s).sum()) if eps else 0.0
        return (config.d + s * t * tg - eps * dual) / (sigma * length)
    shrink, predictive = n / (n + sigma**2), (sigma**2 + sigma**2 / (n + sigma**2)) ** 0.5
    length = shrink * (tt + 2 * s * tg + s**2 * gg) ** 0.5
    if config.norm == "l2" or eps == 0:
        return max(length - eps, 0.0) / predictive
    beyond = draw.size(1.0, s).mul_(shrink).sub_(eps).clamp_(min=0)
    return float(torch.linalg.vector_norm(beyond)) / predictive


def predicted_margin(config: Gaussian, n: float) -> float:
    """The same for d -> infinity: sums over coordinates at their means."""
    sigma, d, eps = config.sigma, config.d, config.eps
    if config.learner == "average":
        dual = d * (2 / np.pi) ** 0.5 if config.norm == "linf" else d**0.5
        return d**0.5 / sigma * (1 / (1 + sigma**2 / n) ** 0.5 - eps * dual / d)
    rho = (n / (n + sigma**2)) ** 0.5
    if config.norm == "l2":
        left = max(rho * d**0.5 - eps, 0.0)
    else:
        t = eps / rho
        left = rho * (2 * d * max((1 + t * t) * normal.sf(t) - t * normal.pdf(t), 0.0)) ** 0.5
    return float(left / (sigma**2 + sigma**2 / (n + sigma**2)) ** 0.5)


def samples_needed(z: Callable[[float], float]) -> float:
    """The least n >= 1, a real number, at which the error is 1 %."""
    if z(1.0) >= Z:
        return 1.0
    high = 1.0
    while z(2**high) < Z:
        high += 1.0
        if high > 60:
            return np.inf
    return float(2 ** brentq(lambda log_n: z(2**log_n) - Z, high - 1, high, xtol=1e-5))


def lower_bound(config: Gaussian) -> float:
    """The samples with which no learner is robust (Corollary 23, as the study quotes it): eps^2 sigma^2 / (8 log d)."""
    return config.eps**2 * config.sigma**2 / (8 * np.log(config.d))


def upper_bound(config: Gaussian) -> float:
    """The samples with which the average is robust: 64 eps^2 d^(1/2), and 1 at least.

    Corollary 22, as the study quotes it, for sigma <= d^(1/4) / 32.
    """
    return max(1.0, 64 * config.eps**2 * config.d**0.5)


def learn(configs: Sequence[Gaussian]) -> list[Measurements]:
    """Measure members of one dimension; those of one seed share their draw."""
    draws: dict[int, Draw] = {}
    result = {}
    for place in sorted(range(len(configs)), key=lambda place: configs[place].seed):
        config = configs[place]
        if config.seed not in draws:
            draws = {config.seed: Draw.of(config.d, config.seed)}  # one at a time: they are large
        result[place] = _measured(config, draws[config.seed])
    return [result[place] for place in range(len(configs))]


def _measured(config: Gaussian, draw: Draw) -> Measurements:
    drawn_z, predicted_z_of = partial(margin, config, draw), partial(predicted_margin, config)
    samples, predicted = samples_needed(drawn_z), samples_needed(predicted_z_of)
    found = {
        "samples": samples,
        "predicted": predicted,
        "standard_error": normal.sf(margin(config, draw, 1.0, eps=0.0)),
        "robust_error": normal.sf(margin(config, draw, 1.0)),
        "error_at_upper_bound": normal.sf(margin(config, draw, upper_bound(config))),
    }
    if config.eps:
        error = normal.sf(margin(config, draw, config.budget * lower_bound(config)))
        found["above_lower_bound"] = error - (1 - 1 / config.d) / 2
    if config.learner == "average" and np.isfinite(predicted):
        n = np.geomspace(max(1.0, predicted / 8), 4 * predicted, POINTS)
        z, predicted_z = ([each(at) for at in n.tolist()] for each in (drawn_z, predicted_z_of))
        found["error"], found["predicted_error"] = (Curve(n, np.asarray(normal.sf(y))) for y in (z, predicted_z))
    return Measurements.of(**found)
