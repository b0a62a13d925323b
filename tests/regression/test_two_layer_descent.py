import pytest
import torch
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.regression.two_layer_descent import TwoLayer, descend, stability_number


def problem(members=3, n=7, d=4, h=6, seed=0):
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    net = TwoLayer(normal(members, h, d), normal(members, h), normal(members, h), normal(members))
    return net, (normal(members, n, d), normal(members, n)), (normal(members, 5, d), normal(members, 5))


def module(net, i):
    layers = nn.Sequential(nn.Linear(*net.W[i].T.shape), nn.ReLU(), nn.Linear(len(net.v[i]), 1)).double()
    values = (net.W[i], net.b[i], net.v[i][None], net.c[i][None])
    with torch.no_grad():
        for parameter, value in zip(layers.parameters(), values, strict=True):
            parameter.copy_(value)
    return layers


def test_each_member_equals_autograd_on_its_own_network():
    """Twenty steps with two step sizes; float64 rounding through 20 steps of a smooth map: 1e-10 relative."""
    net, train, test = problem()
    steps, sizes = [0, 1, 2, 5, 20], (3e-4, 1e-3)
    result = descend(net, train, test, step_sizes=sizes, steps=steps)
    for i in range(3):
        layers, losses, risks = module(net, i), [], []
        for k in range(21):
            loss = (layers(train[0][i])[:, 0] - train[1][i]).square().sum()
            if k in steps:
                losses.append(loss.detach())
                risks.append((layers(test[0][i])[:, 0] - test[1][i]).abs().mean().detach())
            gradient = torch.autograd.grad(loss, list(layers.parameters()))
            with torch.no_grad():
                for place, size in enumerate((sizes[0], sizes[0], sizes[1], sizes[1])):
                    list(layers.parameters())[place].sub_(size * gradient[place])
        torch.testing.assert_close(result.loss[i], torch.stack(losses), rtol=1e-10, atol=0)
        torch.testing.assert_close(result.risk[i], torch.stack(risks), rtol=1e-10, atol=0)


def test_stability_number_equals_the_jacobians_of_autograd():
    """Explicit kernels against eta_1 J_1 J_1' + eta_2 J_2 J_2' with J by autograd: 1e-12 relative."""
    net, (X, _), _ = problem()
    sizes = (0.3, 0.02)
    for i in range(3):
        layers = module(net, i)
        rows = [
            torch.cat(
                [
                    (size**0.5 * part).flatten()
                    for part, size in zip(
                        torch.autograd.grad(layers(x)[0], list(layers.parameters())),
                        (0.3, 0.3, 0.02, 0.02),
                        strict=True,
                    )
                ]
            )
            for x in X[i]
        ]
        J = torch.stack(rows)
        top = torch.linalg.eigvalsh(J @ J.T)[-1]
        torch.testing.assert_close(stability_number(net, X, net.hidden(X), sizes)[i], top, rtol=1e-12, atol=0)


def test_the_stability_number_tells_where_descent_of_the_last_layer_turns_unstable():
    """With the first layer as good as fixed the loss is quadratic, and the loss rises just if the number is over 1."""
    net, train, test = problem(members=1)
    unit = float(stability_number(net, train[0], net.hidden(train[0]), (1e-300, 1.0)))
    for number, rises in ((0.98, False), (1.02, True)):
        loss = descend(net, train, test, step_sizes=(1e-300, number / unit), steps=range(400)).loss[0]
        assert bool(loss[-1] > 10 * loss.min()) is rises
        assert bool((loss.diff() > 1e-12 * loss[0]).any()) is rises


def test_a_member_that_diverges_leaves_the_others_alone():
    net, train, test = problem()
    train[0][1] *= 1e6
    result = descend(net, train, test, step_sizes=(1e-3, 1e-3), steps=[0, 60])
    alone = [0, 2]
    rest = descend(
        TwoLayer(*(part[alone] for part in net)),
        (train[0][alone], train[1][alone]),
        (test[0][alone], test[1][alone]),
        step_sizes=(1e-3, 1e-3),
        steps=[0, 60],
    )
    assert not torch.isfinite(result.loss[1, 1])
    assert torch.isnan(result.stability[1, 1])
    torch.testing.assert_close(result.loss[alone], rest.loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(result.stability[alone], rest.stability, rtol=1e-12, atol=0)


@pytest.mark.parametrize("steps", [[], [3, 2], [1, 1], [-1, 2]])
def test_steps_must_increase(steps):
    net, train, test = problem()
    with pytest.raises(InvalidInput, match="non-empty increasing sequence"):
        descend(net, train, test, step_sizes=(0.1, 0.1), steps=steps)
