"""Expansion manifolds: points by forward passes, gradients by autograd, dimensions by the rank of random points."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap

from lemmata.errors import InvalidInput
from lemmata.landscape.symmetry import G, T, expansion_manifold
from lemmata.objective import Objective


def perceptron(*, bias: bool = False, outputs: int = 1) -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(3, 2, bias=bias), nn.Tanh(), nn.Linear(2, outputs, bias=bias)).double()


def convolutional() -> nn.Sequential:
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)
    ).double()
    net.train()(torch.randn(5, 1, 6, 6, dtype=torch.float64))
    return net.eval()


@pytest.mark.parametrize("net", [perceptron(bias=True, outputs=2), convolutional()], ids=["linear", "convolutional"])
@pytest.mark.parametrize("critical", [False, True])
def test_loss_is_constant_along_it(net, critical: bool):
    """200 random points of random subspaces: outputs as the original's to 1e-12."""
    x = torch.randn(4, 3, dtype=torch.float64) if isinstance(net[0], nn.Linear) else torch.randn(4, 1, 6, 6).double()
    wide = expansion_manifold(net, 0, neurons=6, critical=critical)
    states = wide.draw(200, seed=0)
    model = wide.model.eval()
    outputs = vmap(lambda state: functional_call(model, state, (x,)))(states)
    assert (outputs - net(x)).abs().max() < 1e-12
    assert len(torch.unique(states[wide.layer.outgoing].flatten(1), dim=0)) == 200


def test_gradient_is_zero_on_the_critical_manifold_and_not_beside_it():
    """At a point that is critical since the targets' residual is orthogonal to all features of the tangent space."""
    net = perceptron()
    x = torch.randn(30, 3, dtype=torch.float64)
    theta = dict(net.named_parameters())
    with torch.no_grad():
        out = net(x)
    jacobian = torch.func.jacrev(lambda p: functional_call(net, p, (x,)))({k: v.detach() for k, v in theta.items()})
    J = torch.cat([t.reshape(30, -1) for t in jacobian.values()], 1)
    residual = torch.randn(30, 1, dtype=torch.float64)
    residual = residual - J @ torch.linalg.lstsq(J, residual).solution
    wide = expansion_manifold(net, 0, neurons=5, critical=True)
    objective = Objective(wide.model, loss="mse", data=(x, out + residual))
    for critical, low, high in ((True, 0.0, 1e-12), (False, 1e-3, 1e9)):
        states = expansion_manifold(net, 0, neurons=5, critical=critical).draw(20, labels=None, seed=1)
        slopes = objective.vector(objective.gradient(states)).norm(dim=1)
        if not critical:
            slopes = slopes.max()[None]
        assert (slopes >= low).all()
        assert (slopes < high).all()


@pytest.mark.parametrize(
    ("labels", "critical"),
    [((0, 1, 0, 1), True), ((0, 1, 1, 1), False), ((0, -1, 1, -1), False), ((0, -1, 1, -2), False)],
)
def test_dimension_is_that_of_random_points(labels: tuple[int, ...], critical: bool):
    """The rank of 60 differences of random points; spread keeps singular values above 1e-6."""
    wide = expansion_manifold(perceptron(outputs=2), 0, neurons=4, critical=critical)
    states = wide.draw(61, labels=labels, seed=0)
    points = torch.cat([t.flatten(1) for t in states.values()], 1)
    rank = int(torch.linalg.matrix_rank(points[1:] - points[0], atol=1e-6))
    assert wide.dimension(labels) == rank


def test_counts_and_placed_points():
    net = perceptron()
    wide = expansion_manifold(net.state_dict(), 0, neurons=4)
    assert wide.count == T(2, 4)
    assert expansion_manifold(net, 0, neurons=4, critical=True).count == G(2, 4)
    state = wide.at([1, 0, 1, 1], [0.5, 1.0, 0.25, 0.25])
    assert torch.equal(state["0.weight"][2], net[0].weight[1])
    torch.testing.assert_close(state["2.weight"][0, 2], 0.25 * net[2].weight[0, 1])
    torch.testing.assert_close(wide.at([1, 0, 1, 1])["2.weight"][0, 0], net[2].weight[0, 1] / 3)


def test_draws_repeat_by_seed_and_take_a_generator():
    wide = expansion_manifold(perceptron(), 0, neurons=4)
    first, again, other = (wide.draw(3, seed=seed)["0.weight"] for seed in (4, torch.Generator().manual_seed(4), 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    "call",
    [
        lambda wide: wide.at([0, -1, 1, 0]),
        lambda wide: wide.at([0, 1, 1]),
        lambda wide: wide.at([0, 0, 0, 0]),
        lambda wide: wide.at([0, 1, 1, 1], [1.0, 0.5, 0.5, 0.5]),
        lambda wide: wide.draw(1, labels=[0, -2, 1, 0], seed=0),
        lambda wide: wide.model,
        lambda wide: expansion_manifold(wide.state, 0, neurons=1),
    ],
)
def test_refused(call):
    with pytest.raises(InvalidInput):
        call(expansion_manifold(perceptron().state_dict(), 0, neurons=4))
