"""The hits of a coin as a walk from look to look, and exactly how often it crosses a boundary.

With f_k(h) the probability of h hits at look k without having crossed before, and m_k the tosses between looks,

    f_k(h) = sum_d f_{k-1}(h - d) P(Binomial(m_k, p) = d)  for h < accept_k;   what arrives at h >= accept_k has
    crossed.

Cost: a convolution a look, of some 14 standard deviations of the hits with some 16 of the increments: O(n) in all,
milliseconds at n = 100,000. Probability that is cut off beyond those counts as crossed, so that rounding is on the safe
side: at most 1e-12 of it.

`audit` walks by code of its own, so that each checks the other.

Source: Armitage, McPherson, Rowe (1969), for the walk.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import bdtr, bdtrc, gammaln, xlog1py, xlogy

from lemmata.bernoulli.procedure import FloatArray, IntArray

CUT = 1e-18  # states and increments less likely than this are cut off


@dataclass(frozen=True)
class Walk:
    """Where the walk stands: `weight` of the states first, first + 1, ... that have not crossed, and `crossed` so
    far.
    """

    first: int
    weight: FloatArray
    crossed: float

    def step(self, samples: int, p: float) -> Walk:
        """Toss `samples` more times."""
        first, chance, beyond = increments(samples, p)
        return Walk(self.first + first, np.convolve(self.weight, chance), self.crossed + beyond)

    def stop(self, accept: int) -> Walk:
        """Take out what has crossed: h >= accept; and what is too unlikely to matter, as if it had."""
        inside = self.weight[: max(0, accept - self.first)]
        kept = np.flatnonzero(inside > CUT)
        low, high = (kept[0], kept[-1] + 1) if len(kept) else (0, 0)
        gone = self.weight[len(inside) :].sum() + inside[:low].sum() + inside[high:].sum()
        return Walk(self.first + int(low), inside[low:high], self.crossed + float(gone))

    def least_accept(self, level: float) -> int:
        """The least boundary at which `crossed` stays at most `level`."""
        tail = self.crossed + np.cumsum(self.weight[::-1])[::-1]
        return self.first + int(np.searchsorted(-tail, -level))


def start() -> Walk:
    """No tosses, no hits."""
    return Walk(0, np.ones(1), 0.0)


def walk(looks: IntArray, accept: IntArray, p: float) -> Walk:
    """The walk after `looks` (K,) with boundaries `accept` (K,): its `crossed` is the probability of acceptance.

    >>> walk(np.array([2, 4]), np.array([2, 4]), 0.5).crossed      # both hits, at once or never
    0.25
    """
    state = start()
    for samples, boundary in zip(np.diff(looks, prepend=0), accept, strict=True):
        state = state.step(int(samples), p).stop(int(boundary))
    return state


@lru_cache(maxsize=4096)
def increments(samples: int, p: float) -> tuple[int, FloatArray, float]:
    """The least number of hits in `samples` tosses that matters, the chances from there on, and what they leave out.

    >>> increments(2, 0.5)[1].round(6)
    array([0.25, 0.5 , 0.25])
    """
    mean, deviation = samples * p, np.sqrt(samples * p * (1 - p))
    low, high = max(0, int(mean - 9 * deviation - 30)), min(samples, int(mean + 9 * deviation + 30))
    d = np.arange(low, high + 1)
    ways = gammaln(samples + 1) - gammaln(d + 1) - gammaln(samples - d + 1)
    chance = np.exp(ways + xlogy(d, p) + xlog1py(samples - d, -p))
    beyond = (bdtr(low - 1, samples, p) if low else 0.0) + (bdtrc(high, samples, p) if high < samples else 0.0)
    return low, chance / chance.sum() * (1 - beyond), float(beyond)
