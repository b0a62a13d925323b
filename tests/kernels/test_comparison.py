"""Ranks, Friedman's test and pairwise intervals against hand-computed tables, scipy and enumeration."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import static
from lemmata.kernels.comparison import rank_comparison
from lemmata.kernels.signed_rank import signed_rank, signed_rank_distribution

# Demsar (2006), table 6: areas under the curve of C4.5 with and without two parameters on 14 tables
DEMSAR = np.array([
    [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967],
    [0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931],
    [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875],
    [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
    [0.972, 0.981, 0.9751, 0.975], [0.957, 0.978, 0.946, 0.970],
])  # fmt: skip
NAMES = ["C4.5", "+m", "+cf", "+m+cf"]
cells = st.integers(min_value=0, max_value=6)
tables = st.integers(2, 12).flatmap(lambda n: st.lists(st.lists(cells, min_size=3, max_size=3), min_size=n, max_size=n))


def test_the_example_of_demsar():
    found = rank_comparison(DEMSAR, NAMES)
    assert found.average_ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)  # as printed there
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)  # 2.569 sqrt(4 * 5 / (6 * 14)), as printed
    # he prints 9.28 and 3.69 without the correction for ties, of which the table has three
    between = 12 * 14 / (4 * 5) * ((found.average_ranks - 2.5) ** 2).sum()
    assert between == pytest.approx(9.28, abs=0.01)
    assert found.friedman == pytest.approx(stats.friedmanchisquare(*DEMSAR.T).statistic)
    assert found.friedman > between


def test_a_table_by_hand():
    found = rank_comparison(np.array([[0.9, 0.8, 0.7], [0.6, 0.6, 0.5], [0.8, 0.4, 0.2]]), ["a", "b", "c"])
    assert found.ranks.tolist() == [[1, 2, 3], [1.5, 1.5, 3], [1, 2, 3]]
    assert found.pma == pytest.approx([1, (8 / 9 + 1 + 0.5) / 3, (7 / 9 + 5 / 6 + 0.25) / 3])
    assert found.p90.tolist() == [1, 1 / 3, 0]
    assert found.p95.tolist() == [1, 1 / 3, 0]
    # sums of squares: between ranks 3 * ((7/6 - 2)^2 + (11/6 - 2)^2 + 1), within (2 + 1.5 + 2) / 6
    assert found.friedman == pytest.approx(3 * (25 / 36 + 1 / 36 + 1) / (5.5 / 6))
    assert found.iman_davenport == pytest.approx(2 * found.friedman / (6 - found.friedman))
    pair = found.pair("b", "a")
    assert (pair.wins, pair.ties, pair.losses) == (0, 1, 2)
    assert pair.test.estimate == -found.pair("a", "b").test.estimate < 0


@settings(max_examples=20, deadline=None)
@given(tables)
def test_friedman_is_scipys_and_holm_is_statsmodels(rows):
    from statsmodels.stats.multitest import multipletests

    values = np.array(rows) / 7 + 0.1
    found = rank_comparison(values, "abc")
    assert found.ranks.sum(1) == pytest.approx(6)
    with np.errstate(invalid="ignore", divide="ignore"):
        wanted = stats.friedmanchisquare(*values.T)
    if np.isfinite(wanted.statistic):
        assert found.friedman == pytest.approx(wanted.statistic, abs=1e-9)
        assert found.friedman_p == pytest.approx(wanted.pvalue, abs=1e-9)
    raw = [pair.test.p for pair in found.pairs]
    assert [pair.holm for pair in found.pairs] == pytest.approx(multipletests(raw, method="holm")[1].tolist())
    assert all(pair.wins + pair.ties + pair.losses == len(rows) for pair in found.pairs)


@settings(max_examples=40, deadline=None)
@given(tables, st.permutations(range(3)))
def test_the_order_of_classifiers_does_not_matter(rows, order):
    values = np.array(rows) / 7 + 0.1
    one, two = (
        rank_comparison(values, "abc"),
        rank_comparison(values[:, order], ["abc"[j] for j in order]),
    )
    assert two.average_ranks == pytest.approx(one.average_ranks[list(order)])
    assert two.friedman == pytest.approx(one.friedman, abs=1e-12)
    assert two.pair("a", "c").test == one.pair("a", "c").test


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_the_distribution_by_enumeration(n):
    sums = [sum(ranks) for size in range(n + 1) for ranks in itertools.combinations(range(1, n + 1), size)]
    wanted = np.bincount(sums, minlength=n * (n + 1) // 2 + 1) / 2**n
    np.testing.assert_allclose(signed_rank_distribution(n), wanted, rtol=1e-14)


@pytest.mark.parametrize("n", [6, 11, 30])
def test_the_interval_holds_the_shifts_that_the_test_does_not_reject(n):
    d = np.random.default_rng(n).standard_normal(n) + 0.3
    found = signed_rank(d)
    for shift, inside in ((found.low + 1e-9, True), (found.high - 1e-9, True), (found.low - 1e-9, False),
                          (found.high + 1e-9, False)):  # fmt: skip
        assert (stats.wilcoxon(d - shift, method="exact").pvalue > 0.05) == inside
    assert found.low < found.estimate < found.high
    assert found.p == pytest.approx(stats.wilcoxon(d, method="exact").pvalue, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=3, max_size=25))
def test_with_ties_and_zeros_the_p_value_is_scipys_approximation(d):
    if any(d) and (0 in d or len({abs(i) for i in d}) < len(d)):
        wanted = stats.wilcoxon(d, zero_method="zsplit", method="approx").pvalue
        assert signed_rank(np.array(d)).p == pytest.approx(wanted, abs=1e-12)


def test_the_interval_covers_as_often_as_it_says():
    """Exact level for n = 12: P(T_+ <= 13) = 0.0212 on either side, so coverage 0.9575.

    4,000 samples: standard error 0.0032, and 4 of them are exceeded with probability 6e-5. With ties more often.
    """
    draw = np.random.default_rng(0)
    hits, tied = 0, 0
    for _ in range(4000):
        d = draw.standard_normal(12)
        found, rounded = signed_rank(d), signed_rank(np.round(d))
        hits += found.low <= 0 <= found.high
        tied += rounded.low <= 0 <= rounded.high
    assert abs(hits / 4000 - 0.9575) < 0.013
    assert tied / 4000 > 0.9575 - 0.013


def test_few_or_equal_differences():
    assert signed_rank(np.arange(1.0, 6.0)).low == -np.inf
    nothing = signed_rank(np.zeros(8))
    assert (nothing.estimate, nothing.low, nothing.high, nothing.p) == (0, 0, 0, 1)
    same = rank_comparison(np.full((4, 3), 0.5), "abc")
    assert same.friedman == 0
    assert same.friedman_p == 1
    perfect = rank_comparison(np.tile([0.9, 0.8, 0.7], (4, 1)), "abc")
    assert perfect.iman_davenport == np.inf
    assert perfect.iman_davenport_p == 0


def test_shares_on_the_edge_count():
    found = rank_comparison(np.array([[1.0, 0.95], [0.6, 0.54], [0.6, 0.57], [1.0, 0.8999]]), "ab")
    assert found.p95[1] == 2 / 4
    assert found.p90[1] == 3 / 4


def test_rounding_makes_no_winner():
    third, other = 0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1
    assert third != other
    found = rank_comparison(np.array([[third, other], [0.92 - 0.06, 0.92], [0.70, 0.76]]), "ab")
    assert found.ranks[0].tolist() == [1.5, 1.5]
    assert found.pairs[0].ties == 1
    assert found.pairs[0].test.p == signed_rank(np.array([0.0, -1.0, -1.0])).p


@pytest.mark.parametrize(
    ("values", "names", "alpha", "what"),
    [
        (np.ones((1, 3)), "abc", 0.05, r"shape \(1, 3\)"),
        (np.ones((3, 1)), "a", 0.05, r"shape \(3, 1\)"),
        (np.ones(3), "abc", 0.05, "two tables"),
        (np.ones((2, 3)), "ab", 0.05, "2 names for 3"),
        (np.ones((2, 3)), "aba", 0.05, "its own name"),
        (np.array([[1.0, np.nan], [1, 1]]), "ab", 0.05, "table 0: b has nan"),
        (np.array([[1.0, 1], [-1, 1]]), "ab", 0.05, "table 1: a has -1"),
        (np.array([[1.0, 1], [0, 0]]), "ab", 0.05, "table 1: all accuracies are 0"),
        (np.ones((2, 2)), "ab", 1.0, "alpha = 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(values, names, alpha, what):
    with pytest.raises(InvalidInput, match=what):
        rank_comparison(values, names, alpha=alpha)


def test_signed_rank_and_pairs_refuse_what_they_cannot_use():
    for wrong in (np.zeros(0), np.zeros((2, 2)), np.array([np.inf]), np.zeros(2001)):
        with pytest.raises(InvalidInput, match="finite numbers"):
            signed_rank(wrong)
    with pytest.raises(InvalidInput, match="level = 0"):
        signed_rank(np.ones(3), level=0)
    found = rank_comparison(DEMSAR, NAMES)
    with pytest.raises(UnknownName, match="unknown classifier 'm'"):
        found.pair("m", "+cf")
    with pytest.raises(InvalidInput, match="against itself"):
        found.pair("+m", "+m")


def test_the_figure_is_drawn(tmp_path):
    figure = rank_comparison(DEMSAR, NAMES).plot()
    static.render(figure, tmp_path / "ranks.png")
    assert figure.panels[0].x.ticks == ("+m+cf", "+m", "+cf", "C4.5")
    assert len(figure.panels[1].x.ticks) == 6
