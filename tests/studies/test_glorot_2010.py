"""The study of Glorot and Bengio: its mathematics against autograd, samples and other code, and its verdicts."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from lemmata import propagation
from lemmata.figures import static
from lemmata.studies import _glorot_2010_figures as figures
from lemmata.studies import _glorot_2010_initial as initial
from lemmata.studies import _glorot_2010_theory as theory
from lemmata.studies import _glorot_2010_training as training
from lemmata.studies import glorot_2010 as glorot
from lemmata.studies._glorot_2010_examples import Examples
from lemmata.studies._glorot_2010_initial import Initial
from lemmata.studies._glorot_2010_networks import network, weight_variances
from lemmata.studies._glorot_2010_training import Training
from lemmata.training import SGD
from lemmata.verdicts import Outcome

MODULES = {"tanh": nn.Tanh(), "softsign": nn.Softsign(), "sigmoid": nn.Sigmoid()}

# ---- networks and theory ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", ["standard", "normalised", "orthogonal"])
@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_weights_have_the_variances_that_theory_is_told(law: str, gain: float):
    """Of 20,000 to 90,000 independent weights: five standard errors, at most 5 % (kurtosis 3); no biases."""
    sizes = [300, 200, 300, 100]
    net = network(300, [200, 300], 100, activation="tanh", initialisation=law, seed=3, gain=gain)
    for (name, weight), v in zip(
        [(n, p) for n, p in net.named_parameters() if n.endswith("weight")],
        weight_variances(sizes, law, gain), strict=True,
    ):  # fmt: skip
        assert float(weight.detach().square().mean()) == pytest.approx(v, rel=5 * (2 / weight.numel()) ** 0.5), name
    assert all(not bool(p.any()) for n, p in net.named_parameters() if n.endswith("bias"))


def test_theory_of_one_length_is_that_of_the_instrument():
    """`propagation.expected_variances` has one length and no averages; 1e-9, both are quadratures to rounding."""
    sizes = [50, 40, 30, 20, 5]
    variances = weight_variances(sizes, "normalised", 1.3)
    ours = theory.expected(sizes, variances, "tanh", torch.tensor([0.7], dtype=torch.float64), 0.2)
    sw = [n * v for n, v in zip(sizes, variances, strict=False)]
    theirs = propagation.expected_variances(sizes, sw, "tanh", input_square=0.7, output_gradient=0.2)
    for mine, name in ((ours.activation, "activation"), (ours.gradient, "gradient")):
        assert mine == pytest.approx(getattr(theirs, name)[:-1].numpy(), rel=1e-9)
    assert ours.weight_gradient == pytest.approx(theirs.weight_gradient[:-1].numpy(), rel=1e-9)


def test_linear_theory_is_the_papers_products():
    """Factors n Var W = 1/3 up and down, and equal variances of weight gradients, to rounding."""
    sizes = [90, 90, 90, 90, 90]
    found = theory.expected(
        sizes, weight_variances(sizes, "standard"), "linear", torch.ones(1, dtype=torch.float64), 1.0
    )
    assert found.activation == pytest.approx(3.0 ** -np.arange(1, 4))
    assert found.gradient == pytest.approx(3.0 ** -np.arange(3, 0, -1))
    assert np.ptp(found.weight_gradient) < 1e-15


@settings(max_examples=10, deadline=None)
@given(m=st.integers(1, 10), seed=st.integers(0, 1000))
def test_groups_are_of_similar_lengths_and_keep_the_mean(m: int, seed: int):
    values = torch.rand(20 * m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    groups = theory.grouped(values)
    assert bool((groups.diff() >= 0).all())
    assert float(groups.mean()) == pytest.approx(float(values.mean()), abs=1e-12)


# ---- measured at the initial weights ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    return initial.measure_variances([Initial(width=60, depth=3, seed=seed) for seed in range(2)])


def test_variances_and_factors_are_those_of_autograd(small):
    """Gradients of each image's own loss one at a time, in float32 as the study: 1e-4 relative."""
    example = Examples("shapeset", 1, test=300)
    net = network(1024, [60] * 3, 9, activation="tanh", initialisation="standard", seed=1)
    weights = [net.hidden1.weight, net.hidden2.weight, net.hidden3.weight, net.output.weight]
    a, units, before = example.x_test, [], []
    for weight in weights:
        u = (a @ weight.T).requires_grad_()
        before.append(u)
        a = u.tanh()
        units.append(a)
    gradients = torch.autograd.grad(cross_entropy(before[-1], example.y_test, reduction="sum"), before)
    activation = np.array([float(values.detach().var(correction=0)) for values in units[:3]])
    gradient = np.array([float(values.var(correction=0)) for values in gradients[:3]])
    below = [example.x_test, *units]
    outer = [gradients[k][:, :, None] * below[k].detach()[:, None] for k in (1, 2)]
    weight = np.array([float(values.var(correction=0)) for values in outer])
    found = small[1]
    assert found.curves["activation_variance"].y == pytest.approx(activation, rel=1e-4)
    assert found.curves["gradient_variance"].y == pytest.approx(gradient, rel=1e-4)
    assert found.scalars["forward_factor"] == pytest.approx((activation[2] / activation[0]) ** 0.5, rel=1e-4)
    assert found.scalars["backward_factor"] == pytest.approx((gradient[0] / gradient[2]) ** 0.5, rel=1e-4)
    assert found.scalars["weight_factor"] == pytest.approx(weight[0] / weight[1], rel=1e-3)


