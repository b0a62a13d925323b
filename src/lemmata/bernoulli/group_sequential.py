"""The bound itself, by Clopper-Pearson at a few looks: it stops once all n tosses could hardly give a better one.

Look k, after n_k tosses, may err with probability alpha_k; alpha_1 + ... + alpha_K = alpha. With A_k the sum of the
first k, and L(h, n, a) the Clopper-Pearson bound from h hits of n at level a,

    lower_k = max(lower_{k-1}, L(H_k, n_k, alpha_k)),
              and L(H_k, n_k, A_k) too, if that is already at least A_{k-1}^(1/n_{k-1}).

The second is alpha that earlier looks could not use: no outcome of them proves more than p > A_{k-1}^(1/n_{k-1}). So a
coin that only ever falls on one side ends at alpha^(1/n), the bound of n tosses without any looks. That

    P(lower_k > p for some k) <= alpha,    whatever p is and whenever one stops,

is a union bound, proven in docs/derivations/exact-binomial.md. A look stops a coin when `scale(lower)` is
within `tolerance` of `scale` of what all n tosses would prove at the upper confidence bound of p, `futility` being the
share of coins that may lose more than the tolerance by it: a promise about effort, on which no certificate rests.

Cost: three inversions of the incomplete beta function a coin and look, some 10 microseconds. Where it saves nothing:
where the bound keeps rising until the end, as sigma Phi^-1 does for coins that hardly ever fall on the other side.

Sources: Jennison, Turnbull, *Group sequential methods* (2000), chapters 7 and 9; DeMets, Lan (1994) on spending.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.bernoulli.fixed_sample import require_level
from lemmata.bernoulli.group_sequential_spending import Spending
from lemmata.bernoulli.least_hits import least_hits
from lemmata.bernoulli.looks import MOST_LOOKS, require_tosses
from lemmata.bernoulli.procedure import BoolArray, FloatArray, IntArray
from lemmata.errors import InvalidInput
from lemmata.given import require_callable, require_number

Scale = Callable[[FloatArray], FloatArray]
FIRST, BLOCK = 25, 25  # the first look, and what looks are multiples of
MOST = 0.999999  # the least probability above which a scale is not asked to be finite


class GroupSequential:
    """A lower bound that is false with probability at most `alpha`, by at most `n` tosses a coin.

    A coin is done when its bound is within `tolerance` of what `n` tosses could still give, both in the unit of
    `scale`: a nondecreasing vectorised function of the bound, such as ``lambda p: sigma * norm.ppf(p)``, by default the
    bound itself. It may be -inf; a tolerance relative to the scale is an absolute one of its logarithm. The tolerance
    is missed by a share of at most about `futility` of the coins. Looks go back from n by factors of `growth`.

    Where the selection tosses say nothing, the last look has the share `last` of alpha; a share `trust` of alpha is put
    where they say that the coin will stop, 0 for never. Either changes the effort, not the validity. Nothing is random.

    >>> procedure = GroupSequential(10_000, alpha=0.001, tolerance=0.02)
    >>> progress = procedure.start(np.array([60, 100]), 100)
    >>> int(procedure.looks[16]), progress.look(16, np.array([0, 1]), np.array([620, 1120]))
    (1125, array([False,  True]))
    >>> progress.lower.round(3)
    array([0.477, 0.982])
    """

    def __init__(
        self,
        n: int,
        *,
        alpha: float = 0.001,
        futility: float = 0.01,
        tolerance: float = 0.01,
        scale: Scale | None = None,
        last: float = 0.9,
        growth: float = 1.2,
        trust: float = 0.9,
    ):
        self.n = require_tosses(n, "n")
        self.alpha = require_level(alpha, "alpha")
        self.futility = require_level(futility, "futility")
        self.tolerance = require_number(tolerance, "tolerance")
        if not 0 <= self.tolerance < np.inf:
            raise InvalidInput(f"tolerance = {self.tolerance}; give 0 or more, in the unit of the scale")
        self.scale = _itself if scale is None else require_callable(scale, "scale")
        _require_increasing(self.scale)
        self.looks = _looks(self.n, require_number(growth, "growth"))
        self.spending = Spending(self, last=require_level(last, "last"), trust=trust)

    def __repr__(self) -> str:
        return f"GroupSequential({self.n}, alpha={self.alpha:g}, tolerance={self.tolerance:g}, {len(self.looks)} looks)"

    def start(self, selected: IntArray, n0: int) -> GroupProgress:
        """Begin with N coins, of whose n0 selection tosses `selected` (N,) were hits: they say where alpha is spent."""
        return GroupProgress(self, self.spending.shares(np.asarray(selected), n0))

    def attainable(self, hits: FloatArray | IntArray, k: int, level: FloatArray) -> FloatArray:
        """What n tosses would prove, were p its upper confidence bound at `level` after `hits` of looks[k] tosses."""
        tossed = self.looks[k]
        most = clopper_pearson(hits, tossed, alpha=level, side="upper")
        final = np.minimum(np.ceil(most * self.n), hits + self.n - tossed)
        return clopper_pearson(final, self.n, alpha=self.alpha)

    def close(self, lower: FloatArray, attainable: FloatArray) -> BoolArray:
        """Whether a bound is within the tolerance of another, in the unit of the scale."""
        return self.scale(lower) >= self.scale(attainable) - self.tolerance

    def boundary(self, p: float, selected: int, n0: int) -> IntArray:
        """The least hits (K,) at which each look can prove more than p, looks[k] + 1 where none do.

        Of a coin with `selected` hits in the selection. What an audit needs: `lower` >= p only where one is reached.
        """
        shares = self.spending.shares(np.array([selected]), n0)[0]
        spent, reach = _reach(shares, self.alpha, self.looks)
        first = int(np.searchsorted(reach, p))  # the looks before it prove nothing of p, and leave it their alpha
        levels = np.where(np.arange(len(shares)) == first, spent, self.alpha * shares)
        return np.where(np.arange(len(shares)) < first, self.looks + 1, least_hits(self.looks, levels, p))


class GroupProgress:
    """Where N coins stand: `lower` (N,), and the shares (N, K) of alpha that each coin's looks have."""

    def __init__(self, procedure: GroupSequential, shares: FloatArray):
        self.procedure, self.shares = procedure, shares
        self.lower: FloatArray = np.zeros(len(shares))
        self._spent, self._reach = _reach(shares, procedure.alpha, procedure.looks)

    def look(self, k: int, active: IntArray, hits: IntArray) -> BoolArray:
        """Bound the coins `active` (m,) by their `hits` (m,) of looks[k] tosses: (m,), which are done."""
        rule, tossed, share = self.procedure, self.procedure.looks[k], self.shares[active, k]
        lower = np.maximum(self.lower[active], clopper_pearson(hits, tossed, alpha=rule.alpha * share))
        unused = np.flatnonzero(lower >= self._reach[active, k - 1]) if k else np.arange(len(active))
        again, spent = active[unused], self._spent[active[unused], k]
        proven = clopper_pearson(hits[unused], tossed, alpha=spent)
        proven = np.where(hits[unused] == tossed, self._reach[again, k], proven)  # equal to the bit at the next look
        lower[unused] = np.maximum(lower[unused], proven)
        self.lower[active] = lower
        if k == len(rule.looks) - 1:
            return np.ones(len(active), dtype=bool)
        return rule.close(lower, rule.attainable(hits, k, rule.futility * share))


