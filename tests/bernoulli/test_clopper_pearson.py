"""Clopper-Pearson against statsmodels, exact rational tails, interval arithmetic and closed forms."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from lemmata.bernoulli import clopper_pearson
from lemmata.errors import InvalidInput, UnknownName


def upper_tail(h, n, p):
    """P(X >= h), X ~ Binomial(n, p), in exact rational arithmetic."""
    p = Fraction(p)
    return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(h, n + 1))


@pytest.mark.parametrize("n", [1, 2, 7, 30])
@pytest.mark.parametrize("alpha", [0.3, 0.001])
def test_the_tail_at_the_bound_is_alpha(n, alpha):
    """The definition, in exact arithmetic: a bound moved by 1e-12 has its tail on the other side of alpha."""
    for h in range(1, n + 1):
        lower = float(clopper_pearson(h, n, alpha=alpha))
        assert upper_tail(h, n, lower * (1 - 1e-12)) < Fraction(alpha) < upper_tail(h, n, lower * (1 + 1e-12))
        upper = float(clopper_pearson(n - h, n, alpha=alpha, side="upper"))
        miss = 1 - Fraction(upper)
        slack = Fraction(1, 10**12)
        assert (
            upper_tail(h, n, miss * (1 - slack) - slack)
            < Fraction(alpha)
            < upper_tail(h, n, miss * (1 + slack) + slack)
        )


def test_no_hits_and_all_hits_are_exact():
    """0 and 1, and the closed forms alpha^(1/n), 1 - alpha^(1/n): to two units in the last place."""
    n = np.array([1, 10, 100_000, 10**9])
    assert (clopper_pearson(0, n, alpha=0.001) == 0).all()
    assert (clopper_pearson(n, n, alpha=0.001, side="upper") == 1).all()
    np.testing.assert_allclose(clopper_pearson(n, n, alpha=0.001), 0.001 ** (1 / n), rtol=4.5e-16)
    small = clopper_pearson(0, n, alpha=0.001, side="upper")
    np.testing.assert_allclose(small, -np.expm1(np.log(0.001) / n), rtol=4.5e-16)


@given(st.integers(1, 5000), st.floats(0, 1), st.floats(1e-6, 0.5))
def test_agrees_with_statsmodels(n, share, alpha):
    """Its method "beta"; 1e-9 relative is how far SciPy's two inversions of the beta function are apart."""
    hits = round(share * n)
    low, high = clopper_pearson(hits, n, alpha=alpha, side="two-sided")
    wanted = proportion_confint(hits, n, alpha=alpha, method="beta")
    np.testing.assert_allclose((low, high), wanted, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("alpha", [0.3, 1e-3, 1e-30, 1e-300])
@pytest.mark.parametrize("n", [100, 10_000, 1_000_000])
def test_tiny_levels_and_many_tosses(n, alpha):
    """The bound's own tail in 300-bit interval arithmetic, turned by the density into an error of the bound.

    1e-12 relative to the bound and, near 1, rounding of the bound itself.
    """
    before, ctx.prec = ctx.prec, 300
    try:
        for h in (1, n // 10, n // 2, 99 * n // 100, n - 1):
            p = float(clopper_pearson(h, n, alpha=alpha))
            q = arb(p)
            log_density = (h - 1) * q.log() + (n - h) * (1 - q).log() + arb(n + 1).lgamma()
            density = (log_density - arb(h).lgamma() - arb(n - h + 1).lgamma()).exp()
            error = float(((q.beta_lower(arb(h), arb(n - h + 1), True) - arb(alpha)) / density).mid())
            assert abs(error) <= 1e-12 * min(p, 1 - p) + 3e-16, (h, error)
    finally:
        ctx.prec = before


@given(st.integers(1, 2000), st.data(), st.floats(1e-9, 0.4))
def test_properties(n, data, alpha):
    """Increasing in hits, decreasing in confidence, mirrored, and around the observed share."""
    hits = data.draw(st.integers(0, n))
    low = clopper_pearson(hits, n, alpha=alpha)
    high = clopper_pearson(hits, n, alpha=alpha, side="upper")
    assert 0 <= low <= hits / n <= high <= 1
    np.testing.assert_allclose(1 - clopper_pearson(n - hits, n, alpha=alpha), high, rtol=1e-11, atol=1e-14)
    if hits:
        assert clopper_pearson(hits - 1, n, alpha=alpha) < low
        assert clopper_pearson(hits, n, alpha=alpha / 2) < low


def test_broadcasts_and_gives_numbers_for_numbers():
    """Arrays of any shapes that go together; scalars give a scalar that can be formatted."""
    found = clopper_pearson(np.arange(4)[:, None], np.array([5, 10]), alpha=0.01)
    assert (found.shape, found.dtype) == ((4, 2), np.float64)
    assert found[3, 1] == clopper_pearson(3, 10, alpha=0.01)
    low, high = clopper_pearson(3, 10, alpha=np.array([0.1, 0.01]), side="two-sided")
    assert low.shape == high.shape == (2,)
    assert f"{clopper_pearson(3, 10, alpha=0.1):.2f}" == "0.12"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 0, 0.1), "n = 0"),
        ((3, 2.5, 0.1), "n = 2.5"),
        ((4, 3, 0.1), "4 hits in 3"),
        ((-1, 3, 0.1), "-1 hits"),
        ((0.5, 3, 0.1), "hits = 0.5"),
        ((np.nan, 3, 0.1), "hits = nan"),
        ((1, 3, 0.0), "alpha = 0"),
        ((1, 3, 1.0), "alpha = 1"),
        ((1, 3, np.nan), "alpha = nan"),
        (([1, 2], [1, 2, 3], 0.1), "do not go together"),
        (("many", 3, 0.1), "do not go together"),
    ],
)
def test_refuses(arguments, message):
    hits, n, alpha = arguments
    with pytest.raises(InvalidInput, match=message):
        clopper_pearson(hits, n, alpha=alpha)


def test_refuses_another_side():
    with pytest.raises(UnknownName, match="two-sided"):
        clopper_pearson(1, 2, alpha=0.1, side="both")  # type: ignore[call-overload]
