"""Bands that hold a whole distribution function at once: bounds on every share by how many of n samples are in it.

Let N(t) be how many of n independent uniform numbers are at most t. A band is two non-decreasing rows low_k, high_k,
k = 0, ..., n, and covers where low_N(t) <= t <= high_N(t) for *all* t in [0, 1] at once. Whatever the law of T, the
number of samples with T >= r is distributed as N(P(T >= r)), jointly in r; so the same rows bound P(T >= r) at every r
at once.

    equal local levels   low_k, high_k are the Clopper-Pearson bounds of k hits in n at a level gamma < alpha, the same
                         for all k, chosen so that the band covers with probability 1 - alpha exactly (Berk, Jones 1979)
    kolmogorov           k / n -+ epsilon, epsilon the quantile of Kolmogorov's statistic (by scipy, error 1e-6 of 1)
    dkw                  the same with epsilon = sqrt(log(2 / alpha) / 2n), which Massart (1990) proved to be enough

Equal local levels are the tighter near 0 and 1 (there sqrt(p (1 - p)) is small), Kolmogorov in the middle.

The probability of covering is exact: N is a Poisson process of rate n given N(1) = n, and is carried from each end of
the 2 n intervals to the next, within the states that the band allows. Some n^1.5 products: a millisecond at n = 100,
0.2 s at 10,000; the level takes some ten of them, and is kept. States of probability below 1e-18 are dropped, so that
the probability errs downwards, by less than 1e-11.

Sources: Berk, Jones (1979); Massart (1990); Moscovich, Nadler (2017), Fast calculation of boundary crossing
probabilities for Poisson processes; Aldor-Noiman et al. (2013).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln
from scipy.stats import ksone, kstwo

from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.errors import InvalidInput, UnknownName

Floats = NDArray[np.float64]
Side = Literal["two-sided", "lower"]
Method = Literal["equal local levels", "kolmogorov", "dkw"]
METHODS: tuple[Method, ...] = ("equal local levels", "kolmogorov", "dkw")
SHORT = 3.0  # mean of the counts between two ends of intervals up to which one table of Poisson weights serves
TAPS = 34  # P(Poisson(SHORT) >= TAPS) < 1e-20
FAR = 9.5  # deviations below the mean of a Poisson count whose probability is below exp(-FAR^2 / 2) = 3e-20


@dataclass(frozen=True, eq=False)
class Band:
    """`low` and `high` (n + 1,): bounds on the share from which 0, ..., n of n samples came, valid all at once.

    `level` is the probability at which each bound alone is exceeded; None where it differs from bound to bound.
    """

    low: Floats
    high: Floats
    method: str
    level: float | None = None

    @property
    def mean_width(self) -> float:
        """The width averaged over all counts."""
        return float((self.high - self.low).mean())


def band(
    n: int, *, confidence: float = 0.95, method: Method | Literal["auto"] = "auto", side: Side = "two-sided"
) -> Band:
    """Give the band for n samples. "auto" takes the narrower of the two exact ones on average over the counts.

    The choice depends on n and the confidence alone, never on the samples, and so keeps the confidence. With side
    "lower" every `high` is 1. Deterministic. Raises `InvalidInput` for n < 1 and a confidence outside (0, 1), and
    `UnknownName` for another method or side.

    >>> exact = band(500)
    >>> exact.method, exact.low[[0, 250, 500]].round(3), exact.high[[0, 250, 500]].round(3)
    ('equal local levels', array([0.   , 0.427, 0.985]), array([0.015, 0.573, 1.   ]))
    """
    if n < 1 or n != int(n):
        raise InvalidInput(f"n = {n} samples; a band wants at least one")
    if not 0 < confidence < 1:
        raise InvalidInput(f"confidence = {confidence}; give a probability between 0 and 1, such as 0.95")
    if side not in ("two-sided", "lower"):
        raise UnknownName("side", side, ("two-sided", "lower"))
    if method == "auto":
        exact = (_cached(int(n), confidence, kind, side) for kind in METHODS[:2])
        return min(exact, key=lambda found: found.mean_width)
    if method not in METHODS:
        raise UnknownName("band", method, (*METHODS, "auto"))
    return _cached(int(n), confidence, method, side)


def coverage(low: Floats, high: Floats) -> float:
    """Give the probability that rows (n + 1,), non-decreasing with low_0 = 0 and high_n = 1, hold at all t at once.

    >>> round(coverage(np.array([0.0, 0.2]), np.array([0.9, 1.0])), 12)  # one sample, between 0.2 and 0.9
    0.7
    """
    n = len(low) - 1
    times = np.unique(np.concatenate([low, high, [1.0]]))
    times = times[times > 0]
    # N(t) < k wherever t <= low_k, and N(t) > k from t = high_k on.
    most = np.searchsorted(low[1:], times, side="left")
    least = np.searchsorted(high[:-1], times, side="right")
    least = np.maximum(least, np.floor(n * times - FAR * np.sqrt(n * times)).astype(int) - 1)
    steps = n * np.diff(times, prepend=0.0)
    table = _poisson(np.minimum(steps, SHORT), TAPS)
    state, first = np.ones(1), 0
    for step, usual, bottom, top in zip(steps, table, np.maximum(least, 0), most, strict=True):
        if top < bottom:
            return 0.0
        reach = top - first + 1
        weights = usual[:reach] if step <= SHORT else _poisson(np.array([step]), reach)[0]
        state, first = np.convolve(state, weights)[max(bottom - first, 0) : reach], max(bottom, first)
        if not len(state):
            return 0.0
    ended = state[n - first] if n - first < len(state) else 0.0
    return float(min(1.0, ended / math.exp(n * math.log(n) - n - gammaln(n + 1))))


def _poisson(means: Floats, taps: int) -> Floats:
    """Probabilities of 0, ..., taps - 1 for each mean: (S, taps)."""
    counts = np.arange(taps)
    return np.exp(counts * np.log(means)[:, None] - means[:, None] - gammaln(counts + 1))


@lru_cache(maxsize=64)
def _cached(n: int, confidence: float, method: Method, side: Side) -> Band:
    alpha, counts = 1 - confidence, np.arange(n + 1)
    if method == "equal local levels":
        level = local_level(n, confidence, side)
        low = clopper_pearson(counts, n, alpha=level, side="lower")
        high = clopper_pearson(counts, n, alpha=level, side="upper")
    else:
        level = None
        if method == "dkw":
            reach = math.sqrt(math.log((1 if side == "lower" else 2) / alpha) / (2 * n))
            reach = max(reach, math.sqrt(math.log(2) / (2 * n)))  # where Massart's one-sided inequality begins
        else:
            reach = float((ksone if side == "lower" else kstwo).isf(alpha, n))
        low, high = np.maximum(counts / n - reach, 0.0), np.minimum(counts / n + reach, 1.0)
    if side == "lower":
        high = np.ones_like(low)
    low.flags.writeable = high.flags.writeable = False
    return Band(low, high, method, level)


@lru_cache(maxsize=64)
def local_level(n: int, confidence: float = 0.95, side: Side = "two-sided") -> float:
    """Give the level gamma at which Clopper-Pearson bounds of all counts hold at once with the confidence.

    It is at most 1e-4 of itself too small, never too large.

    >>> round(local_level(1), 6), local_level(500) < 0.0015
    (0.025, True)
    """
    from scipy.optimize import brentq

    counts = np.arange(n + 1)

    def excess(log_level: float) -> float:
        """By how much the logarithm of the error exceeds what is allowed: nearly straight in log gamma."""
        level = math.exp(log_level)
        low = clopper_pearson(counts, n, alpha=level, side="lower")
        high = clopper_pearson(counts, n, alpha=level, side="upper") if side == "two-sided" else np.ones_like(low)
        return math.log1p(-min(coverage(low, high), 1 - 1e-15)) - math.log(1 - confidence)

    # 2 n bounds at alpha / 2 n hold at once by the union bound; and one of them alone at no more than alpha.
    sought = brentq(excess, math.log((1 - confidence) / (2 * n)) - 1e-3, math.log(1 - confidence) + 1e-3, xtol=2e-5)
    found = float(sought) - 2e-5
    while excess(found) > 0:
        found -= 2e-5
    return math.exp(found)
