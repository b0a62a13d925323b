"""Fixed points, phases and depth scales: against iteration, against numbers of the literature, and at the edges."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.propagation import Nonlinearity, edge_of_chaos, mean_field, phase_diagram
from lemmata.propagation.gaussian import gaussian_mean

CRITICAL = {2.01e-5: 1.0500, 0.001: 1.1892, 0.05: 1.7610, 0.1: 1.9861, 0.5: 2.8432}  # sigma_b^2: sigma_w^2, tanh


@pytest.mark.parametrize("bias", CRITICAL)
def test_the_edge_of_tanh_is_where_the_literature_has_it(bias):
    """To the four decimals given; (1.05, 2.01e-5) is the setting of Pennington, Schoenholz and Ganguli."""
    found = edge_of_chaos("tanh", bias)
    assert found == pytest.approx(CRITICAL[bias], abs=5e-5)
    assert mean_field("tanh", found, bias).chi_1 == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(("weight", "layers"), [(1.0, 3.63), (1.3, 7.83), (1.6, 27.0), (1.7, 74.9)])
def test_depth_scales_of_tanh_are_the_known_ones(weight, layers):
    assert mean_field("tanh", weight, 0.05).xi_c == pytest.approx(layers, rel=2e-3)  # three digits are given


def test_glorots_initialisation_is_critical_and_the_old_one_ordered():
    assert edge_of_chaos("tanh") == 1.0
    normalised, old = mean_field("tanh", 1.0), mean_field("tanh", 1 / 3)
    assert (normalised.phase, normalised.chi_1, normalised.q, normalised.xi_c) == ("critical", 1.0, 0.0, math.inf)
    assert (old.phase, old.q) == ("ordered", 0.0)
    assert old.chi_1 == pytest.approx(1 / 3, rel=1e-12)
    assert old.xi_gradient == pytest.approx(1 / math.log(3), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "edge"), [("linear", 1.0), ("relu", 2.0), ("erf", math.pi / 4), ("softsign", 1.0), ("hard-tanh", 1.0)]
)
def test_edges_without_bias_are_one_over_the_squared_slope_at_zero(name, edge):
    assert edge_of_chaos(name) == pytest.approx(edge, rel=1e-12)


@pytest.mark.parametrize("bias", [1e-10, 1e-9, 1e-6])
@pytest.mark.parametrize(("name", "edge"), [("relu", 2.0), ("linear", 1.0)])
def test_edges_of_constant_slopes_do_not_move_with_the_bias(name, edge, bias):
    """The bias reached on the edge is 0 at every q, and far out nothing but rounding, of either sign."""
    assert edge_of_chaos(name, bias) == pytest.approx(edge, rel=1e-12)


@pytest.mark.parametrize("bias", [1e-40, 1e-25, 1e-20, 1e-15])
def test_the_edge_of_small_biases_is_near_that_of_none(bias):
    """Tanh: sigma_w^2 = 1 + 2q to first order, and sigma_b^2 = (4 / 3) q^3, which is rounding below q = 1e-8."""
    q = (bias * 3 / 4) ** (1 / 3)
    assert edge_of_chaos("tanh", bias) == pytest.approx(1 + 2 * q, abs=1e-7)


def test_the_edge_of_erf_is_in_closed_form():
    """Sigma_w^2 = (pi / 4) sqrt(1 + 4 q) with q - (pi/4) sqrt(1 + 4q) (2/pi) asin(2q / (1 + 2q)) = sigma_b^2."""
    q = 0.9
    weight = math.pi / 4 * math.sqrt(1 + 4 * q)
    bias = q - weight * 2 / math.pi * math.asin(2 * q / (1 + 2 * q))
    assert edge_of_chaos("erf", bias) == pytest.approx(weight, rel=1e-10)


@settings(max_examples=8, deadline=None)
@given(
    name=st.sampled_from(["tanh", "erf", "softsign", "hard-tanh"]),
    weight=st.floats(0.2, 6.0),
    bias=st.floats(0.01, 1.0),
)
def test_fixed_points_are_fixed_stable_and_where_iteration_ends(name, weight, bias):
    found = mean_field(name, weight, bias)
    assert float(found.variance_map(found.q)) == pytest.approx(found.q, rel=1e-9)
    assert abs(found.chi_q) < 1
    q = 1.0
    for _ in range(60):
        q = float(found.variance_map(q))
    assert found.q == pytest.approx(q, rel=1e-6 + 10 * abs(found.chi_q) ** 60)
    assert float(found.correlation_map(found.c)) == pytest.approx(found.c, abs=1e-9)
    assert found.chi_c <= 1 + 1e-9
    assert (found.c == 1) == (found.chi_1 <= 1)


def test_the_slope_at_the_fixed_correlation_is_that_of_the_map():
    found, h = mean_field("tanh", 2.5, 0.05), 1e-4
    c = torch.tensor([found.c - h, found.c + h], dtype=torch.float64)
    low, high = found.correlation_map(c).tolist()
    assert found.phase == "chaotic"
    assert (high - low) / (2 * h) == pytest.approx(found.chi_c, rel=1e-6)
    assert float(found.correlation_map(1.0)) == pytest.approx(1.0, rel=1e-12)


def test_departures_shrink_by_the_depth_scales():
    """After the first layers a departure falls by exp(-1 / xi) a layer, for the variance and for the correlation."""
    found = mean_field("tanh", 1.3, 0.05)
    variances, correlations = found.variances(0.3, 14), found.correlations(0.5, 14)
    by_q = (variances - found.q)[-1] / (variances - found.q)[-2]
    by_c = (1 - correlations[-1]) / (1 - correlations[-2])
    assert float(by_q) == pytest.approx(math.exp(-1 / found.xi_q), rel=1e-3)
    assert float(by_c) == pytest.approx(math.exp(-1 / found.xi_c), rel=2e-2)


def test_relu_keeps_dies_or_grows():
    kept, dead, grown = mean_field("relu", 2.0, start=3.0), mean_field("relu", 1.0), mean_field("relu", 3.0, 0.1)
    assert (kept.q, kept.phase) == (3.0, "critical")  # every variance is a fixed point
    assert (dead.q, dead.chi_1, dead.phase) == (0.0, pytest.approx(0.5), "ordered")
    assert (grown.q, grown.chi_1, grown.phase) == (math.inf, pytest.approx(1.5), "chaotic")
    assert math.isnan(grown.xi_c)
    between = mean_field("relu", 1.5, 0.1)
    assert between.q == pytest.approx(0.1 / (1 - 0.75), rel=1e-10)


def test_a_layer_without_weights_gives_its_bias():
    assert (mean_field("tanh", 0.0, 0.3).q, mean_field("tanh", 0.0).q) == (pytest.approx(0.3), 0.0)
    assert (mean_field("tanh", 0.0, 0.3).xi_c, mean_field("tanh", 0.0, 0.3).c) == (0.0, 1.0)


def test_growth_is_found_from_any_start():
    """The scan has few points left between a large start and the largest variance that is looked through."""
    assert {mean_field("relu", 3.0, start=start).q for start in (1.0, 3e7, 9e14)} == {math.inf}
    assert mean_field("tanh", 2.0, 0.1, start=9e14).q == pytest.approx(mean_field("tanh", 2.0, 0.1).q, rel=1e-9)


@pytest.mark.parametrize("bias", [1e-11, 1e-6, 1e-4, 0.1, 3.0])
def test_growth_by_the_bias_alone_has_no_end(bias):
    """ReLU at 2 adds sigma_b^2 a layer; V(q) / q rounds to 1 far out, where no fixed point is."""
    found = mean_field("relu", 2.0, bias)
    assert (found.q, found.phase) == (math.inf, "critical")


def test_fixed_points_just_off_the_edge_stay_found():
    """Tanh: V(q) = sigma_w^2 (q - 2 q^2 + ...), so that q = (sigma_w^2 - 1) / 2 to first order."""
    assert mean_field("tanh", 1 + 1e-8).q == pytest.approx(5e-9, rel=1e-6)


@pytest.mark.parametrize(("weight", "bias"), [(0.5, 1e-14), (0.5, 1e-30), (1.0, 1e-20), (1.0, 1e-26)])
def test_fixed_points_however_small_are_found(weight, bias):
    """Tanh: q = sigma_w^2 (q - 2 q^2) + sigma_b^2 at small q: the bias over 1/2, and the root of half of it."""
    found = mean_field("tanh", weight, bias)
    wanted = bias / 0.5 if weight == 0.5 else math.sqrt(bias / 2)
    assert found.q == pytest.approx(wanted, rel=1e-9 if weight == 0.5 else 1e-15 / wanted)  # V(q) / q - 1 is rounded
    assert found.c == 1.0


def test_a_variance_at_0_is_a_least_one():
    """Sigmoid: V(0) = sigma_w^2 / 4 > 0."""
    assert mean_field("sigmoid", 1e-16).q == pytest.approx(2.5e-17, rel=1e-9)


def test_signals_that_die_out_have_the_depth_scale_of_small_biases():
    dead, faint = mean_field("tanh", 0.5), mean_field("tanh", 0.5, 1e-14)
    assert math.isnan(dead.c)
    assert dead.xi_c == pytest.approx(faint.xi_c, rel=1e-9)
    assert dead.xi_c == pytest.approx(1 / math.log(2), rel=1e-9)


def test_activations_that_are_0_about_0_let_signals_die():
    """All that they pass may lie beyond ten standard deviations."""
    shrink = Nonlinearity("shrink", lambda u: u.sign() * (u.abs() - 1).clamp(min=0), kinks=(-1.0, 1.0))
    assert mean_field(shrink, 1.0).q == 0.0


def test_the_sine_in_deep_chaos_forgets_its_inputs():
    """E sin^2 = (1 - exp(-2q)) / 2, E cos^2 = (1 + exp(-2q)) / 2: q = chi_1 = 100, and C(c) = 2 exp(-q) sinh(q c)."""
    found = mean_field("sin", 200.0)
    assert (found.q, found.chi_1) == (pytest.approx(100.0, rel=1e-12), pytest.approx(100.0, rel=1e-12))
    assert (found.c, found.chi_c) == (0.0, pytest.approx(0.0, abs=1e-12))


def test_correlations_near_0_are_those_of_the_slope_there():
    """C(c) = sigma_w^2 (E phi')^2 c to first order; each mean over v given u nearly cancels, but for 1e-16 or so."""
    found = mean_field("tanh", 10.0)
    slope, _ = gaussian_mean(found.activation.slope, torch.tensor([found.q], dtype=torch.float64))
    for c in (1e-6, 1e-9, 1e-12):
        assert float(found.correlation_map(c)) == pytest.approx(10.0 * float(slope) ** 2 * c, rel=1e-9, abs=2e-16)


def test_slopes_that_are_0_or_never_critical_have_no_edge():
    """Softplus has E phi^2 > q E phi'^2 at every q, so that chi_1 = 1 would want sigma_b^2 < 0."""
    for bias in (0.0, 0.1, 3.0):
        with pytest.raises(InvalidInput, match="none at any other"):
            edge_of_chaos("softplus", bias)
    with pytest.raises(InvalidInput, match="its slope is 0"):
        edge_of_chaos(torch.sign, 0.1)


def test_two_fixed_points_are_told_apart_by_the_start():
    """Sigma_w^2 = 2.05 with GELU and no bias: small variances die out, large ones grow without bound."""
    small, large = mean_field("gelu", 2.05, start=1.0), mean_field("gelu", 2.05, start=1e4)
    assert (small.q, large.q) == (0.0, math.inf)


def test_a_callable_is_what_its_name_is():
    named, called = mean_field("tanh", 2.5, 0.05), mean_field(torch.tanh, 2.5, 0.05)
    assert (named.q, named.xi_c) == pytest.approx((called.q, called.xi_c), rel=1e-9)


def test_correlations_of_wide_networks_follow_the_map():
    """Width 2000, 12 draws of one layer at the fixed variance: within 5 standard errors of the mean over draws."""
    found, n = mean_field("hard-tanh", 2.0, 0.1), 2000
    draw = torch.Generator().manual_seed(3)
    c = 0.6
    pair = torch.linalg.cholesky(found.q * torch.tensor([[1.0, c], [c, 1.0]], dtype=torch.float64))
    got = []
    for _ in range(12):
        u = pair @ torch.randn(2, n, generator=draw, dtype=torch.float64)
        a = u.clamp(-1, 1)
        got.append(float(2.0 * (a[0] * a[1]).mean() + 0.1) / found.q)
    got = torch.tensor(got)
    assert abs(float(got.mean()) - float(found.correlation_map(c))) < 5 * float(got.std()) / math.sqrt(12)


@pytest.mark.parametrize(("weight", "bias"), [(-1.0, 0.0), (1.0, -0.1), (math.nan, 0.0), (1.0, math.inf), ("1", 0.0)])
def test_variances_that_are_none_are_refused(weight, bias):
    with pytest.raises(InvalidInput, match=r"variance = "):
        mean_field("tanh", weight, bias)


def test_what_has_no_answer_is_refused():
    with pytest.raises(InvalidInput, match="starts from a number"):
        mean_field("tanh", 1.0, start=0.0)
    with pytest.raises(InvalidInput, match="no correlation map"):
        mean_field("tanh", 0.5).correlation_map(0.5)
    with pytest.raises(InvalidInput, match="q = 1j"):
        mean_field("tanh", 0.5).variance_map(1j)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="c = 'half'"):
        mean_field("tanh", 2.0).correlation_map("half")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="between -1 and 1"):
        mean_field("tanh", 2.0).correlation_map(1.5)
    with pytest.raises(InvalidInput, match="at least 0"):
        edge_of_chaos("tanh", -0.1)
    with pytest.raises(InvalidInput, match="increasing"):
        phase_diagram("tanh", [2.0, 1.0], [0.0, 0.1])


def test_the_phase_diagram_has_the_edge_between_the_phases():
    found = phase_diagram("erf", [0.5, 1.0, 1.5, 2.0], [0.05, 0.2])
    right = found.weight_variances[None] > found.edge[:, None]
    assert torch.equal(found.chi_1 > 1, right)
    figure = found.plot()
    assert np.shape(figure.panels[0].fields[0].z) == (2, 4)


@pytest.mark.parametrize("weight", [0.5, 1.3, 2.5])
def test_the_maps_are_drawn_with_their_fixed_points(weight):
    figure = mean_field("erf", weight, 0.05).plot()
    assert len(figure.panels) == 2
    assert len(mean_field("relu", 3.0).plot().panels) == 1