def _reach(shares: FloatArray, alpha: float, looks: IntArray) -> tuple[FloatArray, FloatArray]:
    """A_k, and A_k^(1/n_k), beyond which look k proves nothing: both (..., K)."""
    spent = alpha * np.minimum(np.cumsum(shares, -1), 1.0)
    spent[..., -1] = alpha
    return spent, np.exp(np.log(spent) / looks)


def _looks(n: int, growth: float) -> IntArray:
    """Numbers of tosses from about `FIRST` to n, growing by `growth` seen from n; all but n multiples of `BLOCK`."""
    if not 1 < growth < np.inf:
        raise InvalidInput(f"growth = {growth}; looks grow by a factor above 1, such as 1.2")
    steps = int(np.log(max(n / FIRST, 1.0)) / np.log(growth))
    if steps > MOST_LOOKS:
        raise InvalidInput(f"growth = {growth} makes {steps:,} looks; take a larger one, for at most {MOST_LOOKS:,}")
    early = BLOCK * np.round(n / growth ** np.arange(1, steps + 1) / BLOCK).astype(np.int64)
    return np.unique([*early[(early >= FIRST) & (early < n)], n]).astype(np.int64)


def _itself(lower: FloatArray) -> FloatArray:
    return lower


def _require_increasing(scale: Scale) -> None:
    tried = np.linspace(0.0, MOST, 1001)
    found = np.asarray(scale(tried), dtype=np.float64)
    if found.shape != tried.shape or np.isnan(found).any() or (found == np.inf).any():
        raise InvalidInput("scale must map an array of bounds in [0, 1) to as many numbers, none of them NaN or inf")
    if (found[1:] < found[:-1]).any():
        raise InvalidInput("scale decreases somewhere; a higher bound must be worth at least as much")
