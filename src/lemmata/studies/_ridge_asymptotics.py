"""The risk of ridge regression in the limit of many samples and features, from the spectrum of the population.

    x ~ covariance with eigenvalues v_i and signal coefficients theta_i,    y = <x, theta> + noise,
    estimate = argmin |y - X b|^2 / n + ridge |b|^2       (of least norm, where ridge = 0)

With n and the features growing together, the excess risk |S^(1/2) (estimate - theta)|^2 given X tends to

    bias + variance = [sum_i v_i (kappa theta_i / (v_i + kappa))^2  +  noise^2 df2 / n] / (1 - df2 / n),
    df1 = sum_i v_i / (v_i + kappa),      df2 = sum_i (v_i / (v_i + kappa))^2,

where the effective ridge kappa >= ridge solves kappa = ridge + kappa df1 / n: the one fixed point. Without a ridge it
is df1 = n, and kappa = 0 when there are no more features than samples. For v = 1 and ridge = 0 it is

    noise^2 gamma / (1 - gamma)  (gamma = p/n < 1),       r^2 (1 - 1/gamma) + noise^2 / (gamma - 1)  (gamma > 1).

What is left out is of relative order 1 / (n - df2), the inverse of the samples that are left for the noise: for
Gaussian features with p < n the mean over samples is noise^2 p / (n - p - 1), and `relative_error` is three times
1 / (n - df2). That is an order and no bound: a bias that a few directions make is further off, and differs from sample
to sample (`kaplan_2020`, source 5). It fails at n = df2, where the risk has no mean. Cost: a few dozen sums over the
spectrum.

Sources: Hastie, Montanari, Rosset, Tibshirani (2022), arXiv:1903.08560, for features x = S^(1/2) z with independent z;
Dobriban and Wager (2018), arXiv:1507.03003, for ridge regression with random coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from lemmata.errors import InvalidInput

ROUNDING = 1e-9  # of counts that are integrals of a density


@dataclass(frozen=True, eq=False)
class Population:
    """Blocks of equal eigenvalues: `variances` v (m,), how many of each `counts` (m,), and `signal` (m,).

    `signal` is the sum of theta_i^2 over a block; `noise` is the variance of the labels' noise. Counts may be
    fractions: a spectrum given by a density. Raises `InvalidInput` for shapes that differ or a variance that is not
    positive.

    >>> Population(np.ones(1), np.array([400]), np.array([5.0])).features
    400.0
    """

    variances: np.ndarray
    counts: np.ndarray
    signal: np.ndarray
    noise: float = 1.0

    def __post_init__(self):
        for name in ("variances", "counts", "signal"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=float))
        shapes = {self.variances.shape, self.counts.shape, self.signal.shape}
        if len(shapes) != 1 or self.variances.ndim != 1:
            raise InvalidInput(f"variances, counts and signal want one shape (m,), got {sorted(shapes)}")
        if not (self.variances > 0).all():
            raise InvalidInput(f"the smallest variance is {self.variances.min():g}; leave out what does not vary")

    @property
    def features(self) -> float:
        """How many features there are."""
        return float(self.counts.sum())


@dataclass(frozen=True)
class Risk:
    """The limit of the excess risk given X, in its two parts, with the effective ridge and degrees of freedom."""

    kappa: float
    df1: float
    df2: float
    bias: float
    variance: float
    n: float

    @property
    def total(self) -> float:
        """Bias and variance."""
        return self.bias + self.variance

    @property
    def relative_error(self) -> float:
        """3 / (n - df2): the order of what a finite n adds, with room for as much again by chance, twice."""
        return 3 / (self.n - self.df2) if self.n > self.df2 else np.inf


def effective_ridge(population: Population, n: float, ridge: float = 0.0) -> float:
    """The root kappa >= ridge of n ridge / kappa + df1(kappa) = n, whose left side falls from infinity to 0.

    >>> round(effective_ridge(Population(np.ones(1), np.array([400]), np.array([5.0])), 200), 12)
    1.0
    """
    v, counts = population.variances, population.counts
    if ridge == 0 and population.features <= n * (1 + ROUNDING):
        return 0.0

    def surplus(log_kappa: float) -> float:
        kappa = np.exp(log_kappa)
        return n * ridge / kappa + float((counts * v / (v + kappa)).sum()) - n

    low = max(ridge, v.min() * (population.features / n - 1))
    high = ridge + float((counts * v).sum()) / n
    return float(np.exp(brentq(surplus, np.log(low) - 1e-9, np.log(high) + 1e-9, xtol=1e-14, rtol=1e-14)))  # type: ignore[arg-type]


def ridge_risk(population: Population, n: float, ridge: float = 0.0) -> Risk:
    """The limiting excess risk of ridge regression on n samples; infinite where n = df2.

    >>> over, under = (Population(np.ones(1), np.array([p]), np.array([5.0])) for p in (400, 100))
    >>> round(ridge_risk(over, 200).total, 12), round(ridge_risk(under, 200).total, 12)
    (3.5, 1.0)
    """
    kappa = effective_ridge(population, n, ridge)
    v, counts = population.variances, population.counts
    shrunk = v / (v + kappa)
    df1, df2 = float((counts * shrunk).sum()), float((counts * shrunk**2).sum())
    lost = float((v * (1 - shrunk) ** 2 * population.signal).sum())
    if n - df2 <= ROUNDING * n:
        return Risk(kappa, df1, df2, np.inf if lost else 0.0, np.inf if population.noise else 0.0, n)
    left = 1 - df2 / n
    return Risk(kappa, df1, df2, lost / left, population.noise * df2 / n / left, n)
