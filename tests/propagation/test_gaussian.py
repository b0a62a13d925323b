"""Means over normal variables against closed forms and against scipy's adaptive quadrature."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.propagation import Nonlinearity, edge_of_chaos, expected_variances, mean_field, mean_singular_value
from lemmata.propagation.activations import NAMED, nonlinearity
from lemmata.propagation.duals import covariance, diagonal, slope_covariance
from lemmata.propagation.gaussian import gaussian_mean, gaussian_rule, pair_mean

VARIANCES = (1e-6, 0.3, 1.0, 40.0, 1e4)


def by_scipy(g, q, kinks):
    """E g(u), u ~ N(0, q), in one dimension, cut at kinks and at the activation's own scale."""
    root = math.sqrt(q)
    cuts = sorted({0.0, *(k / root for k in kinks), *(s / root for s in (-8, -2, 2, 8)), -3.0, 3.0})
    ends = [-12.0, *(c for c in cuts if -12 < c < 12), 12.0]
    density = 1 / math.sqrt(2 * math.pi)
    return sum(
        quad(lambda z: g(root * z) * math.exp(-z * z / 2) * density, a, b, epsabs=1e-13 * q, epsrel=1e-12, limit=200)[0]
        for a, b in pairwise(ends)
    )


def scalar(phi):
    return lambda u: float(phi(torch.tensor([u], dtype=torch.float64)))


@pytest.mark.parametrize("name", ["tanh", "softsign", "hard-tanh", "gelu"])
@pytest.mark.parametrize("q", [0.3, 40.0])
def test_moments_on_the_diagonal_are_those_of_scipy(name, q):
    phi = nonlinearity(name)
    found = diagonal(phi, torch.tensor([q]))
    value, slope = scalar(phi.function), scalar(phi.slope)
    q = float(torch.tensor(q))  # as float32 holds it
    assert float(found.square) == pytest.approx(by_scipy(lambda u: value(u) ** 2, q, phi.kinks), rel=1e-10)
    assert float(found.square_slope) == pytest.approx(by_scipy(lambda u: slope(u) ** 2, q, phi.kinks), rel=1e-10)
    assert found.error < 1e-9


@pytest.mark.parametrize("q", VARIANCES)
def test_erf_and_relu_have_their_closed_forms(q):
    at = torch.tensor([q], dtype=torch.float64)
    erf, relu = diagonal(nonlinearity("erf"), at), diagonal(nonlinearity("relu"), at)
    assert float(erf.square) == pytest.approx(2 / math.pi * math.asin(2 * q / (1 + 2 * q)), rel=1e-12)
    assert float(erf.square_slope) == pytest.approx(4 / math.pi / math.sqrt(1 + 4 * q), rel=1e-12)
    assert [float(relu.square), float(relu.square_slope), float(relu.mean)] == pytest.approx(
        [q / 2, 0.5, math.sqrt(q / (2 * math.pi))], rel=1e-12
    )


@pytest.mark.parametrize("name", sorted(NAMED))
def test_slopes_are_derivatives_and_the_steepest_is_known(name):
    phi = NAMED[name]
    u = torch.linspace(-6, 6, 4001, dtype=torch.float64) + 1e-4
    assert torch.allclose(phi.slope(u), Nonlinearity("by torch", phi.function).slope(u), atol=1e-12)
    assert float(phi.slope(u).abs().max()) == pytest.approx(phi.steepest, rel=3e-3)  # a grid of steps 3e-3


@pytest.mark.parametrize("name", ["tanh", "gelu", "hard-tanh", "sigmoid"])
def test_the_derivative_of_the_second_moment_is_its_difference_quotient(name):
    phi, h = nonlinearity(name), 1e-5
    found = diagonal(phi, torch.tensor([0.7 - h, 0.7, 0.7 + h], dtype=torch.float64))
    assert float(found.derivative[1]) == pytest.approx(float(found.square[2] - found.square[0]) / (2 * h), rel=1e-8)


@settings(max_examples=12, deadline=None)
@given(q=st.floats(1e-3, 50), c=st.floats(-0.9999, 0.9999))
def test_pairs_by_quadrature_have_the_closed_forms(q, c):
    """Of erf (smooth) and ReLU (kinked), whose duals do not use the quadrature."""
    for name in ("erf", "relu"):
        phi = nonlinearity(name)
        found, error = pair_mean(phi, q, c, phi.kinks)
        assert found == pytest.approx(covariance(phi, q, c), rel=1e-9, abs=1e-11 * q)
        assert error < 1e-9 * q
    slope, _ = pair_mean(phi.slope, q, c, phi.kinks)  # a jump at 0
    assert slope == pytest.approx((math.pi - math.acos(c)) / (2 * math.pi), abs=1e-9)
    assert slope_covariance(phi, q, c) == pytest.approx(slope, abs=1e-9)


def test_pairs_near_coincidence_keep_the_distance():
    """E (phi(u) - phi(v))^2 / 2 = E phi^2 - K, about q (1 - c) E phi'^2, for 1 - c down to 1e-9."""
    phi = nonlinearity("hard-tanh")
    at = diagonal(phi, torch.tensor([2.0]))
    for away in (1e-5, 1e-7, 1e-9):
        lost = float(at.square) - covariance(phi, 2.0, 1 - away)
        assert lost == pytest.approx(2 * away * float(at.square_slope), rel=3 * math.sqrt(away) + 1e-15 / away)


