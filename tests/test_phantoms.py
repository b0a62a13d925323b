"""Phantoms: the stated value, gradient and Hessian against `torch.autograd.functional` on the model itself, float64.

Tolerance 1e-11: both sides add some hundred terms of order one to a hundred in float64.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call
from torch.nn import functional

from lemmata import nets, phantoms
from lemmata.errors import InvalidInput
from lemmata.objective import Objective

CLOSE = {"rtol": 0, "atol": 1e-11}
LOSSES = {"mse": functional.mse_loss, "cross_entropy": functional.cross_entropy}


def flat_loss(phantom):
    """The loss as a function of a flat vector, by the model and the loss alone."""
    x, y = phantom.data
    loss = phantom.loss if callable(phantom.loss) else LOSSES[phantom.loss]
    return lambda vector: loss(functional_call(phantom.model, phantom.objective.tree(vector), (x,)), y)


@pytest.mark.parametrize("name", phantoms.PHANTOMS)
def test_value_gradient_and_hessian_are_those_of_the_model(name):
    phantom = phantoms.PHANTOMS[name]()
    objective, f = phantom.objective, flat_loss(phantom)
    theta = objective.vector(objective.parameters)
    assert phantom.size == objective.size
    assert phantom.value == pytest.approx(float(f(theta)), abs=1e-12)
    torch.testing.assert_close(phantom.gradient, torch.autograd.functional.jacobian(f, theta), **CLOSE)
    torch.testing.assert_close(phantom.hessian, torch.autograd.functional.hessian(f, theta), **CLOSE)
    assert phantom.trace == pytest.approx(float(phantom.eigenvalues.sum()), abs=1e-10)
    torch.testing.assert_close(phantom.diagonal, phantom.hessian.diagonal(), **CLOSE)


@settings(max_examples=30, deadline=None)
@given(
    spectrum=st.lists(st.floats(-50, 50), min_size=1, max_size=8), rotated=st.booleans(), seed=st.integers(0, 2**31 - 1)
)
def test_a_quadratic_has_the_spectrum_asked_for_and_is_its_surface_everywhere(spectrum, rotated, seed):
    draw = torch.Generator().manual_seed(seed)
    minimum, point, step = (torch.randn(len(spectrum), generator=draw, dtype=torch.float64) for _ in range(3))
    phantom = phantoms.quadratic(spectrum, minimum=minimum, point=point, rotated=rotated, seed=draw)
    wanted = torch.tensor(sorted(spectrum, reverse=True), dtype=torch.float64)
    torch.testing.assert_close(phantom.eigenvalues, wanted, rtol=0, atol=1e-10)
    objective = phantom.objective
    theta = objective.vector(objective.parameters)
    torch.testing.assert_close(theta, point)
    there = objective.value(objective.tree(theta + step))
    torch.testing.assert_close(phantom.surface(step), there, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(phantom.surface(minimum - point), torch.zeros((), dtype=torch.float64), **CLOSE)


def test_an_unrotated_quadratic_is_diagonal_in_its_own_order():
    phantom = phantoms.quadratic([1.0, 5.0, -2.0], rotated=False)
    torch.testing.assert_close(phantom.hessian, torch.diag(torch.tensor([1.0, 5.0, -2.0]).double()), **CLOSE)


def test_shapes_lay_the_same_quadratic_out_in_several_tensors():
    point = torch.arange(6.0).double()
    flat, laid = (phantoms.quadratic(range(6), point=point, shapes=s, seed=1) for s in (None, [(2, 2), (2,)]))
    assert [tuple(p.shape) for p in laid.model.parameters()] == [(2, 2), (2,)]
    torch.testing.assert_close(flat.hessian, laid.hessian)
    torch.testing.assert_close(flat.objective.value(), laid.objective.value(), **CLOSE)


def test_a_surface_of_several_displacements_at_once_and_none_where_there_is_no_closed_form():
    phantom = phantoms.linear_regression(outputs=2)
    steps = torch.randn(4, phantom.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    objective = phantom.objective
    theta = objective.vector(objective.parameters)
    there = objective.value(objective.tree(theta + steps))
    torch.testing.assert_close(phantom.surface(steps), there, **CLOSE)
    with pytest.raises(InvalidInput, match="no closed form"):
        phantoms.two_layer().surface(torch.zeros(20))


def test_seeds_determine_everything():
    for build in (phantoms.linear_regression, phantoms.softmax_regression, phantoms.two_layer):
        again, other = build(seed=3), build(seed=4)
        assert again.hessian.equal(build(seed=3).hessian)
        assert not again.hessian.equal(other.hessian)
    assert phantoms.scale_invariant(seed=3)[1][0].equal(phantoms.scale_invariant(seed=3)[1][0])


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_scale_invariant_net_ignores_the_length_of_each_row(mode):
    model, data = phantoms.scale_invariant()
    objective = Objective(model, data=data, mode=mode)
    factor = torch.tensor([0.01, 0.5, 1.0, 3.0, 20.0, 100.0])
    state = phantoms.rescaled_before_norm(model.state_dict(), "linear", "norm", factor)
    torch.testing.assert_close(objective.at(state).value(), objective.value(), rtol=0, atol=1e-10)


def test_with_its_eps_a_normalisation_is_the_same_in_evaluation_however_small_the_variance():
    model, (x, _) = phantoms.scale_invariant()
    model.norm.eps = 1e-3
    moved = [
        functional_call(model, phantoms.rescaled_before_norm(model.state_dict(), "linear", "norm", 0.01, eps=eps), (x,))
        for eps in (1e-3, 0.0)
    ]
    torch.testing.assert_close(moved[0], model(x), rtol=0, atol=1e-11)
    assert (moved[1] - model(x)).abs().max() > 0.1


def test_a_scale_invariant_loss_obeys_euler():
    model, data = phantoms.scale_invariant()
    objective = Objective(model, data=data, mode="train", parameters=["linear"])
    w, g = objective.parameters, objective.gradient()
    torch.testing.assert_close((w["linear.weight"] * g["linear.weight"]).sum(1), torch.zeros(6).double(), **CLOSE)
    torch.testing.assert_close(objective.hvp(w)["linear.weight"], -g["linear.weight"], **CLOSE)
    far = objective.at({"linear.weight": 10 * w["linear.weight"]})
    torch.testing.assert_close(far.hessian().dense(), objective.hessian().dense() / 100, rtol=0, atol=1e-10)


@pytest.mark.parametrize("factor", [0.1, 30.0, torch.tensor([0.1, 1.0, 2.0, 30.0])])
def test_dinh_rescaling_leaves_the_function_and_moves_the_curvature(factor):
    net = nets.mlp(3, [5, 4], 2, seed=0, dtype=torch.float64)
    x = torch.randn(9, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    state = phantoms.rescaled(net.state_dict(), "hidden2", "output", factor)
    moved = functional_call(net, state, (x,))
    torch.testing.assert_close(moved, net(x), rtol=1e-12, atol=1e-12)
    objective = Objective(net, loss="mse", data=(x, torch.zeros(9, 2, dtype=torch.float64)))
    before, after = (torch.linalg.eigvalsh(o.hessian().dense())[-1] for o in (objective, objective.at(state)))
    assert after > 1.5 * before
    convolution = nets.convnet(2, image=(1, 8, 8), hidden=4, seed=0, dtype=torch.float64)
    x = torch.randn(3, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    state = phantoms.rescaled(convolution.state_dict(), "conv1", "conv2", torch.tensor([0.2, 7.0]))
    torch.testing.assert_close(functional_call(convolution, state, (x,)), convolution(x), rtol=1e-12, atol=1e-12)


def test_rescaling_leaves_the_state_it_was_given_alone():
    net = nets.mlp(3, [4], 2, seed=0)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    phantoms.rescaled(net.state_dict(), "hidden1", "output", 3.0)
    assert all(tensor.equal(before[name]) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), torch.ones(3)])
def test_a_factor_that_is_no_symmetry_is_refused(factor):
    state = nets.mlp(3, [4], 2, seed=0).state_dict()
    with pytest.raises(InvalidInput, match="factor"):
        phantoms.rescaled(state, "hidden1", "output", factor)


def test_bad_requests_are_refused():
    state = nets.mlp(3, [4, 5], 2, seed=0).state_dict()
    with pytest.raises(InvalidInput, match="4 units"):
        phantoms.rescaled(state, "hidden1", "output", 2.0)
    for spectrum in ([], [float("nan")], torch.ones(2, 2)):
        with pytest.raises(InvalidInput, match="eigenvalues"):
            phantoms.quadratic(spectrum)
    for wrong in ({"point": torch.ones(2)}, {"minimum": torch.ones(4)}, {"shapes": [(2, 2)]}):
        with pytest.raises(InvalidInput, match="another number"):
            phantoms.quadratic([1.0, 2.0, 3.0], **wrong)
    with pytest.raises(InvalidInput, match="activation"):
        phantoms.two_layer(activation="tanh")
