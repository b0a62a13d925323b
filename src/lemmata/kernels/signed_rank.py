"""Wilcoxon's signed-rank test with the Hodges-Lehmann estimate of the shift, and the interval that inverts the test.

Of differences d_1, ..., d_N, symmetric about a shift: the Walsh averages are the M = N (N + 1) / 2 numbers
(d_i + d_j) / 2, i <= j. T_+ of them, the sum of the ranks of |d| over positive d, are above 0. So the median of the
Walsh averages is the shift that the test would least reject, and the shifts that it does not reject lie between the
(K + 1)-th smallest and the (K + 1)-th largest, K being the largest number with P(T_+ <= K) <= (1 - level) / 2.

The distribution of T_+ is computed exactly for differences without ties: the i-th rank is in the sum with probability
one half. With ties or zeros the interval, taken closed, covers at least as often. Fewer than 6 differences have no
interval of level 0.95: it is infinite. The p-value is exact without ties and zeros, and
otherwise of the normal approximation, zeros split evenly between the signs (Demsar 2006).

Cost: N^3 / 2 additions for the distribution, N^2 log N for the averages. Fails for skewed differences, where the shift
is neither mean nor median. Sources: Hodges, Lehmann (1963); Hollander, Wolfe, Chicken (2014), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from lemmata.errors import InvalidInput


@dataclass(frozen=True)
class SignedRank:
    """The shift `estimate` with its interval [low, high] of the level, and the two-sided p-value of no shift."""

    estimate: float
    low: float
    high: float
    p: float
    n: int
    level: float

    def reversed(self) -> SignedRank:
        """The same of the negative differences."""
        return replace(self, estimate=-self.estimate, low=-self.high, high=-self.low)


def signed_rank(differences: np.ndarray, *, level: float = 0.95) -> SignedRank:
    """Test and estimate the shift of paired differences (N,); nothing is random.

    Raises `InvalidInput` for no differences, more than 2,000 (the averages are N^2 / 2), NaN or infinity, or a level
    outside (0, 1).

    >>> found = signed_rank(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    >>> found.estimate, found.low, found.high, found.p
    (3.5, 1.0, 6.0, 0.03125)
    """
    try:
        d = np.asarray(differences, dtype=float)
    except (TypeError, ValueError, RuntimeError) as wrong:
        raise InvalidInput(f"differences that are no numbers ({wrong}); give an array (N,)") from wrong
    if d.ndim != 1 or not 0 < len(d) <= 2000 or not np.isfinite(d).all():
        raise InvalidInput(f"differences of shape {d.shape}; give 1 to 2,000 finite numbers of shape (N,)")
    if not 0 < level < 1:
        raise InvalidInput(f"level = {level}; an interval's level lies between 0 and 1")
    i, j = np.triu_indices(len(d))
    averages = np.sort((d[i] + d[j]) / 2)
    below = int((np.cumsum(signed_rank_distribution(len(d))) <= (1 - level) / 2).sum())  # K + 1, or 0
    low, high = (averages[below - 1], averages[-below]) if below else (-np.inf, np.inf)
    return SignedRank(float(np.median(averages)), float(low), float(high), _p(d), len(d), level)


@lru_cache(maxsize=64)
def signed_rank_distribution(n: int) -> np.ndarray:
    """P(T_+ = s) for s = 0, ..., n (n + 1) / 2, without ties, float64, read-only.

    >>> signed_rank_distribution(2).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    p = np.zeros(n * (n + 1) // 2 + 1)
    p[0] = 1.0
    for rank in range(1, n + 1):
        p[rank:] = (p[rank:] + p[:-rank]) / 2  # numpy reads the right-hand side before it writes
        p[:rank] /= 2
    p.setflags(write=False)
    return p


def _p(d: np.ndarray) -> float:
    """Exact without ties and zeros; else the normal approximation, with half of the zeros' ranks on either side."""
    from scipy.stats import norm, rankdata

    size, n = np.abs(d), len(d)
    ranks = rankdata(size)
    mean = n * (n + 1) / 4
    away = abs(ranks[d > 0].sum() + ranks[d == 0].sum() / 2 - mean)
    if size.all() and len(np.unique(size)) == n:
        return min(1.0, 2 * float(signed_rank_distribution(n)[: int(mean - away) + 1].sum()))
    return float(2 * norm.sf(away / np.sqrt((ranks**2).sum() / 4)))
