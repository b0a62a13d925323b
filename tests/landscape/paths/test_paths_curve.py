"""Trained curves: the gradient against autograd through the whole curve, exact ends, members apart, resuming."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from lemmata import nets
from lemmata.errors import InvalidInput, UnknownName
from lemmata.landscape import Interrupted, paths
from lemmata.landscape.paths.bases import bernstein, hats
from lemmata.landscape.paths.bends import Bends
from lemmata.landscape.paths.ends import Ends
from lemmata.training import GD, SGD


def perceptron(seed):
    return nets.mlp(4, [6, 5], 3, seed=seed, dtype=torch.float64)


def convolutional(seed):
    model = nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 2, padding=1), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(),
        nn.Linear(27, 3),
    ).double()  # fmt: skip
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=draw) * 0.5)
    return model.eval()


def data(n=24):
    draw = torch.Generator().manual_seed(7)
    return torch.randn(n, 4, generator=draw, dtype=torch.float64), torch.randint(3, (n,), generator=draw)


@pytest.mark.parametrize("points", [2, 3, 5])
def test_bases_sum_to_one_and_are_exact_at_the_ends(points):
    t = torch.linspace(0, 1, 41, dtype=torch.float64)
    for basis in (bernstein, hats):
        c = basis(t, points)
        torch.testing.assert_close(c.sum(1), torch.ones(41, dtype=torch.float64))
        assert (c >= 0).all()
        assert c[0].tolist() == [1.0] + [0.0] * (points - 1)
        assert c[-1].tolist() == [0.0] * (points - 1) + [1.0]
        line = c @ torch.linspace(0, 1, points, dtype=torch.float64)  # evenly spaced points: the line at even speed
        torch.testing.assert_close(line, t)


def test_bezier_weights_are_those_of_de_casteljau():
    control = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for t in (0.0, 0.3, 0.77, 1.0):
        level = control
        while len(level) > 1:
            level = (1 - t) * level[:-1] + t * level[1:]
        torch.testing.assert_close(bernstein(torch.tensor(t, dtype=torch.float64), 5) @ control, level[0])


@pytest.mark.parametrize("make", [perceptron, convolutional])
@pytest.mark.parametrize("basis", [bernstein, hats])
def test_gradient_is_that_of_autograd_through_the_curve(make, basis):
    draws, bends, decay = 3, 2, 0.1
    ends = Ends.of(make(0), [make(0), make(2)], [make(1), make(3)])
    moving = Bends(ends.models, ends.straight(bends), basis, loss="cross_entropy", draws=draws, decay=decay)
    moving.theta.add_(0.1 * torch.randn(moving.theta.shape, generator=torch.Generator().manual_seed(0)))
    moving.t = torch.tensor([[0.1, 0.5, 0.8], [0.2, 0.4, 0.95]], dtype=torch.float64)
    x, y = data()
    losses = moving.accumulate(x[None].expand(2, -1, -1), y[None].expand(2, -1), shared=False)
    control = moving.control()
    for i in range(2):
        points = {name: tensor[i].clone().requires_grad_() for name, tensor in control.items()}
        total, mean = 0.0, 0.0
        for t in moving.t[i]:
            c = basis(t, bends + 2)
            theta = {name: torch.tensordot(c, p, 1) for name, p in points.items()}
            network = copy.deepcopy(make(0)).train()
            loss = nn.functional.cross_entropy(functional_call(network, theta, (x,)), y)
            mean = mean + loss / draws
            total = total + (loss + decay / 2 * sum(p.square().sum() for p in theta.values())) / draws
        torch.testing.assert_close(losses[i], mean.detach())
        slopes = torch.autograd.grad(total, list(points.values()))
        found = moving.layout.views(moving.gradient)
        for (name, _), slope in zip(points.items(), slopes, strict=True):
            own = found[name].view(2, bends, *slope.shape[1:])[i]
            torch.testing.assert_close(own, slope[1:-1], rtol=1e-9, atol=1e-12)  # float64, sums in another order


@pytest.mark.parametrize("shared", [True, False])
def test_a_network_alone_has_the_gradient_it_has_among_others(shared):
    (x, y), found = data(), []
    for count in (1, 2):
        ends = Ends.of(convolutional(0), [convolutional(0)] * count, [convolutional(1)] * count)
        moving = Bends(ends.models, ends.straight(1), bernstein, loss="cross_entropy", draws=1, decay=0.0)
        moving.t.fill_(0.3)
        own = x if shared else x[None].expand(count, -1, -1)
        losses = moving.accumulate(own, y[None].expand(count, -1), shared=shared)
        slopes = moving.layout.views(moving.gradient)
        found.append((losses[0], {name: slope[0].clone() for name, slope in slopes.items()}))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("kind", ["bezier", "polygon"])
def test_ends_are_exact_to_the_bit(kind):
    a, b = convolutional(0), convolutional(1)
    found = paths.curve(a, a, b, kind=kind, bends=2, data=data(), epochs=3, batch_size=8)
    for t, model in ((0.0, a), (1.0, b)):
        state = found.at(t)
        assert all(state[name].equal(tensor) for name, tensor in model.state_dict().items())
    kept = found.path(points=3, batch_norm="keep")
    line = paths.linear(a, a, b, data=data(), points=2)
    assert kept.loss[[0, -1]].tolist() == line.loss.tolist()


def test_training_lowers_the_loss_on_the_curve_where_a_line_is_high():
    model, x = nn.Linear(1, 2, bias=False), torch.ones(1, 1)

    def ring(z, y):
        return (z.square().sum(1) - 1).square().mean()

    a, b = ({"weight": torch.tensor([[s], [0.1]])} for s in (-1.0, 1.0))
    options = {"loss": ring, "data": (x, x), "epochs": 600, "batch_size": None, "draws": 16}
    rule = GD(lr=0.02, momentum=0.9)
    found = paths.curve(model, a, b, optimiser=rule, bends=3, **options)
    assert float(found.path().loss.max()) < 0.03  # the straight line has 0.98; a cubic arc is a half circle to 2 %
    assert found.history[-1] < 0.02 < found.history[0]


def test_each_curve_comes_out_as_it_would_alone():
    models, (x, y) = [perceptron(seed) for seed in range(4)], data()
    own = torch.stack([x, x + 0.1]), torch.stack([y, y.flip(0)])
    options = {"epochs": 4, "batch_size": 10, "draws": 2}
    both = paths.curves(models[0], models[:2], models[2:], data=own, own_data=True, seeds=[5, 6], **options)
    for i in range(2):
        alone = paths.curve(models[0], models[i], models[i + 2], data=(own[0][i], own[1][i]), seed=5 + i, **options)
        for name, tensor in alone.control.items():
            torch.testing.assert_close(both[i].control[name], tensor)
        np.testing.assert_allclose(both[i].history, alone.history)


def test_interrupted_and_gone_on_with():
    a, b = perceptron(0), perceptron(1)
    rule = SGD(lr=0.05)  # without momentum, going on is the same as never having stopped
    options = {"data": data(), "batch_size": 8, "optimiser": rule}

    def stop(epoch, epochs):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        paths.curve(a, a, b, epochs=5, progress=stop, **options)
    (partial,) = caught.value.partial
    assert len(partial.history) == 2
    again = paths.curve(a, a, b, epochs=5, known=partial, **options)
    whole = paths.curve(a, a, b, epochs=5, **options)
    np.testing.assert_allclose(again.history, whole.history)
    for name, tensor in whole.control.items():
        torch.testing.assert_close(again.control[name], tensor)


def test_nothing_of_the_models_is_changed():
    a, b = convolutional(0), convolutional(1)
    before = [copy.deepcopy(m.state_dict()) for m in (a, b)]
    state = torch.get_rng_state()
    paths.curve(a, a, b, data=data(), epochs=2, batch_size=8)
    for model, kept in zip((a, b), before, strict=True):
        assert all(model.state_dict()[name].equal(tensor) for name, tensor in kept.items())
    assert torch.get_rng_state().equal(state)


def test_tied_weights_stay_tied():
    class Tied(nn.Module):
        def __init__(self, seed):
            super().__init__()
            self.a, self.b = (nets.mlp(3, [], 3, seed=seed) for _ in range(2))
            self.b.output.weight = self.a.output.weight

        def forward(self, x):
            return self.b(self.a(x).tanh())

    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    found = paths.curve(Tied(0), Tied(0), Tied(1), loss="mse", data=(x, x), epochs=2)
    state = found.at(0.5)
    assert state["a.output.weight"].equal(state["b.output.weight"])
    assert np.isfinite(found.path(points=3).loss).all()


def test_the_plane_holds_the_curve():
    a, b = perceptron(0), perceptron(1)
    found = paths.curve(a, a, b, data=data(), epochs=5, batch_size=8)
    plane = paths.plane(found, points=5, adaptive=False)
    assert plane.course[0].tolist() == [0.0, 0.0]
    assert plane.course[-1].tolist() == [1.0, 0.0]
    middle, (first, second) = plane.course[25], plane.surface.directions
    state, start = found.at(0.5), found.at(0.0)
    for name, direction in first.items():
        expected = start[name] + middle[0] * direction + middle[1] * second[name]
        torch.testing.assert_close(state[name], expected)
    assert len(plane.plot().panels[0].series) == 4
    assert found.plot().panels[0].series[0].label == "bezier"
    with pytest.raises(InvalidInput, match="more than one bend"):
        paths.plane(paths.curve(a, a, b, bends=2, data=data(), epochs=1))


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"kind": "spline"}, UnknownName, "kind of curve"),
        ({"bends": 0}, InvalidInput, "bends"),
        ({"seeds": [1, 2]}, InvalidInput, "one seed a curve"),
        ({"own_data": True}, InvalidInput, "first axis"),
    ],
    ids=["kind", "bends", "seeds", "data"],
)
def test_what_does_not_fit_is_refused(options, error, told):
    with pytest.raises(error, match=told):
        paths.curves(perceptron(0), [perceptron(0)], [perceptron(1)], **{"data": data(), **options})


def test_ends_that_differ_in_a_buffer_that_does_not_move_are_refused():
    a, b = (nn.Sequential(nn.Linear(4, 3)).double() for _ in range(2))
    a.register_buffer("mask", torch.ones(1))
    b.register_buffer("mask", torch.zeros(1))
    with pytest.raises(InvalidInput, match="'mask'"):
        paths.curve(a, a, b, data=data(), epochs=1)
