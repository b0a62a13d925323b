"""Is p above a threshold p0? A sequential test that takes few tosses and errs with probability at most alpha.

The evidence for p > p0 after h hits in T tosses is what bets on q > p0 at the odds of p0 would have won,

    e(h; T) = sum_j w_j (q_j / p0)^h ((1 - q_j) / (1 - p0))^(T - h),         q_j > p0,  sum_j w_j = 1,

a nonnegative martingale that starts at 1 if p = p0, so that P(e ever reaches c) <= 1 / c (Ville). It increases in h,
and so accepting where e >= c is accepting at h >= accept[k]: an integer a look. Evidence for p < p1 decides in the
same way, by h <= reject[k], that going on is hopeless, p1 being the share of hits that the last look would ask for;
this costs power only, and alpha does not count on it. So is a coin from which no later boundary is in reach.

c need not be 1 / alpha. The looks are known, hence the probability of ever crossing is computed exactly, at p = p0
where it is largest, and c is lowered until the looks before the last spend (1 - final) alpha; the last look accepts
at the least h that keeps the whole at alpha. With ``level="ville"`` nothing is counted on but the martingale: c = 1 /
(alpha (1 - final)), and the last look adds Clopper-Pearson at alpha final.

Cost: some 10 ms a threshold and group of selected hits, once (cached); then a comparison of integers a look. Fails:
within some 3 standard deviations of n tosses around p0 all n are needed, and often decide nothing.

Sources: Ville (1939); Robbins (1970) for mixtures; Shafer (2021) for bets; Voracek (2024) for certificates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from lemmata.bernoulli.alternatives import Alternatives, alternatives
from lemmata.bernoulli.least_hits import least_hits
from lemmata.bernoulli.procedure import BoolArray, IntArray
from lemmata.bernoulli.walk import Walk, start, walk
from lemmata.short_repr import short_repr

Level = Literal["exact", "ville"]
CLOSE = 0.9  # share of its level that the early boundary should spend; what it leaves, the last look has
TRIES = 8  # boundaries computed to come that close
ROUNDING = 1e-6  # relative to alpha: more than what the walk rounds


@dataclass(frozen=True, eq=False)
class Boundaries:
    """After looks[k] tosses: accept p > p0 at h >= accept[k], give up at h <= reject[k]; (K,) int64 each.

    accept[k] = looks[k] + 1 says that nothing is accepted there, reject[k] = -1 that nothing is given up.
    """

    p0: float
    looks: IntArray
    accept: IntArray
    reject: IntArray

    __repr__ = short_repr


@lru_cache(maxsize=4096)
def boundaries(
    p0: float,
    looks: tuple[int, ...],
    *,
    alpha: float,
    futility: float,
    final: float,
    level: Level = "exact",
    selected: int = 0,
    n0: int = 0,
) -> Boundaries:
    """The boundaries of the test of p > `p0` at `looks`, informed by `selected` hits of `n0` selection tosses.

    Arguments as in `FixedSequence`, which checks them.

    >>> found = boundaries(0.5, (5, 10, 20), alpha=0.001, futility=0.01, final=0.25)
    >>> found.accept, found.reject
    (array([ 6, 11, 18]), array([ 2,  7, 17]))
    """
    counts = np.array(looks, dtype=np.int64)
    above = alternatives(p0, n=looks[-1], alpha=alpha, side="above", selected=selected, n0=n0)
    accept = (_exact if level == "exact" else _ville)(above, counts, p0, alpha, final)
    reject = _certain(counts, accept)
    if futility:
        p1 = min(accept[-1], looks[-1] - 0.5) / looks[-1]
        below = alternatives(p1, n=looks[-1], alpha=alpha, side="below", selected=selected, n0=n0)
        reject = np.maximum(reject, _most(below, counts, -math.log(futility)))
    reject = np.minimum(reject, accept - 1)
    reject[-1] = accept[-1] - 1
    return Boundaries(p0, counts, accept, reject)


def _exact(above: Alternatives, looks: IntArray, p0: float, alpha: float, final: float) -> IntArray:
    budget = alpha * (1 - ROUNDING)
    early, accept, state = looks[:-1], looks[:0], start()
    if len(early):
        accept, state = _spent(above, early, p0, budget * (1 - final))
    last = state.step(int(np.diff(looks, prepend=0)[-1]), p0)
    return np.append(accept, last.least_accept(budget))


def _spent(above: Alternatives, looks: IntArray, p0: float, spend: float) -> tuple[IntArray, Walk]:
    """Early boundaries at the least evidence, nearly, that keeps the probability of crossing at most `spend`."""
    safe, unsafe = -math.log(spend) + ROUNDING, -math.inf
    accept = _least(above, looks, safe)
    best = accept, walk(looks, accept, p0)
    for _ in range(TRIES):
        if best[1].crossed >= CLOSE * spend:
            break
        trial = safe + math.log(max(best[1].crossed / spend, 0.05))  # crossing is about proportional to 1 / e
        trial = trial if trial > unsafe else (safe + unsafe) / 2
        accept = _least(above, looks, trial)
        state = walk(looks, accept, p0)
        if state.crossed <= spend:
            safe, best = trial, (accept, state)
        else:
            unsafe = trial
    return best


def _ville(above: Alternatives, looks: IntArray, p0: float, alpha: float, final: float) -> IntArray:
    accept = _least(above, looks, -math.log(alpha * (1 - final)) + ROUNDING)
    if final:
        accept[-1] = min(accept[-1], least_hits(looks[-1:], np.array([alpha * final]), p0)[0])
    return accept


def _least(bets: Alternatives, looks: IntArray, threshold: float) -> IntArray:
    """The least h with log e(h) >= threshold, of bets above p0; looks + 1 where no h has."""
    return _first(lambda h: bets.log_evidence(h, looks) >= threshold, looks)


def _most(bets: Alternatives, looks: IntArray, threshold: float) -> IntArray:
    """The greatest h with log e(h) >= threshold, of bets below p1; -1 where no h has."""
    return _first(lambda h: bets.log_evidence(h, looks) < threshold, looks) - 1


def _first(holds: Callable[[IntArray], BoolArray], looks: IntArray) -> IntArray:
    """The least h in 0, ..., looks at which a condition that stays true holds; looks + 1 where it never does."""
    low, high = np.full_like(looks, -1), looks + 1
    while (unknown := high - low > 1).any():
        middle = np.where(unknown, (low + high) // 2, np.minimum(high, looks))
        there = holds(middle)
        high = np.where(unknown & there, middle, high)
        low = np.where(unknown & ~there, middle, low)
    return high


def _certain(looks: IntArray, accept: IntArray) -> IntArray:
    """The most hits from which hits alone reach no later boundary; -1 where there are none."""
    room = np.minimum.accumulate((accept - looks)[::-1])[::-1]
    return np.maximum(np.append(looks[:-1] + room[1:] - 1, -1), -1)