def test_bivariate_means_are_those_of_a_tensor_rule():
    """Tanh, by a product of 1-D rules in rotated coordinates: other nodes, another order."""
    phi, q, c = nonlinearity("tanh"), 1.7, 0.6
    z, w = gaussian_rule(1.0, halvings=1)
    root = math.sqrt(q)
    total = w @ (phi(root * (c * z[:, None] + math.sqrt(1 - c * c) * z)) @ w * phi(root * z))
    s, t = math.sqrt((1 + c) / 2), math.sqrt((1 - c) / 2)
    both = phi(root * (s * z[:, None] + t * z)) * phi(root * (s * z[:, None] - t * z))
    assert float(total) == pytest.approx(covariance(phi, q, c), rel=1e-12)
    assert float(w @ both @ w) == pytest.approx(covariance(phi, q, c), rel=1e-12)


def test_a_kink_that_is_not_named_is_noticed():
    """A jump off 0: refused without its name, exact with it."""

    def step(u):
        return (u > 0.37).to(u.dtype) + 0 * u

    with pytest.raises(NotConverged, match="kinks="):
        gaussian_mean(step, torch.tensor([1.0]))
    mean, _ = gaussian_mean(step, torch.tensor([1.0]), (0.37,))
    assert float(mean) == pytest.approx(0.5 * math.erfc(0.37 / math.sqrt(2)), rel=1e-12)


def test_growth_that_reaches_beyond_ten_standard_deviations_is_noticed():
    """E exp(2u) = exp(2q), of which 2 % lie beyond at q = 16."""
    at = torch.tensor([0.01, 1.0], dtype=torch.float64)
    mean, _ = gaussian_mean(lambda u: (2 * u).exp(), at)
    assert torch.allclose(mean, (2 * at).exp(), rtol=1e-12)
    with pytest.raises(NotConverged, match=r"variance up to 16 .* take smaller variances"):
        gaussian_mean(lambda u: (2 * u).exp(), torch.tensor([1.0, 16.0]))
    with pytest.raises(NotConverged, match="grows faster"):
        mean_field(torch.exp, 3.0)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_the_steepest_slope_of_a_callable_is_that_of_its_name(name):
    """Softplus is a factor 1 + exp(-10) off at the end of the grid."""
    assert nonlinearity(NAMED[name].function).steepest == pytest.approx(NAMED[name].steepest, rel=1e-4)


def test_what_is_flat_has_no_steepest_slope():
    assert nonlinearity(torch.sign).steepest == 1.0


def test_activations_that_cannot_be_used_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'tanh'"):
        mean_field("tanhh", 1.0)
    with pytest.raises(InvalidInput, match="not elementwise"):
        mean_field(lambda u: u.softmax(-1), 1.0)
    with pytest.raises(InvalidInput, match="not differentiable"):
        mean_field(lambda u: torch.tanh(u.detach()), 1.0)
    with pytest.raises(InvalidInput, match="fails on a float64 tensor"):
        mean_field(lambda u: u @ u, 1.0)
    with pytest.raises(InvalidInput, match="not real and finite"):
        mean_field(torch.log, 1.0)
    with pytest.raises(InvalidInput, match="not finite between"):
        gaussian_mean(torch.exp, torch.tensor([1e6]))
    with pytest.raises(InvalidInput, match="give a name"):
        mean_field(3, 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "broken",
    [lambda u: None, lambda u: u.sum(), lambda u: 1.0, lambda u: u + 0j],
    ids=["none", "one number", "no tensor", "complex"],
)
@pytest.mark.parametrize("what", ["function", "derivative"])
def test_nonlinearities_that_give_no_number_for_each_entry(broken, what):
    phi = Nonlinearity("odd", **{"function": torch.tanh, what: broken})
    asking = r"the activation odd is .* for entries .*; give a function that maps every"
    for measure in (
        lambda: mean_field(phi, 1.5, 0.1),
        lambda: mean_singular_value(4, 4, 1.0, activation=phi),
        lambda: expected_variances([4, 5, 6], 1.0, phi),
        lambda: edge_of_chaos(phi, 0.1),
    ):
        with pytest.raises(InvalidInput, match=asking):
            measure()


def test_a_slope_that_is_not_finite():
    phi = Nonlinearity("odd", torch.tanh, lambda u: u * math.nan)
    with pytest.raises(InvalidInput, match="the slope of the activation odd is not finite"):
        mean_singular_value(4, 4, 1.0, activation=phi)


def test_nonlinearities_that_are_none_are_refused_when_they_are_made():
    with pytest.raises(InvalidInput, match="name of a Nonlinearity = 3"):
        Nonlinearity(3, torch.tanh)  # type: ignore[arg-type]
    with pytest.raises(UnknownName, match="closed form"):
        Nonlinearity("tanh", torch.tanh, closed_form=["relu"])  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="give a function"):
        Nonlinearity("three", 3)  # type: ignore[arg-type]
    for kinks in (1.0, ("one",), (math.nan,)):
        with pytest.raises(InvalidInput, match="kink"):
            Nonlinearity("tanh", torch.tanh, kinks=kinks)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="steepest"):
        Nonlinearity("tanh", torch.tanh, steepest=0.0)
    with pytest.raises(UnknownName, match="closed form"):
        Nonlinearity("tanh", torch.tanh, closed_form="tahn")