def test_deviations_are_counted_in_finite_width_errors(small):
    """Written out for three layers of 60 units."""
    found = small[0]
    for name, layers in (("activation", [1, 2, 3]), ("gradient", [3, 2, 1])):
        measured, expected = (found.curves[f"{name}_{kind}"].y for kind in ("variance", "theory"))
        off = np.abs(measured / expected - 1)
        side = {"activation": "forward", "gradient": "backward"}[name]
        errors = [d / math.sqrt(2 * passed / 60) for d, passed in zip(off, layers, strict=True)]
        assert found.scalars[f"{side}_deviation"] == pytest.approx(off.max())
        assert found.scalars[f"{side}_errors"] == pytest.approx(max(errors))


def test_members_with_another_theory_are_the_same_networks():
    linear, field = initial.measure_variances([Initial(width=40, theory="linear"), Initial(width=40)])
    assert linear.scalars["forward_factor"] == field.scalars["forward_factor"]
    assert linear.scalars["forward_errors"] != field.scalars["forward_errors"]


def test_singular_values_are_numpys():
    """diag(1 - a^2) W of the second and third layer at the image of median length, 1e-5 in float32."""
    config = Initial(width=50, depth=3, samples=1, seed=2, initialisation="normalised")
    x = Examples("shapeset", 2, test=300).x_test
    net = network(1024, [50] * 3, 9, activation="tanh", initialisation="normalised", seed=2)
    a, means = x[x.square().mean(1).argsort()[150]], []
    for layer in (net.hidden1, net.hidden2, net.hidden3):
        a = torch.tanh(layer.weight @ a)
        means.append(np.linalg.svd(((1 - a**2)[:, None] * layer.weight).detach().numpy(), compute_uv=False).mean())
    found = initial.measure_jacobians([config])[0]
    assert found.curves["singular_values"].y == pytest.approx(np.array(means[1:]), rel=1e-5)


def test_the_spline_of_mean_singular_values_hits_between_its_nodes():
    spline = initial.shrinkage("tanh")
    for q in (3e-4, 0.05, 0.33, 1.7):
        exact = propagation.mean_singular_value(7, 7, 1.0, activation="tanh", q=q)
        assert float(spline(math.log(q))) == pytest.approx(exact, rel=3e-4)


def test_linear_networks_keep_to_the_product_at_any_width():
    """Depth 3, width 400: one finite-width error is 12 %; four of them would be the chance of one in 10,000."""
    found = initial.measure_variances([Initial(width=400, depth=3, activation="linear", initialisation="normalised")])
    assert found[0].scalars["forward_errors"] < 4
    assert found[0].curves["activation_theory"].y == pytest.approx(found[0].curves["activation_theory"].y[0], rel=1e-9)


# ---- training --------------------------------------------------------------------------------------------------------

ROWS = [("tanh", "standard"), ("sigmoid", "standard"), ("softsign", "normalised"), ("tanh", "normalised")]


def test_members_of_different_units_are_trained_as_torch_trains_them():
    """Ten steps of plain descent on each network alone, in float32: weights agree to 1e-5."""
    configs = [Training(units=u, initialisation=i, width=12, depth=3, seed=4) for u, i in ROWS]
    example, members = Examples("shapeset", 4), sorted(configs, key=lambda config: config.units)
    ensemble = training.assemble(members, example)
    rule = SGD(lr=0.1).start(ensemble)
    batches = [example.draw(10) for _ in range(10)]
    for x, y in batches:
        rule.step(ensemble, x.expand(4, -1, -1), y.expand(4, -1), shared=False, factor=1.0)
    for i, config in enumerate(members):
        net = network(1024, [12] * 3, 9, activation=config.units, initialisation=config.initialisation, seed=4)
        descent = torch.optim.SGD(net.parameters(), lr=0.1)
        for x, y in batches:
            descent.zero_grad()
            cross_entropy(net(x), y).backward()
            descent.step()
        for name, own in net.named_parameters():
            assert torch.allclose(ensemble.states()[name][i], own, atol=1e-5), (config.units, name)


