"""All walks of the hits at once: the law of the hits among the walks that are still under way, look by look."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.stats import binom

from lemmata.bernoulli.procedure import FloatArray, IntArray

NEGLIGIBLE = 1e-20  # a state less likely than this is cut off, and counted as lost
WIDTH = 10.0  # standard deviations of the hits between looks that are followed, and ROOM hits more for skewed ones
ROOM = 40


def crossed_by_look(looks: IntArray, accept: IntArray, reject: IntArray, p: float) -> tuple[FloatArray, float, float]:
    """The probability (K,) of having crossed by each look, what was cut off and might have, and the mean tosses.

    >>> crossed, lost, samples = crossed_by_look(np.array([1, 2]), np.array([1, 2]), np.array([-1, -1]), 0.25)
    >>> crossed, lost < 1e-15, samples
    (array([0.25, 0.25]), True, 1.75)
    """
    first, weight, lost, ended, samples = 0, np.ones(1), 0.0, 0.0, 0.0
    crossed = np.zeros(len(looks))
    for k, more in enumerate(np.diff(looks, prepend=0)):
        samples += float(more) * float(weight.sum())
        start, chance, beyond = _increment(int(more), p)
        lost += beyond
        weight, first = np.convolve(weight, chance), first + start
        bottom = np.clip(reject[k] + 1 - first, 0, len(weight))
        top = max(np.clip(accept[k] - first, 0, len(weight)), bottom)
        ended += float(weight[top:].sum())
        crossed[k] = ended
        weight, first = weight[bottom:top], first + int(bottom)
        kept = np.flatnonzero(weight > NEGLIGIBLE)
        if not len(kept):
            lost += float(weight.sum())
            crossed[k:] = ended
            break
        lost += float(weight[: kept[0]].sum() + weight[kept[-1] + 1 :].sum())
        weight, first = weight[kept[0] : kept[-1] + 1], first + int(kept[0])
    return crossed, lost, samples


@lru_cache(maxsize=4096)
def _increment(tosses: int, p: float) -> tuple[int, FloatArray, float]:
    """The hits between two looks: the least that is followed, the chances from there on, and what they leave out."""
    half = WIDTH * np.sqrt(tosses * p * (1 - p)) + ROOM
    low, high = max(0, int(tosses * p - half)), min(tosses, int(tosses * p + half))
    beyond = float(binom.cdf(low - 1, tosses, p) + binom.sf(high, tosses, p))
    return low, np.asarray(binom.pmf(np.arange(low, high + 1), tosses, p)), beyond
