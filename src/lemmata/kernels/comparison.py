"""Several classifiers on many tables: average ranks, Friedman's test, shares of the best accuracy, paired intervals.

With accuracies a_tj of classifiers j = 1, ..., k on tables t = 1, ..., N, ranks r_tj in each table (1 the best, equals
at their mean rank) and R_j the mean of r_tj over tables,

    Friedman   chi2 = 12 N / (k (k + 1)) sum_j (R_j - (k + 1) / 2)^2 / (1 - ties),   k - 1 degrees of freedom
               F = (N - 1) chi2 / (N (k - 1) - chi2),   k - 1 and (k - 1)(N - 1)    (Iman and Davenport's, less timid)
    Nemenyi    two mean ranks differ if by more than q_{alpha,k} sqrt(k (k + 1) / (6 N))
    PMA        mean over tables of a_tj / max_i a_ti;   P90, P95: share of tables where that ratio is 0.9, 0.95 or more

and for every pair Wilcoxon's signed-rank test with the Hodges-Lehmann estimate and its interval (`signed_rank`).

Tables are the units: what is shown holds for tables like these, if tables are independent draws of some population,
which a collection is at best roughly. Nothing here sees how uncertain the accuracy on one table is.

Cost: O(N k log k + k^2 N^2 log N). Sources: Friedman (1937); Iman, Davenport (1980); Nemenyi (1963); Demsar (2006),
JMLR 7; Fernandez-Delgado, Cernadas, Barro, Amorim (2014), JMLR 15, section 3 (P90, P95, PMA); Holm (1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.given import require_number
from lemmata.kernels.signed_rank import SignedRank, signed_rank
from lemmata.short_repr import short_repr


@dataclass(frozen=True)
class Pair:
    """`first` against `second`: the signed-rank test of their differences, its p-value after Holm, and the score."""

    first: str
    second: str
    test: SignedRank
    holm: float
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class RankComparison:
    """What `rank_comparison` found; arrays of k follow `names`. `values` and `ranks` are (N, k)."""

    names: tuple[str, ...]
    values: np.ndarray
    ranks: np.ndarray
    average_ranks: np.ndarray
    friedman: float
    friedman_p: float
    iman_davenport: float
    iman_davenport_p: float
    critical_difference: float
    p90: np.ndarray
    p95: np.ndarray
    pma: np.ndarray
    pairs: tuple[Pair, ...] = field(repr=False)
    alpha: float

    __repr__ = short_repr

    def pair(self, first: str, second: str) -> Pair:
        """The pair of two names, in the order asked for; `UnknownName` for a name that was not compared."""
        for name in (first, second):
            if name not in self.names:
                raise UnknownName("classifier", name, self.names)
        for pair in self.pairs:
            if (pair.first, pair.second) == (first, second):
                return pair
            if (pair.first, pair.second) == (second, first):
                return Pair(first, second, pair.test.reversed(), pair.holm, pair.losses, pair.ties, pair.wins)
        raise InvalidInput(f"{first!r} against itself; name two classifiers")

    def plot(self) -> Figure:
        """Average ranks with half the critical difference on either side, and the intervals of all pairs.

        Bands of two classifiers that do not overlap differ by Nemenyi's test.
        """
        order = np.argsort(self.average_ranks)
        at, half = np.arange(len(order)), np.full(len(order), self.critical_difference / 2)
        mean = self.average_ranks[order]
        ranks = Series(
            label="average rank", x=at, y=mean, low=mean - half, high=mean + half, seeds=self.ranks[:, order],
            style="points",
        )  # fmt: skip
        names = tuple(self.names[j] for j in order)
        tests = [pair.test for pair in self.pairs]
        rows = [np.array([getattr(test, end) for test in tests]) for end in ("estimate", "low", "high")]
        differences = Series(
            label="Hodges-Lehmann", x=np.arange(len(tests)), y=rows[0], low=rows[1], high=rows[2], style="points"
        )
        labels = tuple(f"{pair.first} - {pair.second}" for pair in self.pairs)
        panels = [
            Panel(x=Axis(label="classifier", ticks=names), y=Axis(label="rank (1 is the best)"), series=[ranks]),
            Panel(
                x=Axis(label="pair", ticks=labels), y=Axis(label="difference in accuracy"), series=[differences],
                references=[Reference(label="no difference", value=0.0, role="theory")],
            ),
        ]  # fmt: skip
        return Figure(
            name="ranks",
            title=f"{len(self.names)} classifiers on {len(self.values)} tables",
            caption=f"Ranks with half of Nemenyi's critical difference on either side; Friedman's test gives "
            f"p = {self.friedman_p:.2g}. Right: {1 - self.alpha:.0%} intervals of the pairwise differences.",
            panels=panels,
        )


def rank_comparison(values: np.ndarray, names: Sequence[str], *, alpha: float = 0.05) -> RankComparison:
    """Compare k classifiers on N tables by their accuracies `values` (N, k), the larger the better.

    Nothing is random. Accuracies that agree to 12 decimals count as equal, since means of the same counts may differ by
    rounding; so do differences. Intervals have the level 1 - alpha each; Holm's correction is over all pairs. Raises
    `InvalidInput` for fewer than two tables or classifiers, NaN or infinity, negative values, a table on which all
    are 0, names that are too few or repeat, and an alpha outside (0, 1).

    >>> found = rank_comparison(np.array([[0.9, 0.8, 0.7], [0.6, 0.6, 0.5], [0.8, 0.4, 0.2]]), ["a", "b", "c"])
    >>> found.average_ranks.round(3).tolist(), round(found.friedman, 3), found.p90.round(3).tolist()
    ([1.167, 1.833, 3.0], 5.636, [1.0, 0.333, 0.0])
    """
    try:
        a = np.round(np.asarray(values, dtype=float), 12)
    except (TypeError, ValueError, RuntimeError) as wrong:
        raise InvalidInput(f"values that are no table of numbers ({wrong}); give an array (N, k)") from wrong
    if not isinstance(names, Sequence):
        raise InvalidInput(f"names = {names!r}; give a sequence of them, one a classifier")
    labels = tuple(names)
    _check(a, labels, alpha)
    from scipy.stats import chi2, f, rankdata, studentized_range

    n, k = a.shape
    ranks = rankdata(-a, axis=1)
    average = ranks.mean(0)
    statistic = _friedman(ranks)
    left = n * (k - 1) - statistic
    ratio = (n - 1) * statistic / left if left > 1e-12 * n * k else np.inf
    share = np.round(a / a.max(1, keepdims=True), 12)
    quantile = float(studentized_range.ppf(1 - alpha, k, np.inf)) / 2**0.5
    return RankComparison(
        names=labels, values=a, ranks=ranks, average_ranks=average,
        friedman=statistic, friedman_p=float(chi2.sf(statistic, k - 1)),
        iman_davenport=float(ratio), iman_davenport_p=float(f.sf(ratio, k - 1, (k - 1) * (n - 1))),
        critical_difference=quantile * (k * (k + 1) / (6 * n)) ** 0.5,
        p90=(share >= 0.9).mean(0), p95=(share >= 0.95).mean(0), pma=share.mean(0),
        pairs=_pairs(a, labels, alpha), alpha=alpha,
    )  # fmt: skip


def _friedman(ranks: np.ndarray) -> float:
    """Friedman's statistic, corrected for ties; 0 where every table is one tie."""
    n, k = ranks.shape
    between = n * ((ranks.mean(0) - (k + 1) / 2) ** 2).sum()
    within = ((ranks - (k + 1) / 2) ** 2).sum() / (n * (k - 1))  # k (k + 1) / 12 without ties
    return float(between / within) if within > 0 else 0.0


