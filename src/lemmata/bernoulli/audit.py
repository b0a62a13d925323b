"""How often a procedure proves what is false: exactly, by following all walks of the hits at once, or by simulation.

A boundary accepts at look k where the hits h reach accept_k. With f_k(h) the probability that h of the first n_k tosses
are hits and no look has accepted yet,

    f_k(h) = sum_d f_{k-1}(h - d) P(Binomial(n_k - n_{k-1}, p) = d),   h < accept_k;   what arrives beyond has crossed.

The walk keeps to some 10 standard deviations; probability that is cut off is counted and reported, so that the answer
is an interval, some 1e-13 wide. Cost: a convolution a look, 0.1 s for 100 looks at n = 100,000, 5 s for a look after
each of 100,000 tosses. Simulation takes any procedure as it is, gives an exact interval, and costs its looks.

On the boundary, at p equal to a threshold, a bound that reaches p counts as false: a coin the least bit worse is what
it would be false of; only a bound of 0, which claims nothing, never is. The largest rate over all p is not one audit
but a curve of them; for a test of one threshold it
is at that threshold, since more hits are more likely for larger p.

Source: Armitage, McPherson, Rowe (1969).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom

from lemmata.bernoulli.audit_boundary import boundary
from lemmata.bernoulli.audit_figure import draw
from lemmata.bernoulli.audit_walk import crossed_by_look
from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.bernoulli.fixed_sample import require_level
from lemmata.bernoulli.looks import require_count
from lemmata.bernoulli.procedure import FloatArray, IntArray, Procedure
from lemmata.errors import InvalidInput
from lemmata.figures import Figure
from lemmata.given import require_number

CHANCE = 2e-15  # relative error of a binomial probability of m tosses, in 1 + sqrt(m): 5 times what mpmath shows of it
UNLIKELY = 1e-12  # selections less likely than this together are counted as if they always gave a false certificate


@dataclass(frozen=True, eq=False)
class Audit:
    """How often a boundary was crossed by each of the `looks` (K,), of a coin with probability `p` of a hit.

    `crossed` (K,) is the probability of having crossed by then, `low` and `high` (K,) its interval: of rounding where
    it was computed (`runs` 0), of confidence `level` where it comes from `runs` simulations. `samples` is the mean
    number of tosses, NaN where it was not computed. `alpha` is what the procedure promises; `by_selection` (n0 + 1,)
    the exact rate of each number of selected hits, where it was averaged over them.
    """

    p: float | tuple[float, ...]
    looks: IntArray
    crossed: FloatArray
    low: FloatArray
    high: FloatArray
    alpha: float | None = None
    runs: int = 0
    level: float = 0.95
    samples: float = float("nan")
    by_selection: FloatArray | None = None
    name: str = "boundary"

    def __repr__(self) -> str:
        """The rate with its interval, what was promised, and of what."""
        low, high = self.interval
        how = f"{self.runs} runs" if self.runs else "exact"
        why = " (alpha lies in the interval)" if self.sound is None else ""
        promised = "" if self.alpha is None else f", alpha={self.alpha:g}, sound={self.sound}{why}"
        return f"Audit(rate={self.rate:.6g} in [{low:.6g}, {high:.6g}] ({how}){promised}, p={self.p}, of {self.name})"

    def __float__(self) -> float:
        return self.rate

    @property
    def rate(self) -> float:
        """The probability of ever crossing."""
        return float(self.crossed[-1])

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the rate."""
        return float(self.low[-1]), float(self.high[-1])

    @property
    def sound(self) -> bool | None:
        """Whether the rate is at most alpha: None where the interval does not say, or nothing was promised.

        More `runs` narrow the interval of a simulation; a procedure whose rate is alpha itself is told by the exact
        audit alone.
        """
        if self.alpha is None or self.low[-1] <= self.alpha < self.high[-1]:
            return None
        return bool(self.high[-1] <= self.alpha)

    def plot(self) -> Figure:
        """The probability of having crossed by each look, beside alpha."""
        return draw(self)


