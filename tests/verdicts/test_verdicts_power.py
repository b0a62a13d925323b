"""The power formula against statsmodels, scipy's noncentral t, and simulation with the tests that judge."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from lemmata.verdicts.power import LIMIT, needed, power_inside, power_outside
from lemmata.verdicts.statistics import one_sided_tests

INF = np.inf


@pytest.mark.parametrize("n", [3, 5, 20, 200])
@pytest.mark.parametrize("effect", [0.2, 0.8, 2.0])
def test_half_line_is_the_one_sided_power_of_statsmodels(n, effect):
    """Quadrature over s with 200 nodes: the square-root-log singularity of its quantiles leaves some 1e-6."""
    theirs = TTestPower().power(effect, n, 0.05, alternative="larger")
    inside = power_inside(n, mean=effect, sd=1.0, low=0.0, high=INF, level=0.05)
    outside = power_outside(n, mean=effect, sd=1.0, low=-INF, high=0.0, level=0.05)
    assert inside == pytest.approx(theirs, abs=2e-6)
    assert outside == pytest.approx(theirs, abs=2e-6)


def test_point_region_is_the_two_sided_power_of_scipys_noncentral_t():
    n, c = 8, stats.t.isf(0.025, 7)
    theirs = stats.nct.sf(c, 7, 0.9 * np.sqrt(n)) + stats.nct.cdf(-c, 7, 0.9 * np.sqrt(n))
    assert power_outside(n, mean=0.9, sd=1.0, low=0.0, high=0.0, level=0.05) == pytest.approx(theirs, abs=2e-6)


@pytest.mark.parametrize(
    ("mean", "low", "high"), [(0.0, -0.9, 0.9), (0.3, -0.6, 1.5), (0.2, 0.0, INF), (1.4, -0.5, 0.5), (-0.7, 0.0, INF)]
)
def test_power_predicts_the_rate_at_which_simulated_claims_are_decided(mean, low, high):
    """20,000 replications; 4.5 standard errors: ten comparisons fail by chance less than once in 10,000 runs."""
    n, level, replications = 7, 0.025, 20_000
    x = np.random.default_rng(11).normal(mean, 1.0, size=(replications, n))
    result = one_sided_tests(x, low=low, high=high)
    setting = {"mean": mean, "sd": 1.0, "low": low, "high": high, "level": level}
    for p, predicted in (
        (result.p_inside, power_inside(n, **setting)),
        (result.p_outside, power_outside(n, **setting)),
    ):
        error = np.sqrt(predicted * (1 - predicted) / replications) + 1 / replications
        assert abs(np.mean(p <= level) - predicted) < 4.5 * error


@pytest.mark.parametrize(("mean", "low", "high"), [(0.4, 0.0, INF), (0.0, -0.5, 0.5), (2.0, 0.0, 1.0)])
def test_needed_is_the_smallest_number_that_suffices(mean, low, high):
    n = needed(mean=mean, sd=1.0, low=low, high=high, level=0.01)
    chance = power_inside if low <= mean <= high else power_outside
    setting = {"mean": mean, "sd": 1.0, "low": low, "high": high, "level": 0.01}
    assert chance(n, **setting) >= 0.8 > chance(n - 1, **setting)


def test_needed_agrees_with_statsmodels():
    theirs = TTestPower().solve_power(effect_size=0.5, alpha=0.05, power=0.8, alternative="larger")
    assert needed(mean=0.5, sd=1.0, low=0.0, high=INF, level=0.05) == int(np.ceil(theirs))


def test_on_the_edge_no_number_suffices():
    assert needed(mean=1.0, sd=1.0, low=0.0, high=1.0, level=0.05) == LIMIT + 1


def test_never_fewer_than_three():
    assert needed(mean=100.0, sd=1.0, low=0.0, high=INF, level=0.05) == 3
