"""How a group-sequential bound shares alpha among its looks: where the selection tosses say that a coin will stop.

    share_k = (1 - trust) base_k + trust P(the coin stops at look k | h0 of n0 selection tosses were hits)

`base` keeps the share `last` for the last look and gives the others equal parts. A look with a third of alpha needs
20 % less width than one with a hundredth, hence a third fewer tosses; all it takes is to know beforehand which look it
is, and n0 = 100 tosses tell that to within a look or two. The shares are fixed before the first toss that counts as
evidence, so that they change no guarantee.

The prediction: under Jeffreys' prior, p given h0 has the density of Beta(h0 + 1/2, n0 - h0 + 1/2); a coin of that p,
hits being what is expected of them, stops at a look that is found by trying. Cost: some 50 ms once a procedure.
"""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.special import ndtr, xlog1py, xlogy

from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.bernoulli.procedure import BoolArray, FloatArray, IntArray
from lemmata.errors import InvalidInput
from lemmata.given import require_number

TRIED = ndtr(np.linspace(-3.0, 5.0, 320))  # the probabilities at which stopping is predicted
GUESS = 0.3  # the share of alpha that a look which stops a coin has, as far as the prediction is concerned


class Stopping(Protocol):
    """What a spending needs to know of its procedure."""

    alpha: float
    futility: float
    looks: IntArray

    def attainable(self, hits: FloatArray | IntArray, k: int, level: FloatArray) -> FloatArray:
        """What all tosses would prove, if p were its upper confidence bound after look k."""
        ...

    def close(self, lower: FloatArray, attainable: FloatArray) -> BoolArray:
        """Whether a bound is within the tolerance of another."""
        ...


class Spending:
    """The shares of alpha that the looks of a procedure have, given the selection tosses of a coin."""

    def __init__(self, rule: Stopping, *, last: float, trust: float):
        self.rule, self.last, self.trust = rule, last, require_number(trust, "trust")
        if not 0 <= self.trust < 1:
            raise InvalidInput(f"trust = {self.trust}; give a share of alpha from 0 up to, but not including, 1")

    def shares(self, selected: IntArray, n0: int) -> FloatArray:
        """The shares (N, K), positive with sum 1, of coins with `selected` (N,) hits in n0 selection tosses.

        Raises `InvalidInput` for hits outside 0, ..., n0; n0 = 0 says nothing, and gives the base.
        """
        found = np.asarray(selected)
        if ((found < 0) | (found > n0)).any():
            raise InvalidInput(
                f"selected hits from {found.min()} to {found.max()} of n0 = {n0}; they lie in 0, ..., n0"
            )
        if self.trust == 0 or n0 == 0:
            return np.tile(self._base, (len(found), 1))
        distinct, place = np.unique(found, return_inverse=True)
        log_density = xlogy(distinct[:, None] - 0.5, TRIED) + xlog1py(n0 - distinct[:, None] - 0.5, -TRIED)
        weight = np.exp(log_density - log_density.max(1, keepdims=True)) * np.gradient(TRIED)
        predicted = weight @ self._stops / weight.sum(1, keepdims=True)
        return ((1 - self.trust) * self._base + self.trust * predicted)[place]

    @property
    def _base(self) -> FloatArray:
        looks = len(self.rule.looks)
        if looks == 1:
            return np.ones(1)
        return np.append(np.full(looks - 1, (1 - self.last) / (looks - 1)), self.last)

    @cached_property
    def _stops(self) -> FloatArray:
        """At which look a coin of each tried probability stops, as (tried, K) of zeros and ones."""
        rule, last = self.rule, len(self.rule.looks) - 1
        level = np.full(len(TRIED), GUESS)
        at = np.full(len(TRIED), last)
        for k in reversed(range(last)):
            hits = np.floor(TRIED * rule.looks[k])
            lower = clopper_pearson(hits, rule.looks[k], alpha=rule.alpha * level)
            at[rule.close(lower, rule.attainable(hits, k, rule.futility * level))] = k
        return np.eye(last + 1)[at]
