"""Bands for all shares at once: exact rationals by Steck's determinant, scipy's Kolmogorov law, and simulation."""

from fractions import Fraction
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstwo

from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.errors import InvalidInput, UnknownName
from lemmata.robustness.certificates.confidence_band import METHODS, band, coverage, local_level


def steck(low, high):
    """P(u_i <= V_(i) <= v_i for all i) of n uniform order statistics: n! det((v_i - u_j)_+^(j-i+1) / (j-i+1)!).

    Steck (1971). A share with k of n is bounded by low_k and high_k for all t where low_i <= V_(i) <= high_(i-1).
    """
    n = len(low) - 1
    u, v = [Fraction(low[i]) for i in range(1, n + 1)], [Fraction(high[i]) for i in range(n)]
    rows = [[Fraction(0)] * n for _ in range(n)]
    for i in range(n):
        for j in range(n):
            power = j - i + 1
            if power >= 0:
                gap = max(v[i] - u[j], Fraction(0))
                rows[i][j] = Fraction(1) if power == 0 else gap**power / factorial(power)
    determinant = Fraction(1)
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k]), None)
        if pivot is None:
            return Fraction(0)
        if pivot != k:
            rows[k], rows[pivot] = rows[pivot], rows[k]
            determinant = -determinant
        determinant *= rows[k][k]
        for i in range(k + 1, n):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return determinant * factorial(n)


shares = st.lists(st.integers(0, 64), min_size=2, max_size=7)


@given(shares, st.lists(st.integers(1, 40), min_size=7, max_size=7))
@settings(max_examples=60, deadline=None)
def test_coverage_is_that_of_exact_rationals(lows, widths):
    """Dyadic ends, so that float64 holds them. Tolerance: a sum of some hundred products of float64."""
    low = np.array([0, *sorted(lows)]) / 64
    n = len(low) - 1
    high = np.minimum(np.maximum.accumulate(low[: n + 1] + np.array(widths[0]) / 64 + np.arange(n + 1) / 128), 1.0)
    high[-1] = 1.0
    assert coverage(low, high) == pytest.approx(float(steck(low, high)), abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_equal_local_levels_cover_exactly_what_they_say(n):
    found = band(n, method="equal local levels")
    exact = float(steck(found.low, found.high))
    assert 0.95 <= exact <= 0.95 + 0.05 * 2e-4  # the level is found to 1e-4 of itself, never too large


@pytest.mark.parametrize(("n", "error"), [(1, 1e-14), (7, 1e-13), (50, 1e-12), (100, 1e-11), (500, 1e-6)])
def test_kolmogorov_is_scipys(n, error):
    """Beyond n = 140 or so scipy itself takes an asymptotic expansion, good to 1e-7."""
    reach = kstwo.isf(0.05, n)
    counts = np.arange(n + 1) / n
    assert coverage(np.maximum(counts - reach, 0), np.minimum(counts + reach, 1)) == pytest.approx(0.95, abs=error)
    np.testing.assert_allclose(band(n, method="kolmogorov").low, np.maximum(counts - reach, 0), atol=1e-15)


@pytest.mark.parametrize("side", ["two-sided", "lower"])
@pytest.mark.parametrize("method", METHODS)
def test_every_band_covers_and_is_ordered(method, side):
    for n in (1, 3, 40, 300):
        for confidence in (0.5, 0.95, 0.999):
            found = band(n, confidence=confidence, method=method, side=side)
            assert coverage(found.low, found.high) >= confidence - 1e-6  # scipy's quantile of Kolmogorov's law
            assert (np.diff(found.low) >= 0).all()
            assert (np.diff(found.high) >= 0).all()
            assert found.low[0] == 0
            assert found.high[-1] == 1
            if side == "lower":
                assert (found.high == 1).all()


def test_the_exact_bands_are_narrower_than_massarts():
    for n in (10, 500):
        exact = band(n)
        assert exact.mean_width < band(n, method="dkw").mean_width
        assert band(n, method="kolmogorov").mean_width < band(n, method="dkw").mean_width
        assert exact.mean_width == min(band(n, method=method).mean_width for method in METHODS[:2])


def test_the_local_level_lies_between_bonferroni_and_the_pointwise_one():
    assert local_level(1) == pytest.approx(0.025, rel=2e-4)  # one sample, two ends
    for n in (5, 50, 500):
        assert 0.05 / (2 * n) < local_level(n) < 0.025
        assert local_level(n) < local_level(n, side="lower") < 0.05


@pytest.mark.slow
def test_ten_thousand_samples_are_covered_too():
    found = band(10_000)
    assert 0.95 <= coverage(found.low, found.high) <= 0.95 + 1e-5


def covered(draws, truth, low, high):
    """Which runs have low_k <= P(T >= r) <= high_k for all r: draws (runs, n), `truth` r -> P(T >= r)."""
    points, probability = truth
    counts = (draws[:, :, None] >= points).sum(1)
    return ((low[counts] <= probability) & (probability <= high[counts])).all(1)


def test_bands_cover_a_law_with_atoms_and_pointwise_intervals_do_not():
    """40 runs in 2,000 is 5 %: a band misses in at most 5 %, here to within 4 standard errors (failure < 1e-4)."""
    generator, n, runs = np.random.default_rng(0), 60, 2000
    draws = np.round(generator.beta(0.7, 1.3, size=(runs, n)), 1)  # eleven atoms, the first heavy
    points = np.arange(0, 1.01, 0.1).round(1)
    reference = np.round(np.random.default_rng(1).beta(0.7, 1.3, size=4_000_000), 1)
    truth = points, (reference[:, None] >= points - 1e-9).mean(0)
    draws = draws + 1e-9
    for method in METHODS:
        found = band(n, method=method)
        low, high = found.low - 1e-3, found.high + 1e-3  # the error of the reference
        assert covered(draws, truth, low, high).mean() > 0.95 - 4 * (0.05 * 0.95 / runs) ** 0.5
    low, high = clopper_pearson(np.arange(n + 1), n, alpha=0.05, side="two-sided")
    assert covered(draws, truth, low, high).mean() < 0.9


def test_pointwise_intervals_hold_a_curve_as_rarely_as_the_page_says():
    """0.298 at n = 500, against 2,000 simulated curves: 4 standard errors (failure < 1e-4)."""
    n, runs = 500, 2000
    low, high = clopper_pearson(np.arange(n + 1), n, alpha=0.05, side="two-sided")
    exact = coverage(low, high)
    assert exact == pytest.approx(0.298, abs=1e-3)
    v = np.sort(np.random.default_rng(2).random((runs, n)), axis=1)
    simulated = ((v >= low[1:]) & (v <= high[:-1])).all(1).mean()
    assert abs(simulated - exact) < 4 * (exact * (1 - exact) / runs) ** 0.5


def test_an_empty_band_covers_nothing():
    assert coverage(np.array([0.0, 0.5, 0.6]), np.array([0.2, 0.3, 1.0])) == 0


@pytest.mark.parametrize(
    ("settings", "error", "what"),
    [
        ({"n": 0}, InvalidInput, "at least one"),
        ({"n": 2.5}, InvalidInput, "at least one"),
        ({"n": 5, "confidence": 1.0}, InvalidInput, "between 0 and 1"),
        ({"n": 5, "confidence": float("nan")}, InvalidInput, "between 0 and 1"),
        ({"n": 5, "method": "kolmogorof"}, UnknownName, "kolmogorov"),
        ({"n": 5, "side": "upper"}, UnknownName, "side"),
    ],
)
def test_bad_settings_are_refused(settings, error, what):
    with pytest.raises(error, match=what):
        band(**settings)
