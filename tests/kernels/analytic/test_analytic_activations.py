"""Duals against integrals over two normal variables, and against each other."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.estimate import NotConverged
from lemmata.kernels.analytic import (
    NAMED,
    Erf,
    FullyConnected,
    Gaussian,
    Gelu,
    Hermite,
    HermiteExpansion,
    Monomial,
    Rbf,
    Rectifier,
    Sine,
    analytic_nngp,
    analytic_ntk,
)
from lemmata.kernels.analytic.pairs import Covariance, Deficit

SMOOTH = {
    "erf": (Erf(), torch.erf),
    "erf, scaled and shifted": (Erf(0.5, 0.7, 0.3), lambda u: 0.5 * torch.erf(0.7 * u) + 0.3),
    "gaussian": (Gaussian(), lambda u: torch.exp(-u.square())),
    "gelu": (Gelu(), torch.nn.functional.gelu),
    "sin": (Sine(), torch.sin),
    "cos": (Sine(phase=math.pi / 2), torch.cos),
    "sin(2u + 1)": (Sine(2.0, 1.0), lambda u: torch.sin(2 * u + 1)),
    "rbf": (Rbf(0.4), lambda u: math.sqrt(2) * torch.sin(math.sqrt(0.8) * u + math.pi / 4)),
    "u^3": (Monomial(3), lambda u: u**3),
    "u^4": (Monomial(4), lambda u: u**4),
    "He_3": (Hermite(3), lambda u: (u**3 - 3 * u) / math.sqrt(6)),
    "tanh": (HermiteExpansion(torch.tanh), torch.tanh),
    "silu": (HermiteExpansion(torch.nn.functional.silu), torch.nn.functional.silu),
}


def integrated(function, a, b, c):
    """E phi(u) phi(v) and E phi'(u) phi'(v) by the product rule of 120 x 120 Gauss-Hermite nodes."""
    x, weights = np.polynomial.hermite_e.hermegauss(120)
    x, weights = torch.from_numpy(x), torch.from_numpy(weights / weights.sum())
    u = (math.sqrt(a) * x[:, None]).expand(120, 120).clone().requires_grad_()
    v = (c / math.sqrt(a) * x[:, None] + math.sqrt(b - c * c / a) * x[None]).requires_grad_()
    heights = function(u), function(v)
    slopes = torch.autograd.grad(heights[0].sum(), u)[0], torch.autograd.grad(heights[1].sum(), v)[0]
    both = weights[:, None] * weights[None]
    return [float((both * p * q).sum().detach()) for p, q in (heights, slopes)]


def dual(activation, a, b, c):
    """K and K' of one pair: values and diagonals."""
    a, b, c = (torch.tensor([[value]], dtype=torch.float64) for value in (a, b, c))
    kernel = Covariance(a, b, c) if activation.form is Covariance else Deficit(a, b, 1 - c / (a * b).sqrt())
    return activation.dual(kernel)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize(("a", "b", "c"), [(1.0, 1.0, 0.3), (0.7, 1.3, -0.6), (0.2, 1.6, 0.5), (1.1, 0.9, 0.0)])
def test_dual_is_the_expectation(name, a, b, c):
    """To 1e-9: the product rule's own error for tanh, whose poles are nearest; the others agree to 1e-12."""
    activation, function = SMOOTH[name]
    for found, wanted in zip(dual(activation, a, b, c), integrated(function, a, b, c), strict=True):
        assert found.values.item() == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", SMOOTH)
def test_diagonals_are_those_of_equal_samples(name):
    """`left` and `right` hold K(a, a, a) and K(b, b, b); tanh's series is cut at 1e-12."""
    activation, a, b = SMOOTH[name][0], 0.8, 1.4
    found = dual(activation, a, b, 0.1)
    for side, variance in (("left", a), ("right", b)):
        for part, same in zip(found, dual(activation, variance, variance, variance), strict=True):
            assert getattr(part, side).item() == pytest.approx(same.values.item(), rel=1e-11)


