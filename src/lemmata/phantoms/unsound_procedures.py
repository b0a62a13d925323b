"""Procedures that are known to be wrong: what an audit must catch, and what students can see fail.

`NaivePeeking`: Clopper-Pearson at level alpha at each of several looks, the best of which is believed. At 40
looks it gives 6 to 16 times as many false certificates as it promises.

`ReusedSelection`: the tosses that chose the class are counted again as evidence for it. Of two equally likely classes
it gives up to twice as many, as n comes down to n0.

Each would be right with one change: a share of alpha for each look, tosses of its own for the evidence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lemmata.bernoulli import clopper_pearson
from lemmata.bernoulli.fixed_sample import require_level
from lemmata.bernoulli.least_hits import least_hits
from lemmata.bernoulli.looks import require_count, require_looks, require_tosses
from lemmata.bernoulli.procedure import BoolArray, FloatArray, IntArray
from lemmata.errors import InvalidInput


class NaivePeeking:
    """Clopper-Pearson at level alpha at each of the `looks`, the best of which is believed.

    >>> from lemmata.bernoulli import false_certificate_probability
    >>> round(false_certificate_probability(NaivePeeking([100, 200, 400], alpha=0.001), 0.75, n0=0).rate, 4)
    0.0018
    """

    def __init__(self, looks: Sequence[int] | IntArray, *, alpha: float = 0.001):
        self.looks: IntArray = require_looks(looks)
        self.n, self.alpha = int(self.looks[-1]), require_level(alpha, "alpha")

    def __repr__(self) -> str:
        return f"NaivePeeking(at {len(self.looks)} looks, alpha={self.alpha:g})"

    def start(self, selected: IntArray, n0: int) -> PeekingProgress:
        """Begin with N coins; the selection tosses are not used."""
        return PeekingProgress(self, np.zeros(len(selected), dtype=np.int64), 0)

    def boundary(self, p: float, selected: int, n0: int) -> IntArray:
        """The least hits (K,) at which each look proves p or more."""
        return least_hits(self.looks, np.full(len(self.looks), self.alpha), p)


class ReusedSelection:
    """Clopper-Pearson at n tosses, n0 of which are those that chose the class.

    >>> from lemmata.bernoulli import false_certificate_probability
    >>> round(false_certificate_probability(ReusedSelection(200, n0=100, alpha=0.001), [0.5, 0.5], n0=100).rate, 4)
    0.0014
    """

    def __init__(self, n: int, *, n0: int, alpha: float = 0.001):
        self.n, self.n0 = require_tosses(n, "n"), require_count(n0, "n0", least=0)
        if self.n0 >= self.n:
            raise InvalidInput(f"n0 = {n0} of n = {n} tosses choose the class; give n0 below n, or none are left")
        self.alpha = require_level(alpha, "alpha")
        self.looks: IntArray = np.array([self.n - self.n0], dtype=np.int64)

    def __repr__(self) -> str:
        return f"ReusedSelection({self.n}, n0={self.n0}, alpha={self.alpha:g})"

    def start(self, selected: IntArray, n0: int) -> PeekingProgress:
        """Begin with N coins, whose `selected` (N,) hits are counted as evidence."""
        return PeekingProgress(self, np.asarray(selected, dtype=np.int64), n0)

    def boundary(self, p: float, selected: int, n0: int) -> IntArray:
        """The least hits (1,) of the later tosses at which p or more is proven."""
        return np.maximum(least_hits(self.looks + n0, np.array([self.alpha]), p) - selected, 0)


class PeekingProgress:
    """Where N coins stand: `lower` (N,), the best bound so far."""

    def __init__(self, procedure: NaivePeeking | ReusedSelection, earlier: IntArray, n0: int):
        self.procedure, self.earlier, self.n0 = procedure, earlier, n0
        self.lower: FloatArray = np.zeros(len(earlier))

    def look(self, k: int, active: IntArray, hits: IntArray) -> BoolArray:
        """Bound the coins `active` (m,) at level alpha, whatever was looked at before; done at the last look only."""
        counted, tossed = hits + self.earlier[active], self.procedure.looks[k] + self.n0
        found = clopper_pearson(counted, tossed, alpha=self.procedure.alpha)
        self.lower[active] = np.maximum(self.lower[active], found)
        return np.full(len(active), k == len(self.procedure.looks) - 1)
