"""The tests of one component against scipy, statsmodels and hand-computed cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from lemmata.verdicts.statistics import holm, one_sided_tests

INF = np.inf
X = np.random.default_rng(7).normal(0.3, 1.0, size=(40, 6))


def test_inside_is_the_two_one_sided_tests_of_statsmodels():
    ours = one_sided_tests(X, low=-0.5, high=1.0).p_inside
    theirs = [DescrStatsW(x).ttost_mean(-0.5, 1.0)[0] for x in X]
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)  # the same formula: rounding only


@pytest.mark.parametrize(("low", "high", "alternative"), [(0.0, INF, "less"), (-INF, 0.0, "greater")])
def test_half_lines_are_one_sided_t_tests_of_scipy(low, high, alternative):
    ours = one_sided_tests(X, low=low, high=high)
    opposite = {"less": "greater", "greater": "less"}[alternative]
    np.testing.assert_allclose(ours.p_outside, stats.ttest_1samp(X, 0.0, axis=1, alternative=alternative).pvalue)
    np.testing.assert_allclose(ours.p_inside, stats.ttest_1samp(X, 0.0, axis=1, alternative=opposite).pvalue)


def test_outside_of_a_point_is_the_two_sided_t_test_of_scipy():
    ours = one_sided_tests(X, low=0.2, high=0.2).p_outside
    np.testing.assert_allclose(ours, stats.ttest_1samp(X, 0.2, axis=1).pvalue, rtol=1e-12)


def test_direction_is_the_one_sided_t_test_on_the_side_of_the_region():
    above = one_sided_tests(X, low=2.0, high=3.0, null=0.1).p_direction
    below = one_sided_tests(X, low=-3.0, high=0.0, null=0.1).p_direction
    np.testing.assert_allclose(above, stats.ttest_1samp(X, 0.1, axis=1, alternative="greater").pvalue)
    np.testing.assert_allclose(below, stats.ttest_1samp(X, 0.1, axis=1, alternative="less").pvalue)
    assert (one_sided_tests(X, low=0.0, high=1.0, null=0.1).p_direction == 1).all()  # null inside: no side


def test_interval_is_students_of_scipy():
    ours = one_sided_tests(X, low=0, high=1)
    theirs = stats.ttest_1samp(X, 0.0, axis=1).confidence_interval(0.95)
    np.testing.assert_allclose([ours.low, ours.high], [theirs.low, theirs.high])


def test_options_broadcast_over_replications():
    lows = np.linspace(-1, 1, len(X))
    together = one_sided_tests(X, low=lows, high=INF, null=-2.0).p_inside
    np.testing.assert_array_equal(
        together, [one_sided_tests(x, low=e, high=INF).p_inside for x, e in zip(X, lows, strict=True)]
    )


def test_spread_below_the_grid_is_not_believed():
    """Five locations on a grid of 0.1, all 1.0: sd 0.1 / sqrt(12), t(4) = 0.1 sqrt(60) / 0.1 = 7.746, by hand."""
    result = one_sided_tests([1.0] * 5, low=0.9, high=1.1, resolution=0.1)
    assert result.p_inside == pytest.approx(stats.t.sf(np.sqrt(60), 4), rel=1e-9)
    assert result.method == "t"
    wide = one_sided_tests([0.0, 5.0, 10.0], low=0, high=9, resolution=0.1)  # a spread above the grid is kept
    assert wide.sd == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("value", "region", "inside"),
    [
        (1.0, {"low": 0.99, "high": 1.01}, True),
        (1.0, {"low": 0.99, "high": 1.0}, True),  # sits at its own bound: the region is closed
        (0.98, {"low": 0.99, "high": 1.0}, False),
        (0.0, {"low": 0.0, "high": INF, "null": 0.0}, False),  # no effect is not an effect
        (0.0, {"low": 0.0, "high": INF}, True),
        (INF, {"low": 2.0, "high": 10.0, "null": 1.0}, False),
        (INF, {"low": 2.0, "high": INF, "null": 1.0}, True),
        (0.1 + 0.2, {"low": 0.3, "high": 0.3}, True),  # to rounding
    ],
)
def test_no_variation_is_compared_with_the_closed_region(value, region, inside):
    result = one_sided_tests([value] * 5, **region)
    assert result.method == "constant"
    assert (result.p_inside, result.p_outside) == ((0, 1) if inside else (1, 0))


def test_the_constant_case_is_the_limit_of_vanishing_noise():
    noise = 1e-8 * np.random.default_rng(0).normal(size=5)
    for value in (0.5, 1.5, -0.5):
        limit = one_sided_tests([value] * 5, low=0, high=1, null=0)
        near = one_sided_tests(value + noise, low=0, high=1, null=0)
        assert near.method == "t"
        for name in ("p_inside", "p_outside", "p_direction"):
            assert getattr(near, name) == pytest.approx(getattr(limit, name), abs=1e-12)


def test_infinite_samples_give_sign_tests_of_the_median():
    """Nine runs of which two never arrive; above 2: 9 of 9, below 10: 7 of 9, P(Bin(9, 1/2) >= 7) = 46/512."""
    x = [3, 4, 5, 4, 6, 7, 5, INF, INF]
    result = one_sided_tests(x, low=2, high=10, null=1)
    assert result.method == "sign"
    assert result.centre == 5
    assert result.p_inside == pytest.approx(46 / 512)
    assert result.p_outside == 1.0  # 2 min(1, P(K >= 2)), cut at 1
    assert result.p_direction == pytest.approx(1 / 512)
    assert result.p_inside == pytest.approx(stats.binomtest(7, 9, alternative="greater").pvalue)
    assert (result.low, result.high) == (4, INF)  # ranks 2 and 8: coverage 1 - 20/512, and ranks 3, 7 too little


def test_too_few_for_an_interval_of_the_median_say_so():
    result = one_sided_tests([3, 4, 5, 4, INF], low=2, high=10)
    assert (result.low, result.high) == (-INF, INF)


def test_mixed_replications_each_get_their_own_method():
    x = np.array([[1.0, 2, 3], [1, 1, 1], [1, 2, INF]])
    result = one_sided_tests(x, low=0, high=INF)
    assert result.method.tolist() == ["t", "constant", "sign"]
    for row, together in zip(x, result.p_inside, strict=True):
        assert one_sided_tests(row, low=0, high=INF).p_inside == together


def test_holm_is_that_of_statsmodels():
    p = np.random.default_rng(3).uniform(size=(8, 7)) ** 3
    p[0] = 0.02  # ties
    theirs = [multipletests(row, method="holm")[1] for row in p]
    np.testing.assert_allclose(holm(p), theirs, rtol=1e-12)


floats = st.floats(-10, 10, allow_nan=False).map(lambda v: round(v, 3))
samples = st.lists(floats, min_size=3, max_size=8).filter(lambda x: np.ptp(x) > 0.01)


@settings(max_examples=50, deadline=None)
@given(samples, st.tuples(floats, st.floats(0, 5)), st.floats(0.1, 100), floats, st.randoms(use_true_random=False))
def test_units_and_order_of_seeds_do_not_matter(x, region, scale, shift, random):
    low, width = region
    plain = one_sided_tests(x, low=low, high=low + width, null=low - 1)
    shuffled = random.sample(x, len(x))
    move = np.asarray([low, low + width, low - 1]) * scale + shift
    moved = one_sided_tests(np.asarray(shuffled) * scale + shift, low=move[0], high=move[1], null=move[2])
    for name in ("p_inside", "p_outside", "p_direction"):
        assert getattr(moved, name) == pytest.approx(getattr(plain, name), rel=1e-6, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(samples, floats, st.floats(0, 5), st.floats(0, 5))
def test_a_wider_margin_never_makes_inside_harder(x, centre, margin, more):
    narrow = one_sided_tests(x, low=centre - margin, high=centre + margin)
    wide = one_sided_tests(x, low=centre - margin - more, high=centre + margin + more)
    assert wide.p_inside <= narrow.p_inside
    assert wide.p_outside >= narrow.p_outside


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(floats, st.just(INF)), min_size=3, max_size=9), floats, st.floats(0, 5))
def test_never_both_inside_and_outside(x, low, width):
    result = one_sided_tests(x, low=low, high=low + width, null=low)
    assert max(result.p_inside, result.p_outside) >= 0.5
    assert min(result.p_inside, result.p_outside, result.p_direction) >= 0
    assert max(result.p_inside, result.p_outside, result.p_direction) <= 1