def crossing_probability(
    looks: ArrayLike, accept: ArrayLike, *, p: float, reject: ArrayLike | None = None, alpha: float | None = None
) -> Audit:
    """How often the hits of a coin with probability `p` reach `accept` (K,) at one of the `looks` (K,), exactly.

    `looks` are increasing numbers of tosses. A walk with at most `reject` (K,) hits at a look ends there; -1 for never,
    the default. Raises `InvalidInput` for lengths that differ, looks that do not increase and p outside [0, 1].

    >>> audit = crossing_probability([2, 4], [2, 4], p=0.5)          # both hits, at once or never
    >>> round(audit.rate, 6), round(audit.samples, 6)
    (0.25, 3.5)
    """
    if alpha is not None:
        require_level(alpha, "alpha")
    at, top = _whole(looks, "looks"), _whole(accept, "accept")
    bottom = np.full_like(at, -1) if reject is None else _whole(reject, "reject")
    if not (at.shape == top.shape == bottom.shape and at.ndim == 1 and len(at)):
        raise InvalidInput(f"looks, accept, reject of shapes {at.shape}, {top.shape}, {bottom.shape}; give (K,) each")
    if at[0] < 1 or (np.diff(at) < 1).any():
        raise InvalidInput("looks do not increase from 1 or more; give the numbers of tosses at which it is looked")
    crossed, lost, samples = crossed_by_look(at, top, bottom, require_probability(p))
    crossed = np.minimum(crossed, 1.0)
    return Audit(p, at, crossed, *_around(crossed, at, lost), alpha=alpha, samples=samples)


def false_certificate_probability(
    procedure: Procedure, p: float | Sequence[float], *, n0: int = 100, selected: int | Literal["average"] = "average"
) -> Audit:
    """How often `procedure` proves a bound >= p of a coin with probability p, exactly and whenever it is stopped.

    Selected hits: a given number of n0, or averaged over their law. Two probabilities p = (a, 1 - a) are those of two
    classes, of which the one with more of the n0 votes is tossed for: at (1/2, 1/2) every certificate is false.
    Stopping for futility is not counted on, so that the answer is the largest that any stopping has. Raises
    `InvalidInput` for other numbers of probabilities (`false_certificate_rate` simulates them), or a procedure without
    boundaries.

    >>> from lemmata.bernoulli import GroupSequential
    >>> audit = false_certificate_probability(GroupSequential(1000, alpha=0.001, tolerance=0.05), 0.75, n0=20)
    >>> print(f"{audit.rate:.5f}", audit.sound)
    0.00069 True
    """
    n0 = _require(procedure, n0)
    chances = _selections(p, n0, selected)
    crossed, lost, rates = np.zeros(len(procedure.looks)), 0.0, np.zeros(n0 + 1)
    for (q, hits), weight in chances.items():
        found = crossing_probability(procedure.looks, boundary(procedure, q, selected=hits, n0=n0), p=q)
        crossed += weight * found.crossed
        lost = max(lost, float((found.high - found.low)[-1]))
        rates[hits] = max(rates[hits], found.rate)
    missing = lost + max(0.0, 1.0 - sum(chances.values()))
    return Audit(
        _plain(p),
        procedure.looks,
        crossed,
        *_around(crossed, np.asarray(procedure.looks), missing),
        alpha=procedure.alpha,
        by_selection=rates,
        name=repr(procedure),
    )


def false_certificate_rate(
    procedure: Procedure,
    p: float | Sequence[float],
    *,
    runs: int = 20_000,
    seed: int = 0,
    n0: int = 100,
    selected: int | None = None,
    level: float = 0.95,
) -> Audit:
    """How often `procedure` proves a bound >= p of a coin with probability p, in `runs` simulations, all at once.

    Each run draws its n0 selection tosses (or has `selected` hits of them), then tosses until the procedure is done.
    Several probabilities p are those of classes: the one with most of the n0 votes is tossed for, and its own
    probability is what may not be reached. `seed` makes the draws (numpy's Philox). Raises `InvalidInput` for what is
    out of range.

    >>> from lemmata.bernoulli import FixedSample
    >>> audit = false_certificate_rate(FixedSample(1000, alpha=0.01), 0.75, runs=20_000, seed=1)
    >>> print(f"{audit.rate:.4f}, 95 % interval [{audit.interval[0]:.4f}, {audit.interval[1]:.4f}]")
    0.0098, 95 % interval [0.0085, 0.0113]
    """
    runs, n0 = require_count(runs, "runs"), _require(procedure, n0)
    level = require_level(level, "level")
    rng = np.random.Generator(np.random.Philox(require_count(seed, "seed", least=0)))
    coin, chosen = _coins(rng, p, runs, n0, selected)
    progress, looks = procedure.start(chosen, n0), np.asarray(procedure.looks)
    hits, tossed = np.zeros(runs, dtype=np.int64), np.zeros(runs, dtype=np.int64)
    false_at, active = np.full(runs, len(looks)), np.arange(runs)
    for k, more in enumerate(np.diff(looks, prepend=0)):
        hits[active] += rng.binomial(more, coin[active])
        tossed[active] = looks[k]
        done = progress.look(k, active, hits[active])
        wrong = active[(progress.lower[active] >= coin[active]) & (progress.lower[active] > 0)]
        false_at[wrong] = np.minimum(false_at[wrong], k)
        active = active[~done]
        if not len(active):
            break
    counts = np.cumsum(np.bincount(false_at, minlength=len(looks) + 1)[:-1])
    low, high = clopper_pearson(counts, runs, alpha=1 - level, side="two-sided")
    return Audit(
        _plain(p),
        looks,
        counts / runs,
        low,
        high,
        procedure.alpha,
        runs,
        level,
        float(tossed.mean()),
        name=repr(procedure),
    )


