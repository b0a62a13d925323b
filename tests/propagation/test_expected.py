"""What theory expects, against closed forms, other formulas, and random networks within their Monte-Carlo error."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from tests.propagation.random_networks import network
from torch import nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.propagation import (
    expected_spectrum,
    expected_variances,
    layer_jacobians,
    mean_field,
    mean_singular_value,
    signals,
)
from lemmata.propagation.activations import NAMED

# ---- mean singular values ------------------------------------------------------------------------------------------


def test_square_matrices_have_the_quarter_circle_mean():
    """And with it Glorot's two initialisations: 0.49 for the old one, 0.85 for the normalised one, without phi'."""
    for n, variance in ((10, 1.0), (1000, 1 / 3)):
        assert mean_singular_value(n, n, variance) == pytest.approx(8 / (3 * math.pi) * math.sqrt(variance), rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 400), columns=st.integers(1, 400))
def test_rectangular_matrices_have_the_mean_of_marchenko_and_pastur(rows, columns):
    """By the density of the squared singular values itself, in another variable."""
    y = min(rows, columns) / max(rows, columns)
    a, b = (1 - math.sqrt(y)) ** 2, (1 + math.sqrt(y)) ** 2

    def integrand(t):  # s = a + (b - a) sin^2 t: the roots at both ends go
        s = a + (b - a) * math.sin(t) ** 2
        return 2 * ((b - a) * math.sin(t) * math.cos(t)) ** 2 / (2 * math.pi * y * math.sqrt(max(s, 1e-300)))

    wanted = quad(integrand, 0, math.pi / 2, epsabs=1e-12)[0] * math.sqrt(max(rows, columns) / columns)
    assert mean_singular_value(columns, rows, 1.0) == pytest.approx(wanted, rel=1e-8)


@pytest.mark.parametrize(("rows", "columns"), [(300, 300), (200, 300), (300, 100)])
def test_relu_leaves_half_of_the_rows(rows, columns):
    """Diag(phi') W is W with half of its rows, so that the rest is a matrix of Marchenko and Pastur."""
    small = min(rows // 2, columns) / min(rows, columns)
    wanted = small * mean_singular_value(columns, rows // 2, 1.7)
    assert mean_singular_value(columns, rows, 1.7, activation="relu") == pytest.approx(wanted, rel=1e-9)


def test_constant_slopes_multiply_whatever_the_way():
    """Phi = 3 u as a callable goes by Silverstein's equation, and must give three times the closed form."""
    for rows, columns in ((50, 50), (20, 50), (50, 20)):
        triple = mean_singular_value(columns, rows, 0.8, activation=lambda u: 3 * u, q=2.0)
        assert triple == pytest.approx(3 * mean_singular_value(columns, rows, 0.8), rel=1e-10)


def test_a_name_of_the_callers_is_not_taken_for_that_of_an_activation():
    def linear(u):
        return 3 * u

    def relu(u):
        return torch.tanh(u)

    assert mean_singular_value(100, 100, 1.0, activation=linear) == pytest.approx(8 / math.pi, rel=1e-10)
    assert expected_spectrum(2, relu, 2.0, 0.1).q == pytest.approx(mean_field("tanh", 2.0, 0.1).q, rel=1e-12)


@pytest.mark.parametrize("name", ["tanh", "softsign"])
def test_random_layers_have_the_mean_singular_value(name):
    """Width 300, 8 draws: within 5 standard errors, and 1 / n for the width."""
    found = []
    for seed in range(8):
        draw = torch.Generator().manual_seed(seed)
        W = torch.randn(300, 300, generator=draw, dtype=torch.float64) * math.sqrt(1.5 / 300)
        d = NAMED[name].slope(math.sqrt(0.9) * torch.randn(300, generator=draw, dtype=torch.float64))
        found.append(float(torch.linalg.svdvals(d[:, None] * W).mean()))
    expected = mean_singular_value(300, 300, 1.5, activation=name, q=0.9)
    allowed = 5 * np.std(found, ddof=1) / math.sqrt(8) + expected / 300
    assert abs(np.mean(found) - expected) < allowed


def test_the_product_with_the_mean_slope_is_a_lower_bound():
    """E of singular values of D W is at least that of the mean of D: they are convex in D."""
    u = torch.randn(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for name in ("tanh", "sigmoid", "hard-tanh"):
        slope = float(NAMED[name].slope(u).mean())
        exact = mean_singular_value(100, 100, 1.0, activation=name, q=1.0)
        assert 8 / (3 * math.pi) * slope * 0.999 < exact < 8 / (3 * math.pi) * slope * 1.2


# ---- variances -----------------------------------------------------------------------------------------------------


def test_linear_networks_have_glorots_products():
    """Var z = Var x prod n Var W forwards, n' Var W backwards, for widths that differ."""
    widths, variances = [30, 50, 20, 10], [0.5, 2.0, 1.5]
    found = expected_variances(widths, variances, "linear", input_square=3.0, output_gradient=2.0)
    weight = [v / n for v, n in zip(variances, widths[:-1], strict=True)]
    forward = 3.0 * np.cumprod(variances)
    assert found.preactivation.tolist() == pytest.approx(forward)
    assert found.activation.tolist() == pytest.approx(forward)
    assert found.gradient.tolist() == pytest.approx([2.0 * 10 * weight[2] * 20 * weight[1], 2.0 * 10 * weight[2], 2.0])
    inputs = torch.tensor([3.0, forward[0], forward[1]], dtype=torch.float64)
    assert torch.allclose(found.weight_gradient, found.gradient * inputs)


def test_biases_add_their_variance_at_every_layer():
    """Linear: 0.5 x 3 + 0.1 and 2 x 1.6 + 0.1; ReLU passes half: 2 x 0.8 + 0.1. Gradients know no bias."""
    for name, second, passed in (("linear", 3.3, 1.0), ("relu", 1.7, 0.5)):
        found = expected_variances([30, 50, 20], [0.5, 2.0], name, bias_variance=0.1, input_square=3.0)
        assert found.preactivation.tolist() == pytest.approx([1.6, second], rel=1e-12)
        assert found.activation_square.tolist() == pytest.approx([1.6 * passed, second], rel=1e-12)
        assert found.gradient.tolist() == pytest.approx([2.0 * 20 / 50 * passed, 1.0], rel=1e-12)
        assert found.weight_gradient.tolist() == pytest.approx([0.8 * passed * 3.0, 1.6 * passed], rel=1e-12)


def test_saturation_is_by_the_steepest_slope_of_a_callable_too():
    """Sigmoid, q = 4: phi' < 0.1 / 4 where |u| > 3.636, by x / (1 + x)^2 = 1/40 at x = exp(-u)."""
    beyond = -math.log(19 - math.sqrt(360))
    share = math.erfc(beyond / math.sqrt(2 * 4.0))
    for sigmoid in ("sigmoid", torch.sigmoid):
        found = expected_variances([100, 100, 10], 4.0, sigmoid)
        assert float(found.saturated[0]) == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize(("name", "variance", "bias"), [("tanh", 1.0, 0.0), ("relu", 2.0, 0.0), ("sigmoid", 4.0, 0.1)])
def test_wide_networks_have_the_variances(name, variance, bias):
    """Width 200, 10 draws, one sample: means over draws within 5 standard errors and depth / width of the theory."""
    widths, draws = [200] * 5 + [100], 10
    draw = torch.Generator().manual_seed(5)
    rows = {"preactivation": [], "activation": [], "gradient": [], "weight_gradient": [], "saturated": []}
    for seed in range(draws):
        x = torch.randn(1, 200, generator=draw, dtype=torch.float64)
        x = x / x.square().mean().sqrt()
        y = torch.randn(1, 100, generator=draw, dtype=torch.float64)
        model = network(widths, variance, name, seed, bias_variance=bias)
        found = signals(model, (x, y), loss=lambda z, g: (z * g).sum(1).mean())  # its gradient is g
        rows["preactivation"].append(found.preactivation.square)
        rows["activation"].append(found.activation.square)
        rows["gradient"].append(found.gradient.square)
        rows["weight_gradient"].append(found.weight_gradient.square)
        rows["saturated"].append(found.saturated.nan_to_num())
    theory = expected_variances(widths, variance, name, bias_variance=bias)
    wanted = {
        "preactivation": theory.preactivation, "activation": theory.activation_square, "gradient": theory.gradient,
        "weight_gradient": theory.weight_gradient, "saturated": theory.saturated.nan_to_num(),
    }  # fmt: skip
    for what, parts in rows.items():
        each = torch.stack(parts)
        allowed = 5 * each.std(0) / math.sqrt(draws) + wanted[what] * len(widths) / 200 + 2e-3
        assert bool(((each.mean(0) - wanted[what]).abs() < allowed).all()), what


def test_circular_convolutions_have_the_variances_of_their_channels():
    """3 x 3 kernels, 8 draws: signals and gradients within 5 standard errors and depth / (9 channels) of theory."""
    channels, draws, rows = [24, 40, 16], 8, {"preactivation": [], "gradient": []}
    draw = torch.Generator().manual_seed(2)
    for _ in range(draws):
        layers = []
        for n_in, n_out in pairwise(channels):
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1, padding_mode="circular", bias=False).double(), nn.Tanh()]
            nn.init.normal_(layers[-2].weight, std=math.sqrt(1.3 / (9 * n_in)), generator=draw)
        x, g = (torch.randn(1, c, 5, 5, generator=draw, dtype=torch.float64) for c in (channels[0], channels[-1]))
        x = x / x.square().mean().sqrt()
        found = signals(nn.Sequential(*layers[:-1]), (x, g), loss=lambda z, g: (z * g).sum() / len(z))
        rows["preactivation"].append(found.preactivation.square)
        rows["gradient"].append(found.gradient.square)
    theory = expected_variances(channels, 1.3, "tanh")
    for what, parts in rows.items():
        each, wanted = torch.stack(parts), getattr(theory, what)
        allowed = 5 * each.std(0) / math.sqrt(draws) + wanted * 2 / (9 * 24)
        assert bool(((each.mean(0) - wanted).abs() < allowed).all()), what


def test_wide_networks_have_the_mean_singular_values():
    """Tanh, normalised initialisation, width 150, 8 draws: within 5 standard errors and 1 / n."""
    each = []
    for seed in range(8):
        x = torch.randn(1, 150, generator=torch.Generator().manual_seed(seed + 20), dtype=torch.float64)
        each.append(layer_jacobians(network([150] * 4, 1.0, "tanh", seed), x / x.square().mean().sqrt()).mean)
    found, theory = torch.stack(each), expected_variances([150] * 4, 1.0, "tanh").mean_singular_value
    assert bool(((found.mean(0) - theory).abs() < 5 * found.std(0) / math.sqrt(8) + theory / 150).all())
    assert bool((theory[:-1] < 8 / (3 * math.pi)).all())


def test_expected_variances_are_drawn_beside_the_measured():
    model = network([20, 20, 5], 1.0, "tanh", 0)
    found = signals(model, (torch.ones(3, 20).double(), torch.tensor([0, 1, 2])))
    theory = expected_variances([20, 20, 5], 1.0, output_gradient=float(found.gradient.square[-1]))
    assert len(theory.plot().panels[0].series) == 1
    assert [len(panel.series) for panel in theory.plot(found).panels] == [2, 4]
    with pytest.raises(InvalidInput, match="must be the same"):
        expected_variances([20, 5], 1.0).plot(found)


# ---- refusals ------------------------------------------------------------------------------------------------------


def test_what_has_no_expectation_is_refused():
    with pytest.raises(InvalidInput, match="widths"):
        expected_variances([10], 1.0)
    with pytest.raises(InvalidInput, match=r"widths\[1\]"):
        expected_variances([10, 0], 1.0)
    with pytest.raises(InvalidInput, match="one a layer"):
        expected_variances([10, 10, 10], [1.0])
    with pytest.raises(InvalidInput, match="at least 0"):
        expected_variances([10, 10], -1.0)
    with pytest.raises(InvalidInput, match="n_out"):
        mean_singular_value(10, 0, 1.0)
    with pytest.raises(InvalidInput, match="weight_variance"):
        mean_singular_value(10, 10, math.nan)
    with pytest.raises(UnknownName, match="orthogonal"):
        expected_spectrum(3, "tanh", 1.0, 0.1, weights="orthogonl")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="q = 0"):
        expected_spectrum(3, "tanh", 1.0)
    with pytest.raises(InvalidInput, match="bias_variance = -1"):
        expected_spectrum(3, "tanh", 1.0, -1.0, q=1.0)
    with pytest.raises(InvalidInput, match="slope 0"):
        expected_spectrum(3, torch.sign, 1.0, q=1.0)
    for points in (-1.0, [0.0, 1.0], [math.nan], "one", [[1.0]]):
        with pytest.raises(InvalidInput, match="points above 0"):
            expected_spectrum(2, "relu", 1.0).density(points)  # type: ignore[arg-type]
    for share in (-1.0, math.nan, [0.1], 1.0):
        with pytest.raises(InvalidInput, match="saturation"):
            expected_variances([10, 10], 1.0, saturation=share)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="depth"):
        expected_spectrum(0, "tanh", 1.0, q=1.0)
    with pytest.raises(UnknownName, match="activation"):
        expected_spectrum(3, "tahn", 1.0, q=1.0)