def _pairs(a: np.ndarray, names: tuple[str, ...], alpha: float) -> tuple[Pair, ...]:
    couples = list(combinations(range(len(names)), 2))
    tests = [signed_rank(np.round(a[:, i] - a[:, j], 12), level=1 - alpha) for i, j in couples]
    adjusted, worst = np.empty(len(tests)), 0.0
    for place, index in enumerate(np.argsort([test.p for test in tests], kind="stable")):
        worst = max(worst, min(1.0, (len(tests) - place) * tests[index].p))
        adjusted[index] = worst
    return tuple(
        Pair(
            names[i], names[j], test, float(holm), wins=int((a[:, i] > a[:, j]).sum()),
            ties=int((a[:, i] == a[:, j]).sum()), losses=int((a[:, i] < a[:, j]).sum()),
        )
        for (i, j), test, holm in zip(couples, tests, adjusted, strict=True)
    )  # fmt: skip


def _check(a: np.ndarray, names: tuple[str, ...], alpha: float) -> None:
    if a.ndim != 2 or a.shape[0] < 2 or a.shape[1] < 2:
        raise InvalidInput(f"values of shape {a.shape}; give two tables (rows) and two classifiers (columns) or more")
    if len(names) != a.shape[1] or len(set(names)) != len(names):
        raise InvalidInput(f"{len(names)} names for {a.shape[1]} classifiers; give each its own name")
    wrong = np.argwhere(~np.isfinite(a) | (a < 0))
    if len(wrong):
        t, j = wrong[0]
        raise InvalidInput(f"table {t}: {names[j]} has {a[t, j]}; accuracies are finite and not negative")
    if not (a.max(1) > 0).all():
        raise InvalidInput(
            f"table {int(a.max(1).argmin())}: all accuracies are 0, and shares of the best need one above"
        )
    if not 0 < require_number(alpha, "alpha") < 1:
        raise InvalidInput(f"alpha = {alpha}; a level of error lies between 0 and 1")
