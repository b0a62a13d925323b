"""The exact two-sided test of one probability: how likely an outcome at least as far out is, if p = p0.

    P-value = min(1, 2 min(P(X >= h), P(X <= h))),   X ~ Binomial(n, p0)

At p0 = 1/2, where both tails are alike, this is the test by which Cohen, Rosenfeld and Kolter (2019, section 3.2.1)
decide whether the most frequent class is the smoothed classifier's. It rejects p0 at level alpha exactly where p0 lies
outside the two-sided Clopper-Pearson interval.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaincc

from lemmata.bernoulli.clopper_pearson import Floats, require_counts
from lemmata.errors import InvalidInput


def binomial_test(hits: ArrayLike, n: ArrayLike, p0: ArrayLike = 0.5) -> Floats:
    """The P-value of p = p0 against p != p0, float64 of the common shape; Cohen's PREDICT abstains where it is > alpha.

    Of two classes with counts a >= b, give ``binomial_test(a, a + b)``. No tosses (n = 0) give 1: nothing is known.
    Raises `InvalidInput` for hits outside 0, ..., n and for p0 outside (0, 1).

    >>> binomial_test([60, 52], 100).round(4)
    array([0.0569, 0.7644])
    """
    tosses = np.asarray(n)
    none = tosses == 0
    h, count, _ = require_counts(hits, np.where(none, 1, tosses), 0.5)
    try:
        p = np.asarray(p0, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInput(f"p0 = {p0!r}; give a probability between 0 and 1, or several") from None
    if not ((p > 0) & (p < 1)).all():
        raise InvalidInput(f"p0 = {p0}; give a probability between 0 and 1, neither included")
    above = np.where(h > 0, betainc(np.maximum(h, 1), count - h + 1, p), 1.0)  # P(X >= h)
    below = np.where(h < count, betaincc(h + 1, np.maximum(count - h, 1), p), 1.0)
    return np.where(none, 1.0, np.minimum(1.0, 2 * np.minimum(above, below)))[()]