def _around(crossed: FloatArray, looks: IntArray, lost: float) -> tuple[FloatArray, FloatArray]:
    """What is certain in spite of rounding in each step, of the chances in each, and of what was cut off."""
    sums = 2 * len(looks) * float(np.finfo(float).eps)
    chances = crossed * np.cumsum(CHANCE * (1 + np.sqrt(np.diff(looks, prepend=0))))
    return np.maximum(crossed - sums - chances, 0.0), np.minimum(crossed + lost + sums + chances, 1.0)


def _selections(p: float | Sequence[float], n0: int, selected: int | str) -> dict[tuple[float, int], float]:
    """The coins that may be tossed for, (their probability, selected hits), and how often that is."""
    if np.ndim(p) == 0:
        q = require_probability(p)
        if selected != "average":
            return {(q, _require_selected(selected, n0)): 1.0}
        weights = binom.pmf(np.arange(n0 + 1), n0, q)
        return {(q, h): float(w) for h, w in enumerate(weights) if w > UNLIKELY / (n0 + 1)}
    classes = _require_classes(p)
    if len(classes) != 2 or abs(sum(classes) - 1) > 1e-12 or selected != "average":
        raise InvalidInput("an exact audit takes one probability, or those of two classes with sum 1; simulate others")
    found: dict[tuple[float, int], float] = {}
    for h, weight in enumerate(binom.pmf(np.arange(n0 + 1), n0, classes[0])):
        key = (classes[0], h) if 2 * h >= n0 else (classes[1], n0 - h)  # equal votes choose the first
        found[key] = found.get(key, 0.0) + float(weight)
    return {key: weight for key, weight in found.items() if weight > UNLIKELY / (n0 + 1)}


def _coins(
    rng: np.random.Generator, p: float | Sequence[float], runs: int, n0: int, selected: int | None
) -> tuple[FloatArray, IntArray]:
    """Of each run the probability of what is tossed for, and its selected hits."""
    if np.ndim(p) == 0:
        q = require_probability(p)
        given = None if selected is None else _require_selected(selected, n0)
        hits = rng.binomial(n0, q, runs) if given is None else np.full(runs, given)
        return np.full(runs, q), hits.astype(np.int64)
    classes = np.array(_require_classes(p))
    if classes.sum() > 1 + 1e-12 or selected is not None:
        raise InvalidInput(f"classes of probabilities {classes.tolist()}; their sum is at most 1, and they choose")
    votes = rng.multinomial(n0, np.append(classes, max(0.0, 1 - classes.sum())), runs)[:, :-1]
    winner = votes.argmax(1)
    return classes[winner], votes[np.arange(runs), winner].astype(np.int64)


def require_probability(value: object) -> float:
    """Give a probability back.

    >>> require_probability(1.5)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: p = 1.5; give a probability from 0 to 1
    """
    p = require_number(value, "p")
    if not 0 <= p <= 1:
        raise InvalidInput(f"p = {p}; give a probability from 0 to 1")
    return p


def _require(procedure: Procedure, n0: int) -> int:
    """The selection tosses, where the procedure is one and takes as many."""
    if not isinstance(procedure, Procedure):
        raise InvalidInput(
            f"a {type(procedure).__name__}, {procedure!r:.60}; give a procedure, such as FixedSample(100)"
        )
    count, own = require_count(n0, "n0", least=0), getattr(procedure, "n0", None)
    if own is not None and own != count:
        raise InvalidInput(f"n0 = {count} selection tosses for {procedure!r}, which counts {own}; give n0={own}")
    return count


def _require_selected(value: object, n0: int) -> int:
    hits = require_count(value, "selected", least=0)
    if hits > n0:
        raise InvalidInput(f"selected = {hits} hits of n0 = {n0} selection tosses; give 0 to {n0}")
    return hits


def _require_classes(p: Any) -> list[float]:
    if np.ndim(p) != 1 or not len(p):
        raise InvalidInput(f"p = {p!r:.60}; give one probability, or those of several classes")
    return [require_probability(each) for each in p]


def _plain(p: float | Sequence[float]) -> float | tuple[float, ...]:
    return tuple(map(float, p)) if isinstance(p, Sequence | np.ndarray) else float(p)


def _whole(values: ArrayLike, name: str) -> IntArray:
    found = np.asarray(values)
    if not np.issubdtype(found.dtype, np.integer):
        raise InvalidInput(f"{name} of dtype {found.dtype}; give whole numbers")
    return found.astype(np.int64)
