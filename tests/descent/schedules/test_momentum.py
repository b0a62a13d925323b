"""Guarantees of the momentum methods against the exact worst case by performance estimation."""

import pytest

from lemmata.descent import heavy_ball, nesterov, ogm, worst_case


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_optimised_gradient_is_exact(n):
    """To the solver's 1e-6."""
    assert worst_case(ogm().matrix(n)).value == pytest.approx(ogm().guarantee.bound(n), rel=1e-6)


@pytest.mark.parametrize("n", [1, 2, 4, 8])
@pytest.mark.parametrize(
    "make",
    [
        lambda: nesterov(),  # noqa: PLW0108
        lambda: heavy_ball(0.5),
        lambda: heavy_ball(0.9, 0.05),
        lambda: heavy_ball("increasing"),
        lambda: heavy_ball("increasing", 0.5),
    ],
)
def test_guarantees_are_no_less_than_the_worst_case(make, n):
    """Above the exact worst case (1e-7 for the solver), and within a factor of three: of the right order."""
    method = make()
    exact = worst_case(method.matrix(n)).value
    assert exact <= method.guarantee.bound(n) * (1 + 1e-7)
    assert method.guarantee.bound(n) <= 3 * exact


@pytest.mark.parametrize("mu", [0.01, 0.3])
@pytest.mark.parametrize("n", [1, 3, 6])
def test_nesterov_for_strong_convexity(mu, n):
    method = nesterov(mu=mu)
    assert worst_case(method.matrix(n), mu=mu).value <= method.guarantee.bound(n) * (1 + 1e-7)


def test_nesterov_bound_is_that_of_its_theta():
    """1/(2 theta_{n-1}^2), theta_0 = 1, theta_1 = (1 + sqrt 5)/2, ...; at most 2/(n + 1)^2; 1/2 before any step."""
    bound, theta = nesterov().guarantee.bound, 1.0
    assert bound(0) == 0.5
    for n in range(1, 50):
        assert bound(n) == pytest.approx(1 / (2 * theta**2), rel=1e-13)
        assert bound(n) <= 2 / (n + 1) ** 2
        theta = (1 + (1 + 4 * theta**2) ** 0.5) / 2


def test_optimised_gradient_is_twice_as_good_as_proven_of_nesterov():
    assert nesterov().guarantee.bound(100) / ogm().guarantee.bound(100) == pytest.approx(2, rel=0.02)


def test_no_method_is_better_than_the_optimised_gradient():
    """Drori (2017): 1/(2 theta_n^2) is the minimax value; all others here have larger worst cases."""
    for method in (nesterov(), heavy_ball(0.5), heavy_ball("increasing")):
        for n in (1, 3, 6):
            assert worst_case(method.matrix(n)).value >= ogm().guarantee.bound(n) * (1 - 1e-7)
