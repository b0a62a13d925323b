"""The barrier and its interval: closed forms, coverage by simulation, and that the naive value is too large."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, multivariate_normal

from lemmata.errors import InvalidInput
from lemmata.landscape.paths import barrier

T = np.linspace(0, 1, 21)


def draws(n, height, seed, noise=1.0):
    """Samples whose mean height above the chord is 4 height t (1 - t), with noise that is 0 at the ends."""
    rng = np.random.default_rng(seed)
    waves = rng.standard_normal((3, n))
    bumps = np.stack([np.sin((k + 1) * np.pi * T) for k in range(3)], 1) @ waves
    return 5 + T[:, None] + (4 * height * T * (1 - T))[:, None] + noise * bumps


def test_without_noise_it_is_the_height_above_the_chord():
    found = barrier(T, draws(10, 2.0, 0, noise=0.0))
    assert found.value == pytest.approx(2.0)
    assert found.at == 0.5
    low, high = found.interval()
    assert low == pytest.approx(2.0)
    assert high == pytest.approx(2.0)


def test_below_the_chord_there_is_no_barrier():
    found = barrier(T, draws(10, -2.0, 0, noise=0.0))
    assert found.value == 0.0


@given(st.lists(st.floats(-5, 5), min_size=6, max_size=6), st.floats(-3, 3), st.floats(-3, 3))
def test_it_does_not_see_a_straight_line_added(heights, a, b):
    t = np.linspace(0, 1, 3)
    values = np.array(heights).reshape(3, 2)
    tilted = values + (a + b * t)[:, None]
    assert barrier(t, tilted).value == pytest.approx(barrier(t, values).value, abs=1e-9)


@pytest.mark.parametrize("height", [0.0, 0.15, 1.0])
def test_the_interval_covers_as_often_as_it_says(height):
    runs, hits = 150, 0
    for seed in range(runs):
        low, high = barrier(T, draws(60, height, seed), seed=seed, draws=2000).interval(0.9)
        hits += low <= height <= high
    assert hits >= binom.ppf(1e-4, runs, 0.9)  # a false alarm once in 10,000


def test_the_lower_end_allows_for_the_choice_of_the_point():
    t, runs, above = np.linspace(0, 1, 42), 100, 0
    for seed in range(runs):
        values = np.random.default_rng(seed).standard_normal((42, 50))  # independent from point to point, no barrier
        values[[0, -1]] = 0.0
        above += barrier(t, values, seed=seed, draws=2000).interval(0.9)[0] > 0
    # 5 % are allowed; with the quantile of a single point it would be 1 - 0.95^40 = 87 %
    assert above <= binom.ppf(1 - 1e-4, runs, 0.05)


def test_the_value_is_too_large_by_about_the_bias_it_tells():
    found = [barrier(T, draws(60, 0.0, seed), seed=seed, draws=500) for seed in range(100)]
    values = np.array([one.value for one in found])
    assert values.mean() > 6 * values.std() / 100**0.5  # the true barrier is 0
    assert np.mean([one.bias for one in found]) > 0


def test_the_simultaneous_quantile_is_that_of_the_maximum_of_gaussians():
    values = draws(4000, 0.5, 0)
    found = barrier(T, values)
    above = values - ((1 - T)[:, None] * values[0] + T[:, None] * values[-1])
    R = np.corrcoef(above[[5, 10]])
    pair = barrier(np.array([0.0, 0.25, 0.5, 1.0]), values[[0, 5, 10, 20]])
    c = np.quantile(pair.maxima, 0.975)
    # P(max of the two <= c), the ends without noise adding 0 <= c
    assert multivariate_normal(cov=R).cdf([c, c]) == pytest.approx(0.975, abs=0.004)  # 20,000 draws: s.e. 0.0011
    assert np.quantile(found.maxima, 0.975) > c - 0.02  # more points, a larger maximum


def test_bad_values_are_answered():
    with pytest.raises(InvalidInput, match="from t = 0 to t = 1"):
        barrier(np.array([0.0, 0.5]), np.zeros((2, 3)))
    with pytest.raises(InvalidInput, match="no interval"):
        barrier(np.array([0.0, 1.0]), np.zeros((2, 1))).interval()
    with pytest.raises(InvalidInput, match="confidence level"):
        barrier(T, draws(5, 1.0, 0)).interval(1.5)
    holes = draws(5, 1.0, 0)
    holes[7, 2] = np.nan
    assert np.isnan(barrier(T, holes).value)
