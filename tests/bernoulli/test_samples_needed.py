"""The least number of tosses against exact arithmetic, the bound itself, and the exact two-sided test against SciPy."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from lemmata.bernoulli import binomial_test, clopper_pearson, samples_needed
from lemmata.bernoulli.least_hits import least_hits
from lemmata.errors import InvalidInput


@given(st.floats(0.01, 0.995), st.floats(1e-9, 0.5))
def test_it_is_enough_and_no_less_is(p0, alpha):
    """p0^n < alpha in exact rational arithmetic, and not for n - 1."""
    n = samples_needed(p0, alpha=alpha)
    assert Fraction(p0) ** n < Fraction(alpha)
    assert n == 1 or Fraction(p0) ** (n - 1) >= Fraction(alpha)


def test_ties_are_not_enough():
    """All hits of 3 prove p > 1/2 at level 1/8 only as p >= 1/2: four tosses are needed."""
    assert samples_needed(0.5, alpha=0.125) == 4
    assert clopper_pearson(3, 3, alpha=0.125) == pytest.approx(0.5, abs=1e-15)


def test_large_numbers():
    """Beyond exact arithmetic: log(alpha) / log(p0), to one toss, and the bound agrees."""
    n = samples_needed(1 - 1e-6, alpha=0.001)
    assert abs(n - np.log(0.001) / np.log1p(-1e-6)) <= 1
    assert clopper_pearson(n, n, alpha=0.001) > 1 - 1e-6
    assert clopper_pearson(n - 2, n - 2, alpha=0.001) < 1 - 1e-6


@pytest.mark.parametrize(
    ("p0", "alpha"), [(0.0, 0.1), (1.0, 0.1), (0.5, 0.0), (0.5, 1.0), (np.nan, 0.1), ("half", 0.1)]
)
def test_samples_needed_refuses(p0, alpha):
    with pytest.raises(InvalidInput):
        samples_needed(p0, alpha=alpha)


@given(st.integers(1, 400), st.data())
def test_two_sided_test_agrees_with_scipy(n, data):
    """At p0 = 1/2 all definitions of two-sided agree; 1e-10 relative for tails of 1e-120."""
    hits = data.draw(st.integers(0, n))
    assert binomial_test(hits, n) == pytest.approx(binomtest(hits, n, 0.5).pvalue, rel=1e-10)


@given(st.integers(1, 300), st.data(), st.floats(0.01, 0.99), st.floats(0.001, 0.4))
def test_two_sided_test_is_the_interval_inverted(n, data, p0, alpha):
    """p0 is rejected where it lies outside the interval, but for ties to rounding."""
    hits = data.draw(st.integers(0, n))
    low, high = clopper_pearson(hits, n, alpha=alpha, side="two-sided")
    if min(abs(p0 - low), abs(p0 - high)) > 1e-9:
        assert (binomial_test(hits, n, p0) <= alpha) == (not low < p0 < high)


def test_two_sided_test_edges():
    """No tosses say nothing; arrays broadcast; bad numbers are refused."""
    assert binomial_test(0, 0) == 1.0
    np.testing.assert_allclose(binomial_test([0, 5, 10], 10), [2**-9, 1.0, 2**-9], rtol=1e-14)
    with pytest.raises(InvalidInput, match="p0"):
        binomial_test(1, 2, 1.0)
    with pytest.raises(InvalidInput, match="3 hits in 2"):
        binomial_test(3, 2)


@given(st.integers(1, 3000), st.floats(0.001, 0.999), st.floats(1e-8, 0.4))
def test_least_hits_inverts_the_bound(n, p, alpha):
    """The least h with P(X >= h) <= alpha: SciPy's quantile, and where Clopper-Pearson passes p."""
    (found,) = least_hits(np.array([n]), np.array([alpha]), p)
    assert found == binom.isf(alpha, n, p) + 1
    if found <= n:
        assert clopper_pearson(found, n, alpha=alpha) >= p - 1e-12
    assert clopper_pearson(found - 1, n, alpha=alpha) < p + 1e-12
