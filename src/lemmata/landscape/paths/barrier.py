"""The barrier on a path, with an interval over samples that knows of the maximum.

    B = max_t mu(t),   mu(t) = E d_i(t),   d_i(t) = l_i(t) - ((1 - t) l_i(0) + t l_i(1))

where l_i(t) is the loss of sample i at t: the height of the loss above the straight line between the losses of the ends
(Frankle et al., 2020; Entezari et al., 2022), at least 0 since d is 0 at the ends. The value is the largest mean over
the samples there are, at the points of the path. As an estimate of B, that of the law the samples come from, it is too
large: a maximum prefers the point with the luckiest noise. The interval [low, high] allows for that:

    high = max_t m(t) + q s(t)     q the (1 + level) / 2 quantile of one t: mu <= m + q s there at the maximiser of mu,
                                   a fixed if unknown point, fails with probability (1 - level) / 2
    low  = max_t m(t) - c s(t)     c the (1 + level) / 2 quantile of max_t: m - c s <= mu everywhere, whichever point
                                   the maximum selects

with m and s the mean and its standard error, c that of the studentised maximum of Gaussians with the correlations of
the d_i. Both are asymptotic in the number of samples. The interval is about the sampling of examples only. If the ends
were fitted on these very samples, they are no sample of the law for the ends' losses: take test samples, or read the
value as the barrier of the training loss, which it is without any error.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.stats import t as student

from lemmata.errors import InvalidInput
from lemmata.estimate import Estimate

DRAWS = 20_000  # of the Gaussian maximum: its 97.5 % quantile is then known to about 1 %


@dataclass(frozen=True)
class Barrier(Estimate):
    """The height of a barrier: `value`, at the point `at` of the path.

    `stderr` is that of the mean at `at` over `n` samples; `mean`, `errors` (T,) and `covariance` (T, T) are those of
    the height at all points. `interval` covers the barrier of the law of the samples with the given level.
    """

    at: float = 0.0
    mean: np.ndarray = field(default_factory=lambda: np.zeros(1), repr=False)
    errors: np.ndarray = field(default_factory=lambda: np.zeros(1), repr=False)
    covariance: np.ndarray = field(default_factory=lambda: np.zeros((1, 1)), repr=False)
    seed: int = 0
    draws: int = DRAWS

    @cached_property
    def maxima(self) -> np.ndarray:
        """Draws of the largest studentised error over the path (draws,)."""
        return self._noise.max(1)

    @cached_property
    def bias(self) -> float:
        """By how much the maximum over the path is expected to exceed the true one, at such noise about the means."""
        if not np.isfinite(self.errors).all():
            raise InvalidInput(f"no bias from n = {self.n} samples and the mean losses {self.mean}")
        return float((self.mean + self._noise * self.errors).max(1).mean() - self.mean.max())

    @cached_property
    def _noise(self) -> np.ndarray:
        """A studentised Gaussian vector with the correlations of the means: (draws, T); 0 where there is no noise."""
        scale = np.where(self.errors > 0, self.errors, 1.0)
        values, vectors = np.linalg.eigh(self.covariance / np.outer(scale, scale))
        rng = np.random.default_rng(self.seed)
        normal = rng.standard_normal((self.draws, len(scale))) @ (vectors * np.sqrt(values.clip(min=0.0))).T
        return normal / np.sqrt(rng.chisquare(self.n - 1, (self.draws, 1)) / (self.n - 1))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Give [low, high] as the module says; a path without sampling noise has [value, value]."""
        if not 0 < level < 1:
            raise InvalidInput(f"confidence level {level} is not between 0 and 1; take 0.95, say")
        if not np.isfinite(self.errors).all():
            raise InvalidInput(f"no interval from n = {self.n} samples and the mean losses {self.mean}")
        if not (self.errors > 0).any():
            return self.value, self.value
        q = float(student.ppf((1 + level) / 2, self.n - 1))
        c = max(q, float(np.quantile(self.maxima, (1 + level) / 2)))
        return float((self.mean - c * self.errors).max()), float((self.mean + q * self.errors).max())


def barrier(t: np.ndarray, values: np.ndarray, *, seed: int = 0, draws: int = DRAWS, cost: float = 0.0) -> Barrier:
    """The barrier of per-sample `values` (T, n) at the points `t` (T,), increasing from 0 to 1.

    Randomness: `draws` of T Gaussians, from the seed, when the interval or the bias is asked for. Cost: T^2 n
    operations. Raises `InvalidInput` where the ends are missing. A single sample, or values that are not finite, give
    no interval.

    >>> t = np.array([0.0, 0.5, 1.0])
    >>> found = barrier(t, np.array([[0.0, 0.0], [3.0, 5.0], [2.0, 2.0]]))
    >>> found.value, found.at, found.stderr
    (3.0, 0.5, 1.0)
    """
    if len(t) < 2 or t[0] != 0.0 or t[-1] != 1.0:
        raise InvalidInput(f"a barrier is measured from t = 0 to t = 1; there are points {t.tolist()}")
    n = values.shape[1]
    above = values - ((1 - t)[:, None] * values[0] + t[:, None] * values[-1])
    mean = above.mean(1)
    worst = int(np.argmax(np.where(np.isnan(mean), np.inf, mean)))
    if n < 2 or not np.isfinite(mean).all():
        return Barrier(
            float(mean[worst]), np.inf, n, cost=cost, at=float(t[worst]), mean=mean, errors=np.full(len(t), np.inf)
        )
    rest = above - mean[:, None]
    covariance = rest @ rest.T / (n - 1) / n
    errors = np.sqrt(np.diag(covariance))
    return Barrier(
        float(mean[worst]), float(errors[worst]), n, cost=cost, at=float(t[worst]), mean=mean, errors=errors,
        covariance=covariance, seed=seed, draws=draws,
    )  # fmt: skip
