"""A bound from a number of tosses fixed beforehand: Clopper-Pearson at n, and nothing before.

It is the yardstick of the sequential procedures, and Cohen et al.'s CERTIFY (2019): each coin costs all n tosses.
"""

from __future__ import annotations

import numpy as np

from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.bernoulli.looks import require_tosses
from lemmata.bernoulli.procedure import BoolArray, FloatArray, IntArray
from lemmata.errors import InvalidInput
from lemmata.given import require_number


class FixedSample:
    """The exact one-sided lower bound after `n` tosses, at confidence 1 - alpha.

    Never more than alpha^(1/n): 5 hits of 5 prove p > 0.2512 at alpha = 0.001, so that no coin is proven better than
    even (`samples_needed` says how many tosses a claim takes; `certify` refuses fewer).

    >>> progress = FixedSample(1000, alpha=0.001).start(np.array([99, 50]), 100)
    >>> progress.look(0, np.array([0, 1]), np.array([990, 480]))
    array([ True,  True])
    >>> progress.lower.round(4)
    array([0.976 , 0.4309])
    """

    def __init__(self, n: int, *, alpha: float = 0.001):
        self.n = require_tosses(n, "n")
        self.alpha = require_level(alpha, "alpha")
        self.looks: IntArray = np.array([self.n], dtype=np.int64)

    def __repr__(self) -> str:
        return f"FixedSample({self.n}, alpha={self.alpha:g})"

    def start(self, selected: IntArray, n0: int) -> FixedProgress:
        """Begin with N coins; the selection tosses tell a fixed sample nothing."""
        return FixedProgress(self.n, self.alpha, len(selected))


class FixedProgress:
    """Where N coins stand: `lower` (N,), 0 until the one look."""

    def __init__(self, n: int, alpha: float, coins: int):
        self.n, self.alpha = n, alpha
        self.lower: FloatArray = np.zeros(coins)

    def look(self, k: int, active: IntArray, hits: IntArray) -> BoolArray:
        """Bound the coins `active` (m,) by their `hits` (m,) of n tosses; all of them are done."""
        self.lower[active] = clopper_pearson(hits, self.n, alpha=self.alpha, side="lower")
        return np.ones(len(active), dtype=bool)


def require_level(value: object, name: str) -> float:
    """Give a probability of error back that lies strictly between 0 and 1.

    >>> require_level(1.0, "alpha")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: alpha = 1.0; give a probability of error between 0 and 1, such as 0.001
    """
    level = require_number(value, name)
    if not 0 < level < 1:  # NaN fails too
        raise InvalidInput(f"{name} = {level}; give a probability of error between 0 and 1, such as 0.001")
    return level
