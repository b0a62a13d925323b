"""Constant steps: textbook numbers, the semidefinite program, and the optimal one."""

import numpy as np
import pytest

from lemmata.descent import constant, heavy_ball, worst_case
from lemmata.errors import InvalidInput


@pytest.mark.parametrize("n", [1, 2, 10, 1000])
def test_step_one_has_the_tight_textbook_bound(n):
    assert constant().guarantee.bound(n) == pytest.approx(1 / (4 * n + 2), rel=1e-15)


@pytest.mark.parametrize(("h", "mu"), [(0.4, 0.0), (1.0, 0.0), (1.6, 0.0), (1.95, 0.0), (1.0, 0.1), (2 / 1.3, 0.3)])
@pytest.mark.parametrize("n", [1, 3, 6])
def test_the_semidefinite_program_agrees(h, mu, n):
    """Kim's theorem against performance estimation, to its solver's 1e-6."""
    found = worst_case(constant(n, h, mu=mu), mu=mu).value
    assert found == pytest.approx(constant(n, h, mu=mu).guarantee.bound(n), rel=1e-6)


def test_classical_step_contracts_by_its_factor():
    """With h = 2/(1 + mu): the quadratic's ((1 - mu)/(1 + mu))^(2n)/2 of the textbook is an upper end, and attained."""
    mu = 0.2
    for n in (1, 4, 20):
        wanted = ((1 - mu) / (1 + mu)) ** (2 * n) / 2
        assert constant(h=2 / (1 + mu), mu=mu).guarantee.bound(n) == pytest.approx(wanted, rel=1e-13)


@pytest.mark.parametrize(("n", "mu"), [(1, 0.0), (2, 0.0), (10, 0.0), (500, 0.0), (1, 0.1), (7, 0.1), (400, 0.01)])
def test_optimal_step_is_the_least_of_a_grid(n, mu):
    """No step of 20,001 in (0, 2) has a smaller bound; both terms are equal at it (Drori and Teboulle's equation)."""
    best = constant(n, "optimal", mu=mu)
    least = min(constant(n, float(h), mu=mu).guarantee.bound(n) for h in np.linspace(1e-3, 1.999, 2001))
    assert best.guarantee.bound(n) <= least * (1 + 1e-12)
    if mu == 0:
        h = best.steps[0]
        assert (1 - h) ** (2 * n) == pytest.approx(1 / (2 * n * h + 1), rel=1e-10)


def test_beyond_two_there_is_no_guarantee():
    assert constant(3, 2.0).guarantee is None
    assert constant(3, 1.999).guarantee.bound(10**6) == pytest.approx(0.5 * 0.999 ** (2 * 10**6), abs=1e-6)


def test_a_step_beyond_one_over_mu_is_the_quadratics():
    assert constant(h=1.8, mu=0.9).guarantee.bound(3) == pytest.approx(0.8**6 / 2)
    assert constant(h=1.5, mu=0.5).guarantee.bound(3) == pytest.approx(max(0.5**6, 0.5 / (0.5 - 1 + 0.25**-6)) / 2)


def test_impossible_numbers_are_refused():
    for arguments, told in (((0,), "at least 1"), ((3, -1.0), "positive"), ((None, "optimal"), "give n")):
        with pytest.raises(InvalidInput, match=told):
            constant(*arguments)
    for mu in (-0.1, 1.0):
        with pytest.raises(InvalidInput, match="mu"):
            constant(3, mu=mu)


def test_a_word_is_no_number():
    with pytest.raises(InvalidInput, match=r"h = 'best'.*'optimal'"):
        constant(5, "best")
    with pytest.raises(InvalidInput, match="momentum = 'x'"):
        heavy_ball("x")
