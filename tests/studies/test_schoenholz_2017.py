"""The study of Schoenholz et al.: its random layers against literal networks, its theory, and its verdicts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.propagation import edge_of_chaos, mean_field
from lemmata.studies import _schoenholz_2017_gradients as gradients
from lemmata.studies import _schoenholz_2017_random as random_layers
from lemmata.studies import _schoenholz_2017_training as depths
from lemmata.studies import schoenholz_2017
from lemmata.studies._schoenholz_2017_gradients import Gradients
from lemmata.studies._schoenholz_2017_random import Decay, Dropped, Ensemble, Maps, Pair
from lemmata.studies._schoenholz_2017_training import Depths
from lemmata.verdicts import Outcome

# ---- layers drawn without weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [1.0, 0.7])
def test_layers_drawn_without_weights_have_the_law_of_networks(keep: float):
    """Means and variances over 4,000 networks of width 6 after three layers, by 4.5 standard errors (1e-5 a number)."""
    config = Ensemble(weight_variance=1.7, bias_variance=0.2, width=6, networks=4000)
    pair = Pair(config, 1.5, 0.8, 0.4, random=torch.Generator().manual_seed(0))
    literal = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(*shape, generator=literal, dtype=torch.float64)

    u, v = normal(4000, 6), normal(4000, 6)
    z = torch.stack([1.5**0.5 * u, 0.8**0.5 * (0.4 * u + (1 - 0.4**2) ** 0.5 * v)], 2)  # (networks, N, inputs)
    for _ in range(3):
        pair.layer(1.7, keep)
        h = torch.tanh(z) * (torch.rand(z.shape, generator=literal) < keep) / keep
        z = (1.7 / 6) ** 0.5 * normal(4000, 6, 6) @ h + 0.2**0.5 * normal(4000, 6, 1)
    ours = [pair.z.square().mean(1), (pair.z + pair.d).square().mean(1), pair.d.square().mean(1), pair.correlation()]
    apart = z[..., 1] - z[..., 0]
    cosine = torch.cosine_similarity(z[..., 0], z[..., 1], dim=1)
    theirs = [z[..., 0].square().mean(1), z[..., 1].square().mean(1), apart.square().mean(1), cosine]
    for a, b in zip(ours, theirs, strict=True):
        for one, other in ((a, b), ((a - a.mean()) ** 2, (b - b.mean()) ** 2)):
            error = ((one.var() + other.var()) / 4000) ** 0.5
            assert abs(float(one.mean() - other.mean())) < 4.5 * float(error)


def test_inputs_that_nearly_agree_keep_their_distance():
    """1 - c = 1e-14 is below the rounding of c; the mean of d^2 is 2 q 1e-14 to 5 standard errors."""
    config = Ensemble(width=20_000, networks=5)
    pair = Pair(config, 0.5, 0.5, 1 - 1e-14, random=torch.Generator().manual_seed(0))
    assert float(pair.d.square().mean()) == pytest.approx(2 * 0.5 * 9.992e-15, rel=5 * (2 / 1e5) ** 0.5)


def test_depth_scales_and_edges_are_those_of_theory():
    """Of the instrument, and of the numbers that were computed independently of it: 3.63, 7.83, 27.0, 74.9; 1.7610."""
    for bias, edge in schoenholz_2017.EDGE.items():
        assert edge_of_chaos("tanh", bias) == pytest.approx(edge, abs=6e-5)
    for sw, (xi, _, setting, moved) in schoenholz_2017.SCALES.items():
        assert mean_field("tanh", sw, 0.05).xi_c == pytest.approx(xi, rel=2e-3)
        assert mean_field("tanh", sw, setting["bias_variance"]).xi_c == pytest.approx(moved, rel=2e-3)
        assert random_layers.edge_of_chaos("tanh", 0.05) - schoenholz_2017.BELOW[sw] == pytest.approx(sw, abs=1e-6)
    assert [row[0] for row in schoenholz_2017.SCALES.values()] == pytest.approx([3.63, 7.83, 27.0, 74.9], rel=2e-3)


def test_the_decay_of_a_wide_network_is_theorys():
    """sigma_w^2 = 1.3, 6 networks of width 20,000: 2 (xi / (3 x 120,000))^(1/2) = 0.9 %, five times that."""
    found = random_layers.follow_decay([Decay(width=20_000, networks=6)])[0].scalars
    assert found["sw"] == pytest.approx(1.3, abs=1e-6)
    assert found["xi"] == pytest.approx(7.83, rel=0.047)


def test_a_decay_in_chaos_is_refused():
    with pytest.raises(InvalidInput, match="in chaos"):
        random_layers.follow_decay([Decay(below=0.1, bias_variance=0.001)])


def test_the_fixed_point_under_dropout_is_the_limit_of_its_map():
    """Against iterating the map by Gauss-Hermite quadrature with 60 x 60 points, to 1e-5."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    u, v = np.meshgrid(nodes, nodes)
    W = np.outer(weights, weights)
    sw, sb, keep = 1.7609546, 0.05, 0.9
    q, c = 1.0, 1.0
    for _ in range(300):
        cross = sw * np.sum(W * np.tanh(np.sqrt(q) * u) * np.tanh(np.sqrt(q) * (c * u + np.sqrt(1 - c * c) * v))) + sb
        q = sw / keep * np.sum(weights * np.tanh(np.sqrt(q) * nodes) ** 2) + sb
        c = min(cross / q, 1.0)
    assert random_layers.fixed_point(Dropped()) == pytest.approx(c, abs=1e-5)
    assert c == pytest.approx(0.356, abs=1e-3)  # what the study quotes