@pytest.mark.parametrize("units", sorted(MODULES))
def test_slopes_and_shares_are_those_of_the_module(units: str):
    s = torch.linspace(-9, 9, 401, dtype=torch.float64, requires_grad=True)
    a = MODULES[units](s)
    (slope,) = torch.autograd.grad(a.sum(), s)
    assert torch.allclose(training.PULLS[units](a), slope, atol=1e-12)
    assert float(slope.max()) == pytest.approx(training.STEEPEST[units])
    assert torch.allclose(training.UNITS[units](s.detach().clone()), a)


@pytest.fixture(scope="module")
def trained():
    configs = [
        Training(units=u, initialisation=i, width=8, steps=40, seed=seed, data="mnist-5k")
        for seed in range(2)
        for u, i in (*ROWS, ("softsign", "standard"))
    ]
    return configs, training.learn(configs)


def test_a_member_does_not_see_the_others(trained):
    """Alone and among ten: sums of ten numbers in another order, so that errors on 1,000 digits may differ by a few."""
    configs, found = trained
    (alone,) = training.learn([configs[2]])
    assert alone.scalars["final_error"] == pytest.approx(found[2].scalars["final_error"], abs=0.005)
    assert alone.curves["mean_5"].y == pytest.approx(found[2].curves["mean_5"].y, abs=1e-4)
    assert configs[2].units == "softsign"


def test_networks_learn_from_shapes_that_are_drawn_for_their_seed():
    """Nine steps: too few to judge, enough for what only Shapeset goes through."""
    configs = [Training(units=u, initialisation=i, width=4, steps=9, seed=s) for s in (0, 1) for u, i in ROWS[:2]]
    found = training.learn(configs)
    for one in found:
        assert list(one.curves["error"].x) == list(training.moments(9))
        assert 0 < one.scalars["final_error"] <= 1
    assert found[0].scalars["final_error"] != found[2].scalars["final_error"]


def test_what_is_recorded_of_activations(trained):
    configs, found = trained
    for config, one in zip(configs, found, strict=True):
        start = one.curves["mean_1"].y[0]
        assert abs(start - (0.5 if config.units == "sigmoid" else 0.0)) < 0.25
        widths = np.diff(one.curves["histogram_3"].x)[0]
        assert one.curves["histogram_3"].y.sum() * widths == pytest.approx(1.0)
        assert list(one.curves["error"].x) == list(training.moments(40))
        others = min(one.curves[f"mean_{k}"].y[-1] for k in (1, 2, 3, 4))
        assert one.scalars["top_below"] == pytest.approx(others - one.curves["mean_5"].y[-1])
        between = one.curves["percentile_1"].y - one.curves["percentile_5"].y
        assert one.scalars["spread"] == pytest.approx(between[-1] - between[0], abs=1e-6)
        assert one.scalars["final_error"] == pytest.approx(one.curves["error"].y[-4:].mean())


def test_examples_are_fresh_or_permuted():
    one = Examples("shapeset", 5)
    x, _ = one.draw(30)
    assert torch.equal(torch.cat([Examples("shapeset", 5).draw(30)[0]]), x)
    assert not any(torch.equal(x[0], other) for other in torch.cat([x[1:], one.x_test]))
    digits = Examples("mnist-5k", 5)
    epoch = torch.cat([digits.draw(1500)[0] for _ in range(8)])
    first, second = epoch[:4000], epoch[4000:8000]
    for part in (first, second):
        assert torch.allclose(part.double().sum(0), digits.x.double().sum(0))
    assert not torch.equal(first, second)


def test_figures_of_training_draw(trained):
    configs, found = trained
    rows = [{**c.flat(), **m.scalars, **m.curves, "control": False} for c, m in zip(configs, found, strict=True)]
    table = pd.DataFrame(rows)
    for figure in (figures.test_errors, figures.sigmoid_saturation, figures.saturation, figures.final_histograms):
        assert "<svg" in static.render(figure(table))


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_at_smoke_scale_no_claim_about_initial_weights_is_contradicted(smoke):
    for name, verdict in smoke("glorot-2010", "variances", "jacobians").verdicts.items():
        assert verdict.outcome is not Outcome.CONTRADICTED, (name, verdict.reason)


@pytest.mark.slow
def test_nor_is_any_about_digits(smoke):
    for name, verdict in smoke("glorot-2010", "mnist-5k").verdicts.items():
        assert verdict.outcome is not Outcome.CONTRADICTED, (name, verdict.reason)


UNTESTABLE = ("sigmoid-at-chance", "saturate-in-sequence", "where-units-end")  # they want longer training


@pytest.mark.slow
def test_at_laptop_scale_every_claim_is_reproduced_and_every_control_refuted(laptop):
    found = laptop("glorot-2010")
    for name in found.verdicts:
        if not name.startswith("cifar"):
            found.assert_outcome(name, Outcome.NOT_TESTABLE if name in UNTESTABLE else Outcome.REPRODUCED)
    for figure in glorot.study.experiments["shapeset"].figures:
        assert "<svg" in static.render(figure(found.tables["shapeset"]))
