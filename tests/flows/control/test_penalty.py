"""Penalties over time: integrals by quadrature, Haber and Ruthotto's sum, and training with them."""

import pytest
import torch

from lemmata import flows, training
from lemmata.errors import InvalidInput
from lemmata.flows import control

F64 = torch.float64


@pytest.mark.parametrize("basis", [flows.PiecewiseLinear(5, T=2.0), flows.Spline(6, T=2.0)])
def test_integrals_by_quadrature(basis):
    """The trapezoidal rule on 20,000 intervals: 1e-6."""
    field = flows.Plain(2, basis, dtype=F64)
    t = torch.linspace(0, 2, 20_001, dtype=F64)
    square = slope = 0.0
    for theta in field.coefficients.values():
        own = basis.evaluate(theta.detach(), t).flatten(1)
        square += torch.trapezoid(own.square().sum(1), t)
        slope += (own.diff(dim=0) ** 2).sum() / (t[1] - t[0])
    found = control.TimePenalty(tikhonov=2.0)(field).item(), control.TimePenalty(smoothness=2.0)(field).item()
    assert found == pytest.approx((square.item(), slope.item()), rel=1e-6)


def test_constant_pieces_have_the_sum_of_jumps():
    field = flows.Plain(2, flows.PiecewiseConstant(4, T=2.0), dtype=F64)
    jumps = sum(theta.detach().diff(dim=0).square().sum() for theta in field.coefficients.values())
    assert control.TimePenalty(smoothness=3.0)(field).item() == pytest.approx(1.5 * jumps.item() / 0.5, rel=1e-12)


def test_training_with_a_penalty_descends_on_the_sum():
    """One step of gradient descent for two members, against autograd of loss + penalty."""
    x, y = torch.randn(8, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(8, 2)
    nets = [flows.Flow(flows.Plain(2, flows.PiecewiseLinear(3), seed=s), steps=4) for s in (0, 1)]
    penalty = control.TimePenalty(tikhonov=0.1, smoothness=0.5)
    run = training.train(nets, x, y, loss="mse", optimiser=training.GD(lr=0.1), epochs=1, recipe=penalty)
    for m, net in enumerate(nets):
        J = (net(x) - y).square().mean() + penalty(net)
        J.backward()
        for name, theta in net.named_parameters():
            torch.testing.assert_close(run.states[name][m], (theta - 0.1 * theta.grad).detach())


def test_smooth_weights_come_of_a_large_factor():
    x, y = torch.randn(8, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(8, 2)
    net = flows.Flow(flows.Plain(2, flows.PiecewiseConstant(8)), steps=8)
    jumps = []
    for factor in (0.0, 1.0):
        recipe = control.TimePenalty(smoothness=factor)
        run = training.train([net], x, y, loss="mse", optimiser=training.GD(lr=0.02), epochs=100, recipe=recipe)
        jumps.append(run.states["field.coefficients.K"].diff(dim=1).norm().item())
    assert jumps[1] < 0.2 * jumps[0]


def test_bad_input():
    with pytest.raises(InvalidInput, match="smoothness = -1"):
        control.TimePenalty(smoothness=-1.0)
    with pytest.raises(InvalidInput, match="no field with weights"):
        control.TimePenalty(tikhonov=1.0)(torch.nn.Linear(2, 2))