@pytest.mark.parametrize("slope", [0.0, 0.1, -1.0, 1.0, 2.5, -0.4])
@pytest.mark.parametrize("cosine", [1.0, 0.999, 0.5, 0.0, -0.3, -0.97, -1.0])
def test_rectifiers_are_mixtures_of_the_arc_cosine_kernels(slope, cosine):
    """phi(u) = relu(u) - slope relu(-u), so K = (1 + slope^2) k(c) - 2 slope k(-c) with Cho and Saul's k: to 1e-15."""

    def arc(c):
        angle = math.acos(c)
        return (math.sin(angle) + (math.pi - angle) * c) / (2 * math.pi), (math.pi - angle) / (2 * math.pi)

    values, slopes = dual(Rectifier(slope), 2.0, 0.5, cosine)
    (k, k_slope), (m, m_slope) = arc(cosine), arc(-cosine)
    assert values.values.item() == pytest.approx((1 + slope**2) * k - 2 * slope * m, abs=4e-15 * (1 + slope**2))
    wanted = (1 + slope**2) * k_slope + 2 * slope * m_slope
    assert slopes.values.item() == pytest.approx(wanted, abs=4e-8 if abs(cosine) == 1 else 4e-15 * (1 + slope**2))


@settings(deadline=None)  # the first example compiles
@given(st.floats(-14, 0), st.floats(-0.9, 1.5))
def test_deficits_of_rectifiers_are_accurate_relatively(exponent, slope):
    """1 - K / K(x, x) for angles down to 1e-7, against 60 digits: 1e-14."""
    import mpmath

    deficit = 10.0**exponent
    with mpmath.workdps(60):
        angle = mpmath.acos(1 - mpmath.mpf(deficit))
        beta = (1 - mpmath.mpf(slope)) ** 2 / ((1 + mpmath.mpf(slope)) ** 2 + (1 - mpmath.mpf(slope)) ** 2)
        lost = 2 * beta / mpmath.pi * (mpmath.sin(angle) - angle * mpmath.cos(angle))
        wanted, wanted_slope = float(deficit - lost), float(2 * beta / mpmath.pi * angle)
    one = torch.ones(1, 1, dtype=torch.float64)
    values, slopes = Rectifier(slope).dual(Deficit(one, one, deficit * one))
    assert values.entries.item() == pytest.approx(wanted, rel=1e-14)
    assert slopes.entries.item() == pytest.approx(wanted_slope, rel=1e-14)


@pytest.mark.parametrize("name", ["erf", "sin", "gelu"])
def test_a_callable_gives_what_the_closed_form_gives(name):
    """Through four layers; the remainder at variances up to 4 is below 1e-7."""
    x = torch.randn(12, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for function in (analytic_ntk, analytic_nngp):
        closed, expanded = (
            function(x, network=FullyConnected(4, law, weight_variance=1.2, bias_variance=0.1)).values
            for law in (name, SMOOTH[name][1])
        )
        assert torch.allclose(expanded, closed, rtol=1e-7, atol=1e-7 * float(closed.max()))


def test_remainder_is_what_is_missing():
    """Of tanh at variance 2: 12 terms leave as much of E tanh^2 as they are said to, by quadrature."""
    short = HermiteExpansion(torch.tanh, terms=12, tolerance=1.0)
    values, slopes = dual(short, 2.0, 2.0, 2.0 - 1e-12)
    said = short.remainder(torch.tensor([2.0], dtype=torch.float64)).squeeze(1)
    for found, share in zip((values, slopes), said, strict=True):
        assert 1 - found.values.item() / found.left.item() == pytest.approx(share.item(), rel=1e-6)
        assert 1e-4 < share.item() < 0.5


def test_kinks_and_large_variances_are_refused_with_their_remainder():
    for activation, variance in ((torch.relu, 1.0), (torch.tanh, 50.0)):
        with pytest.raises(NotConverged, match="Hermite expansion") as caught:
            dual(HermiteExpansion(activation), variance, variance, 0.1)
        assert caught.value.residual > 1e-5


@pytest.mark.parametrize("name", NAMED)
def test_every_name_gives_a_kernel(name):
    """Symmetric, positive semidefinite, with the diagonal that a sample alone has."""
    x = torch.randn(8, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    values = analytic_ntk(x, network=FullyConnected(3, name, weight_variance=1.3, bias_variance=0.2)).values
    assert float(torch.linalg.eigvalsh(values)[0]) > -1e-13 * float(values.trace())
    alone = analytic_ntk(x[3:4], network=FullyConnected(3, name, weight_variance=1.3, bias_variance=0.2)).values
    assert alone.item() == pytest.approx(values[3, 3].item(), rel=1e-9)