def test_another_theory_changes_the_comparison_and_not_the_networks():
    one, other = (
        random_layers.follow_maps([Maps(width=50, networks=8, depth=2, theory_bias=bias)])[0] for bias in (None, 0.1)
    )
    np.testing.assert_allclose(one.curves["variance"].y, other.curves["variance"].y, rtol=1e-12)
    assert other.scalars["deviation"] != one.scalars["deviation"]


# ---- gradients -------------------------------------------------------------------------------------------------------


def test_growth_is_that_of_automatic_differentiation():
    """One network, the same draws, its derivative by the first pre-activations by autograd: 1e-10 relative."""
    config = Gradients(width=7, depth=3, networks=1, bias_variance=0.2, seed=4)
    found = gradients.log_growth(
        config, torch.tensor([1.6], dtype=torch.float64), torch.tensor([0.6], dtype=torch.float64)
    )
    random = torch.Generator().manual_seed(4)
    z = start = (0.6**0.5 * torch.randn(1, 1, 7, generator=random, dtype=torch.float64)).requires_grad_()
    for _ in range(3):
        G = torch.randn(1, 7, 7, generator=random, dtype=torch.float64)
        b = torch.randn(1, 1, 7, generator=random, dtype=torch.float64)
        z = (1.6 / 7) ** 0.5 * torch.tanh(z) @ G.mT + 0.2**0.5 * b
    back = torch.randn(1, 1, 7, generator=random, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(z, start, back)
    assert found.item() == pytest.approx(float((gradient.square().sum() / back.square().sum()).log()) / 3, rel=1e-10)


def test_a_layer_spreads_squared_gradients_as_theory_says():
    """|b'|^2 = sum of phi'(z)^2 g^2 over 50 units in 20,000 draws: a relative variance to 5 standard errors, 7 %."""
    q, units, draws = 1.5, 50, 20_000
    z, g = torch.randn(2, draws, units, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    squares = ((1 - torch.tanh(q**0.5 * z).square()) * g).square().sum(1)
    found = units * float(squares.var() / squares.mean() ** 2)
    assert found == pytest.approx(float(gradients.relative_variance(np.array([q]))[0]), rel=0.07)


def test_fixed_points_are_those_of_mean_field():
    """Ordered and near the edge, to 1e-9: twelve steps of a method that converges quadratically."""
    weights = np.array([1.0, 1.1])
    for bias in (0.001, 0.3):
        q, chi = gradients.fixed_points(weights, bias)
        for sw, each, growth in zip(weights, q, chi, strict=True):
            field = mean_field("tanh", float(sw), bias)
            assert (each, growth) == pytest.approx((field.q, field.chi_1), rel=1e-9)


@given(at=st.floats(0.05, 0.95), slope=st.floats(0.1, 5.0))
@settings(max_examples=20, deadline=None)
def test_crossings_of_lines_are_found(at: float, slope: float):
    x = np.linspace(0, 1, 7)
    assert gradients.crossing(x, slope * (x - at)) == pytest.approx(at, abs=1e-9)
    right = np.clip(0.5 + slope * (x - at), 0.0, 1.0)
    low, high = (x[np.searchsorted(x, at) + step] for step in (-1, 0))
    assert low - 1e-9 <= depths.boundary(x, right) <= high + 1e-9


def test_no_crossing_is_no_number():
    x = np.arange(3.0)
    assert np.isnan(gradients.crossing(x, np.ones(3)))
    assert np.isnan(depths.boundary(x, np.full(3, 0.9)))


# ---- training --------------------------------------------------------------------------------------------------------


def test_networks_have_the_variances_that_were_asked_for():
    """200 x 200 weights: six times the relative deviation (2 / 40,000)^(1/2); 400 biases, six times (2 / 400)^(1/2)."""
    net = depths.network(Depths(depth=2, width=200, bias_variance=0.3), 1.7)
    assert net.hidden2.weight.var().item() * 200 == pytest.approx(1.7, rel=6 * (2 / 4e4) ** 0.5)
    biases = torch.cat([net.hidden1.bias, net.hidden2.bias]).detach()
    assert biases.square().mean().item() == pytest.approx(0.3, rel=6 * (2 / 400) ** 0.5)


def test_the_theory_alone_changes_no_training_and_members_do_not_see_each_other():
    small = {"depth": 3, "width": 8, "n": 64, "epochs": 1}
    configs = [Depths(**small, seed=seed, theory_bias=bias) for seed in (0, 1) for bias in (None, 0.3)]
    found = depths.train_depths(configs)
    for config, member in zip(configs, found, strict=True):
        alone = depths.train_depths([config])[0]
        np.testing.assert_allclose(member.curves["accuracy"].y, alone.curves["accuracy"].y, atol=1e-12)
        assert member.scalars.keys() == alone.scalars.keys()
    np.testing.assert_array_equal(found[0].curves["accuracy"].y, found[1].curves["accuracy"].y)


def test_what_is_read_off_accuracies():
    config = Depths(depth=10)
    right = np.where(np.arange(8) == 3, 0.9, 0.1)
    found = depths._measured(config, right).scalars
    assert found["centre"] == pytest.approx(np.log(depths.GRID[3]))
    assert np.exp(found["boundary"]) == pytest.approx(np.sqrt(depths.GRID[2] * depths.GRID[3]), rel=1e-9)
    assert found["depths_of_xi"] == pytest.approx(10 / mean_field("tanh", np.exp(found["boundary"]), 0.05).xi_c)
    nothing = depths._measured(config, np.full(8, 0.1)).scalars
    assert nothing.keys() == {"best", "lowest"}


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_maps_and_growth_are_reproduced_at_smoke_scale(smoke):
    verdicts = smoke("schoenholz-2017", "maps", "gradients").verdicts
    assert verdicts["maps"].outcome is verdicts["growth"].outcome is Outcome.REPRODUCED


@pytest.mark.slow
def test_every_claim_is_reproduced_at_laptop_scale_and_every_control_refuted(laptop):
    laptop("schoenholz-2017").assert_outcomes()
