"""Limits of the risk of ridge regression: against closed forms, the Marchenko-Pastur law and moments of Wishart's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from lemmata.errors import InvalidInput
from lemmata.studies._ridge_asymptotics import Population, effective_ridge, ridge_risk


def blocks(variances: list[float], counts: list[float], signal: list[float], noise: float = 1.0) -> Population:
    return Population(np.array(variances), np.array(counts), np.array(signal), noise)


ASPECTS = st.floats(0.05, 20).filter(lambda gamma: abs(gamma - 1) > 0.02)


@given(gamma=ASPECTS, snr=st.floats(0.1, 10), noise=st.floats(0.1, 3))
@settings(max_examples=100, deadline=None)
def test_equal_features_without_a_ridge(gamma: float, snr: float, noise: float):
    """The two closed forms; 1e-9, the root's 1e-14 divided by the distance from the threshold, squared."""
    found = ridge_risk(blocks([1.0], [1000 * gamma], [snr], noise), 1000)
    bias = snr * (1 - 1 / gamma) if gamma > 1 else 0.0
    variance = noise * (gamma / (1 - gamma) if gamma < 1 else 1 / (gamma - 1))
    assert found.bias == pytest.approx(bias, rel=1e-9)
    assert found.variance == pytest.approx(variance, rel=1e-9)


def stieltjes(z: float, gamma: float, power: int) -> float:
    """The integral of (s - z)^-power against the law of Marchenko and Pastur, z < 0, by quadrature of its density."""
    low, high = (1 - gamma**0.5) ** 2, (1 + gamma**0.5) ** 2
    middle, half = (low + high) / 2, (high - low) / 2

    def density(angle: float) -> float:
        s = middle + half * np.cos(angle)
        return (half * np.sin(angle)) ** 2 / (2 * np.pi * gamma * s * (s - z) ** power)

    continuous = integrate.quad(density, 0, np.pi, epsabs=1e-13, epsrel=1e-12)[0]
    return continuous + max(0.0, 1 - 1 / gamma) * (-z) ** -power


@pytest.mark.parametrize("gamma", [0.4, 0.9, 1.3, 5.0])
@pytest.mark.parametrize("ridge", [0.05, 0.7])
def test_equal_features_with_a_ridge(gamma: float, ridge: float):
    """E over eigenvalues d of ridge^2 snr / (d + ridge)^2 + noise gamma d / (d + ridge)^2: by m and m' at -ridge."""
    snr, noise = 5.0, 0.7
    m, slope = stieltjes(-ridge, gamma, 1), stieltjes(-ridge, gamma, 2)
    found = ridge_risk(blocks([1.0], [300 * gamma], [snr], noise), 300, ridge)
    assert found.bias == pytest.approx(
        snr * ridge**2 * slope, rel=1e-9
    )  # the quadrature's 1e-12, and cancellation below
    assert found.variance == pytest.approx(noise * gamma * (m - ridge * slope), rel=1e-9)


def test_the_effective_ridge_solves_its_equation_and_is_increasing_in_the_ridge():
    population = blocks([2.0, 0.5, 0.01], [10, 50, 4000], [1.0, 0.3, 0.2])
    previous = 0.0
    for ridge in (0.0, 1e-6, 1e-3, 0.1, 5.0):
        kappa = effective_ridge(population, 100, ridge)
        df1 = float((population.counts * population.variances / (population.variances + kappa)).sum())
        assert kappa == pytest.approx(ridge + kappa * df1 / 100, rel=1e-12)
        assert kappa > previous
        previous = kappa


def test_blocks_may_be_split_and_the_limit_without_a_ridge_is_continuous():
    whole = blocks([1.0, 0.1], [50, 300], [3.0, 1.0])
    split = blocks([1.0, 1.0, 0.1], [20, 30, 300], [1.0, 2.0, 1.0])
    assert ridge_risk(whole, 120).total == pytest.approx(ridge_risk(split, 120).total, rel=1e-12)
    for n in (120, 600):  # more features than samples, and fewer
        assert ridge_risk(whole, n, 1e-9).total == pytest.approx(ridge_risk(whole, n).total, rel=1e-6)


def test_the_error_left_out_is_that_of_wisharts_inverse_moment():
    """E tr (X^T X)^-1 = p / (n - p - 1): the limit p / (n - p) is off by a third of the stated error."""
    for p in (20, 100, 180):
        found = ridge_risk(blocks([1.0], [p], [1.0]), 200)
        off = p / (200 - p - 1) / found.total - 1
        assert off == pytest.approx(1 / (200 - p - 1), rel=1e-9)
        assert off == pytest.approx(found.relative_error / 3, rel=1 / (200 - p - 2))


@given(snr=st.floats(0.2, 10), gamma=st.floats(0.1, 10))
@settings(max_examples=60, deadline=None)
def test_gamma_over_snr_is_the_best_ridge(snr: float, gamma: float):
    """Neighbours a tenth away are worse, strictly."""
    population = blocks([1.0], [200 * gamma], [snr])
    best, below, above = (ridge_risk(population, 200, gamma / snr * factor).total for factor in (1, 0.9, 1.1))
    assert best < min(below, above)


def test_no_mean_at_the_threshold_and_no_variance_of_zero():
    at = ridge_risk(blocks([1.0], [200], [1.0]), 200)
    assert np.isinf(at.variance)
    assert np.isinf(at.relative_error)
    with pytest.raises(InvalidInput, match="leave out what does not vary"):
        blocks([1.0, 0.0], [1, 1], [1.0, 1.0])
    with pytest.raises(InvalidInput, match="one shape"):
        blocks([1.0], [1, 1], [1.0])
