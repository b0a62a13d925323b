"""Decisions at a table of thresholds p_1 < ... < p_R from the same tosses, in order, each at the full level alpha.

Every threshold has its own test (`one_sided_test`), all run on the same tosses. Threshold j is claimed once the tests
of 1, ..., j have all accepted. Then any claim is false with probability at most alpha, however many thresholds there
are: if p lies in (p_{i-1}, p_i], the first false claim needs test i to accept although p <= p_i.

A coin is done when every threshold below the first hopeless one is claimed. With one threshold this is a decision, and
with several a table; either takes the samples of the threshold next to p, so that one more threshold costs little
unless coins lie close to it.

Cost: an integer comparison a coin, look and threshold; before that, some 10 ms a threshold and group of selected hits.

Source: Maurer, Hothorn, Lehmacher (1995) for tests in a fixed sequence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lemmata.bernoulli.boundaries_figure import Path, boundaries_figure
from lemmata.bernoulli.fixed_sample import require_level
from lemmata.bernoulli.looks import looks as usual_looks
from lemmata.bernoulli.looks import require_count, require_looks, require_tosses
from lemmata.bernoulli.one_sided_test import Boundaries, Level, boundaries
from lemmata.bernoulli.procedure import BoolArray, FloatArray, IntArray
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Figure
from lemmata.given import require_number

WIDTH = 2.0  # standard deviations of the selected hits that share one set of boundaries


class FixedSequence:
    """Tests of p > `thresholds` (R,), increasing in (0, 1), with at most `n` tosses, any claim false with P <= `alpha`.

    `futility` is the probability with which a coin is given up whose n tosses would have been accepted or better at
    even odds; 0 gives up only what is certain. `final` is the share of alpha that is kept for the last look. `level`
    is "exact" (spent to the full, by the walk over `looks`) or "ville" (by the martingale alone). `looks` are the
    numbers of tosses to look at, `lemmata.bernoulli.looks(n)` if not given. Nothing is random. Raises `InvalidInput`
    for what is out of range, `UnknownName` for another level. A threshold p0 that n hits of n would not prove (alpha <=
    p0^n, see `samples_needed`) is never claimed; `decide` and `certify` refuse it.

    >>> test = FixedSequence([0.5, 0.9], n=1000, alpha=0.001)
    >>> progress = test.start(np.array([99, 50, 5]), 100)
    >>> progress.look(0, np.array([0, 1, 2]), np.array([25, 13, 1]))     # after 25 tosses
    array([False, False,  True])
    >>> progress.lower
    array([0.5, 0. , 0. ])
    """

    def __init__(
        self,
        thresholds: Sequence[float] | FloatArray,
        *,
        n: int,
        alpha: float = 0.001,
        futility: float = 0.01,
        final: float = 2 / 3,
        level: Level = "exact",
        looks: IntArray | None = None,
    ):
        self.thresholds = _thresholds(thresholds)
        self.n, self.alpha = require_tosses(n, "n"), require_level(alpha, "alpha")
        self.futility, self.final = _share(futility, "futility"), _share(final, "final")
        if level not in ("exact", "ville"):
            raise UnknownName("level", level, ("exact", "ville"))
        self.level: Level = level
        self.looks: IntArray = usual_looks(self.n) if looks is None else _looks(looks, self.n)

    def __repr__(self) -> str:
        return f"FixedSequence({self.thresholds.round(6).tolist()}, n={self.n}, alpha={self.alpha:g})"

    def boundaries(self, selected: int = 0, n0: int = 0) -> list[Boundaries]:
        """The boundaries at each threshold, of a coin with `selected` hits among n0 selection tosses."""
        return self._boundaries(int(centre(np.array([selected]), n0)[0]), n0)

    def _boundaries(self, selected: int, n0: int) -> list[Boundaries]:
        common = {"alpha": self.alpha, "futility": self.futility, "final": self.final, "level": self.level}
        looks, prior = tuple(self.looks.tolist()), {"selected": int(selected), "n0": n0}
        return [boundaries(float(p0), looks, **common, **prior) for p0 in self.thresholds]

    def start(self, selected: IntArray, n0: int) -> SequenceProgress:
        """Begin with N coins, of whose n0 selection tosses `selected` (N,) were hits: they choose the bets, no more.

        Coins with nearly as many selected hits share their bets.
        """
        n0 = require_count(n0, "n0", least=0)
        selected = np.asarray(selected)
        if not ((selected >= 0) & (selected <= n0) & (selected == np.floor(selected))).all():
            raise InvalidInput(f"selected hits {selected[(selected < 0) | (selected > n0)]} of n0 = {n0} tosses")
        centres, group = np.unique(centre(selected, n0), return_inverse=True)
        found = [self._boundaries(value, n0) for value in centres]
        accept = np.array([[each.accept for each in row] for row in found]).reshape(
            -1, len(self.thresholds), len(self.looks)
        )
        reject = np.array([[each.reject for each in row] for row in found]).reshape(accept.shape)
        return SequenceProgress(self.thresholds, accept, reject, group)

    def plot(self, p: Sequence[float] = (), *, seed: int = 0) -> Figure:
        """Draw the boundaries, with simulated paths of coins of probabilities `p` that end where the test ends.

        >>> FixedSequence([0.9], n=1000).plot([0.95, 0.8]).panels[0].x.label
        'samples'
        """
        coins = np.asarray(p, dtype=np.float64)
        tosses = np.random.default_rng(seed).binomial(np.diff(self.looks, prepend=0), coins[:, None])
        hits, progress = tosses.cumsum(axis=1), self.start(np.zeros(len(coins), dtype=np.int64), 0)
        taken, active = np.zeros(len(coins), dtype=np.int64), np.arange(len(coins))
        for k in range(len(self.looks)):
            done = progress.look(k, active, hits[active, k])
            taken[active] = k + 1
            active = active[~done]
        paths = [Path(f"p = {p:.4g}", self.looks[:k], h[:k]) for p, h, k in zip(coins, hits, taken, strict=True)]
        title = f"At most {self.n:,} samples, alpha = {self.alpha:g}"
        return boundaries_figure(self.boundaries(), paths, title=title)


class SequenceProgress:
    """Where N coins stand: `accepted` (N,) thresholds are claimed, the largest of them is `lower` (N,)."""

    def __init__(self, thresholds: FloatArray, accept: IntArray, reject: IntArray, group: IntArray):
        self.accept, self.reject, self.group = accept, reject, group
        self.levels = np.concatenate([[0.0], thresholds])
        self.crossed = np.zeros((len(group), len(thresholds)), dtype=bool)
        self.accepted: IntArray = np.zeros(len(group), dtype=np.int64)
        self.hopeless: IntArray = np.full(len(group), len(thresholds), dtype=np.int64)
        self.lower: FloatArray = np.zeros(len(group))

    def __repr__(self) -> str:
        """How many of the coins have claimed which threshold, at the furthest."""
        found = [f"{int((self.accepted == j).sum())} at {level:.4g}" for j, level in enumerate(self.levels)]
        return f"SequenceProgress({len(self.group)} coins: {', '.join(found)})"

    def look(self, k: int, active: IntArray, hits: IntArray) -> BoolArray:
        """Look at the coins `active` (m,) after looks[k] tosses with `hits` (m,) hits: (m,), which are done."""
        group, h = self.group[active], np.asarray(hits)[:, None]
        crossed = self.crossed[active] | (h >= self.accept[group, :, k])
        given_up = (h <= self.reject[group, :, k]) & ~crossed
        first = np.where(given_up.any(axis=1), given_up.argmax(axis=1), crossed.shape[1])
        self.crossed[active] = crossed
        self.accepted[active] = np.logical_and.accumulate(crossed, axis=1).sum(axis=1)
        self.hopeless[active] = np.minimum(self.hopeless[active], first)
        self.lower[active] = self.levels[self.accepted[active]]
        last = k == self.accept.shape[2] - 1
        return (self.accepted[active] >= self.hopeless[active]) | last


def centre(selected: IntArray, n0: int) -> IntArray:
    """The selected hits that stand for those near them: groups of `WIDTH` standard deviations, equal in asin sqrt(p).

    >>> centre(np.array([0, 50, 55, 99, 100]), 100)
    array([  0,  51,  51,  99, 100])
    """
    if n0 == 0:
        return np.zeros(len(selected), dtype=np.int64)
    scale = 2 * np.sqrt(n0) / WIDTH
    group = np.round(scale * np.arcsin(np.sqrt(np.asarray(selected) / n0)))
    return np.round(n0 * np.sin(np.minimum(group / scale, np.pi / 2)) ** 2).astype(np.int64)


def _thresholds(values: Sequence[float] | FloatArray) -> FloatArray:
    try:
        thresholds = np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError):
        thresholds = np.zeros(0)
    if thresholds.ndim != 1 or not len(thresholds) or not ((thresholds > 0) & (thresholds < 1)).all():
        raise InvalidInput(f"thresholds = {values}; give one or more probabilities between 0 and 1, neither included")
    if not (np.diff(thresholds) > 0).all():
        raise InvalidInput(f"thresholds = {values}; give them in increasing order, the order in which they are tested")
    return thresholds


def _share(value: object, name: str) -> float:
    share = require_number(value, name)
    if not 0 <= share < 1:
        raise InvalidInput(f"{name} = {share}; give a share of at least 0 and below 1")
    return share


def _looks(values: IntArray, n: int) -> IntArray:
    counts = require_looks(values)
    if counts[-1] != n:
        raise InvalidInput(f"looks = {values}; the last of them must be n = {n}")
    return counts
