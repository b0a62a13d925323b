"""The least number of hits that proves p: the Clopper-Pearson bound as a comparison of integers."""

from __future__ import annotations

import numpy as np
from scipy.special import bdtrc

from lemmata.bernoulli.procedure import FloatArray, IntArray


def least_hits(tosses: IntArray, level: FloatArray, p: float) -> IntArray:
    """The least h (K,) with P(X >= h) <= level, X ~ Binomial(tosses, p): where the Clopper-Pearson bound reaches p.

    tosses + 1 where no outcome is so unlikely.

    >>> least_hits(np.array([9, 10]), np.array([0.001, 0.001]), 0.5)
    array([10, 10])
    """
    low, high = np.zeros_like(tosses), tosses + 1  # P(X >= low) > level: the level is below 1
    while (high - low > 1).any():
        middle = (low + high) // 2
        enough = bdtrc(middle - 1, tosses, p) <= level
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high
