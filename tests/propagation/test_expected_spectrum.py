"""Spectra of products of layers, against closed forms, other formulas, and random networks."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import comb
from tests.propagation.random_networks import network

from lemmata.errors import InvalidInput
from lemmata.propagation import (
    Nonlinearity,
    edge_of_chaos,
    expected_spectrum,
    input_output_jacobian,
)
from lemmata.propagation.activations import NAMED
from lemmata.propagation.gaussian import gaussian_rule


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_gaussian_products_are_fuss_catalan(depth):
    found = expected_spectrum(depth, "linear", 1.0, count=6)
    wanted = [comb((depth + 1) * k, k, exact=True) / (depth * k + 1) for k in range(1, 7)]
    assert found.moments.tolist() == pytest.approx(wanted, rel=1e-10)
    assert found.largest == pytest.approx((depth + 1) ** (depth + 1) / depth**depth, rel=1e-8)


def test_one_gaussian_layer_has_the_density_of_marchenko_and_pastur():
    found, s = expected_spectrum(1, "linear", 2.0), np.linspace(0.05, 7.9, 40)
    wanted = np.sqrt((8 - s) / s) / (4 * math.pi)
    assert found.density(s) == pytest.approx(wanted, rel=1e-5)


def test_orthogonal_linear_layers_are_isometries():
    found = expected_spectrum(7, "linear", 1.3, weights="orthogonal")
    assert found.moments.tolist() == pytest.approx([1.3 ** (7 * k) for k in range(1, 5)], rel=1e-10)
    assert (found.variance, found.unharmed) == (pytest.approx(0.0, abs=1e-7), 1.0)
    assert found.largest == pytest.approx(1.3**7, rel=1e-6)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("name", ["tanh", "hard-tanh", "relu"])
def test_the_variance_is_that_of_pennington(name, weights):
    """M_2 / m_1^2 - 1 = L (mu_2 / mu_1^2 - 1 - s), with mu of a plain quadrature, s = -1 or 0."""
    z = np.linspace(-9, 9, 200_000)  # not at the jump of ReLU
    slope = NAMED[name].slope(torch.from_numpy(math.sqrt(0.4) * z)).numpy() ** 2
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    mu = [float((slope**k) @ density) for k in (1, 2)]
    found = expected_spectrum(6, name, 1.2, weights=weights, q=0.4)
    spread = 6 * (mu[1] / mu[0] ** 2 - 1 + (weights == "gaussian"))
    assert found.mean_square == pytest.approx((1.2 * mu[0]) ** 6, rel=1e-4)  # a sum across the kinks
    assert found.variance / found.mean_square**2 == pytest.approx(spread, rel=1e-4)


@pytest.mark.parametrize("depth", [1, 3])
def test_relu_ends_where_its_polynomial_has_a_double_root(depth):
    """Orthogonal ReLU: lambda(y) = sigma^(2L) (p + y)^L / (y (1 + y)^(L - 1)) is least at the upper end (p = 1/2)."""
    y = np.geomspace(1e-6, 1e6, 2_000_001)
    level = 2.0**depth * (0.5 + y) ** depth / (y * (1 + y) ** (depth - 1))
    found = expected_spectrum(depth, "relu", 2.0, weights="orthogonal")
    assert found.largest == pytest.approx(level.min(), rel=1e-6)


@pytest.mark.parametrize("depth", [3, 256, 1024])
def test_deep_relu_networks_have_whole_moments(depth):
    """He's initialisation: 1 / lambda = y / ((1 + y) (1 + 2 y)^L), inverted by Lagrange's formula in whole numbers."""
    wanted = [sum(comb(k, k - 1 - j, exact=True) * comb(depth * k, j, exact=True) * 2**j for j in range(k)) / k
              for k in range(1, 5)]  # fmt: skip
    found = expected_spectrum(depth, "relu", 2.0)
    assert found.moments.tolist() == pytest.approx(wanted, rel=1e-10)
    y = np.geomspace(1e-6, 1e3, 1_000_001)
    assert math.log(found.largest) == pytest.approx((np.log1p(1 / y) + depth * np.log1p(2 * y)).min(), abs=1e-8)


def test_weights_and_slopes_may_be_beyond_floats_where_their_product_is_not():
    """Sigma_w^2 = 20 and sigma, and 1 and sqrt(20) sigma, are the same network: 20^256 is beyond, 0.9^256 is not."""
    found = expected_spectrum(64, "sigmoid", 20.0, q=1.0)
    other = expected_spectrum(64, lambda u: math.sqrt(20) * torch.sigmoid(u), 1.0, q=1.0)
    assert np.isfinite(found.moments).all()
    assert found.moments.tolist() == pytest.approx(other.moments.tolist(), rel=1e-9)
    assert found.largest == pytest.approx(other.largest, rel=1e-9)
    assert expected_spectrum(1024, "relu", 1.0).moments[1] == 0.0  # 2^-2048 times 2049
    with pytest.raises(InvalidInput, match="beyond float64"):
        expected_spectrum(1024, "relu", 5.0).density(np.ones(1))


@pytest.mark.parametrize(("depth", "weights"), [(1, "gaussian"), (2, "orthogonal")])
def test_densities_show_nothing_of_the_masses(depth, weights):
    """Twice the nodes give the same density."""
    found = expected_spectrum(depth, "tanh", 1.3, weights=weights, q=1.0)
    s = found.largest * np.concatenate([[1e-4, 1e-3], np.linspace(0.01, 0.999, 30)])
    u, shares = gaussian_rule(1.0, halvings=3)
    finer = replace(found, slopes=NAMED["tanh"].slope(u).square().numpy(), shares=shares.numpy())
    assert finer.density(s) == pytest.approx(found.density(s), rel=1e-8)


def test_one_orthogonal_layer_has_its_slopes_for_singular_values():
    """Masses have no density to give, those at 0 and at the upper end excepted."""
    smooth = expected_spectrum(1, "tanh", 1.7, q=1.0, weights="orthogonal")
    assert smooth.largest == pytest.approx(1.7, rel=1e-6)
    assert smooth.unharmed == 0.0
    for measure in (smooth.plot, lambda: smooth.density(np.array([0.5]))):
        with pytest.raises(InvalidInput, match="one orthogonal layer"):
            measure()
    cut = expected_spectrum(1, "relu", 2.0, weights="orthogonal")
    assert cut.density(np.array([0.5, 1.0])).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert cut.unharmed == pytest.approx(0.5, rel=1e-12)


def test_directions_that_no_layer_bends_are_unharmed():
    """Slope 1 above -1, and less below: of two orthogonal layers 1 - 2 P(u < -1) of the directions, and a density."""
    bent = Nonlinearity("bent", lambda u: torch.where(u > -1, u, (u + 1).clamp(max=0).exp() - 2), kinks=(-1.0,))
    found = expected_spectrum(2, bent, 1.0, q=1.0, weights="orthogonal")
    assert found.unharmed == pytest.approx(math.erf(1 / math.sqrt(2)), rel=1e-9)
    s = np.concatenate([np.geomspace(1e-4, 0.5, 150), 1 - np.geomspace(0.5, 1e-3, 150)[1:]])  # fine at both ends
    rho = found.density(s)
    for k in (1, 2):
        assert np.trapezoid(rho * s**k, s) + found.unharmed == pytest.approx(found.moments[k - 1], rel=5e-4)


@pytest.mark.parametrize(("name", "weights"), [("tanh", "gaussian"), ("hard-tanh", "orthogonal"), ("relu", "gaussian")])
def test_densities_have_the_moments(name, weights):
    """Integrals of lambda rho and lambda^2 rho, with what lies at the upper end: another route than the series."""
    found = expected_spectrum(4, name, 1.5, 0.1, weights=weights, q=0.5)
    t = np.linspace(0, 1, 401)[1:-1] ** 3  # fine near 0
    s = found.largest * t
    rho = found.density(s)
    for k in (1, 2):
        total = np.trapezoid(rho * s**k, s) + found.unharmed * found.largest**k
        assert total == pytest.approx(found.moments[k - 1], rel=2e-3)


@pytest.mark.parametrize(("name", "orthogonal"), [("tanh", False), ("tanh", True), ("hard-tanh", True)])
def test_random_networks_have_the_spectrum(name, orthogonal):
    """Width 200, 5 layers at the edge, 6 draws: mean square and its square within 5 standard errors and 2 L / n."""
    n, depth, bias = 200, 5, 0.1
    sw = edge_of_chaos(name, bias)
    law = expected_spectrum(depth, name, sw, bias, weights="orthogonal" if orthogonal else "gaussian")
    assert law.mean_square == pytest.approx(1.0, rel=1e-8)
    size = math.sqrt((law.q - bias) / sw)  # inputs at the fixed point
    found = []
    for seed in range(6):
        x = torch.randn(1, n, generator=torch.Generator().manual_seed(seed + 50), dtype=torch.float64)
        model = network([n] * (depth + 1), sw, name, seed, bias_variance=bias, orthogonal=orthogonal, last=True)
        found.append(input_output_jacobian(model, size * x / x.square().mean().sqrt()).moments(2)[0])
    each = torch.stack(found)
    wanted = torch.from_numpy(law.moments[:2])
    allowed = 5 * each.std(0) / math.sqrt(6) + wanted * 2 * depth / n
    assert bool(((each.mean(0) - wanted).abs() < allowed).all())


def test_isometry_wants_orthogonal_weights_and_small_variances():
    """Tanh at the edge: the variance of the squared singular values falls with q only for orthogonal weights."""
    spreads = {}
    for bias in (2.01e-5, 0.05):
        sw = edge_of_chaos("tanh", bias)
        for weights in ("gaussian", "orthogonal"):
            spreads[bias, weights] = expected_spectrum(20, "tanh", sw, bias, weights=weights).variance
    assert spreads[2.01e-5, "orthogonal"] < 0.2 * spreads[0.05, "orthogonal"] < 4
    assert spreads[2.01e-5, "gaussian"] > 20
