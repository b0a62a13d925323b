"""Features and their derivatives: the closed form of a layer beside automatic differentiation of the same module."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from lemmata.errors import InvalidInput
from lemmata.regression.single_layer import features as module
from lemmata.regression.single_layer.features import Body, Layer, features_of

F64 = torch.float64
ROUNDING = {"rtol": 1e-11, "atol": 1e-13}  # sums of some dozens of products in float64


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(net, seed=0):
    """The same module with weights of its own generator, so that no test depends on the global one."""
    g = seeded(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(0.7 * torch.randn(p.shape, generator=g))
    return net.double().eval()


def inputs(*shape, seed=1):
    return torch.randn(*shape, generator=seeded(seed), dtype=F64)


BODIES = {
    "tanh": (lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh()), (7, 3)),
    "sigmoid without bias": (lambda: nn.Sequential(nn.Linear(3, 4, bias=False), nn.Sigmoid()), (7, 3)),
    "relu of images": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.ReLU()), (7, 1, 2, 3)),
    "linear": (lambda: nn.Sequential(nn.Linear(3, 2), nn.Identity()), (7, 3)),
    "two layers": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3), nn.SiLU()), (7, 3)),
    "convolution": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten()),
        (5, 1, 5, 4),
    ),
}
CLOSED = ("tanh", "sigmoid without bias", "relu of images", "linear")


def made(name):
    build, shape = BODIES[name]
    net, x = drawn(build()), inputs(*shape)
    return net, x, features_of(net, x)


def oracle(net, x, start):
    """H as a plain function of the module's parameters, in the order that `start` has them."""
    names = [name for name, _ in net.named_parameters()]

    def evaluate(tree):
        return functional_call(net, dict(zip(names, tree, strict=True)), (x,)).flatten(1)

    return evaluate, tuple(p.detach().clone() for p in net.parameters())


def in_order(features, net, tree):
    """Lay derivatives by the module's parameters, each (*any, *shape), out as the features' theta."""
    if isinstance(features, Body):
        return torch.cat([part.flatten(part.ndim - p.ndim) for part, p in zip(tree, net.parameters(), strict=True)], -1)
    weight = tree[0].transpose(-1, -2)
    rows = [weight] + ([tree[1][..., None, :]] if features.biased else [])
    return torch.cat(rows, -2).flatten(-2)


@pytest.mark.parametrize("name", BODIES)
def test_the_right_kind_is_taken(name):
    assert isinstance(made(name)[2], Layer if name in CLOSED else Body)


@pytest.mark.parametrize("name", BODIES)
def test_derivatives_are_those_of_autograd(name):
    net, x, features = made(name)
    evaluate, tree = oracle(net, x, features.start)
    J = in_order(features, net, torch.autograd.functional.jacobian(lambda *t: evaluate(t), tree))  # (n, m, p)
    point = features.at(features.start)
    torch.testing.assert_close(point.H, evaluate(tree), **ROUNDING)
    n, m, p = J.shape
    v, G, W, R = inputs(p), inputs(n, m, seed=2), inputs(m, 2, seed=3), inputs(n, 2, seed=4)
    torch.testing.assert_close(point.push(v), J @ v, **ROUNDING)
    torch.testing.assert_close(point.pull(G), torch.einsum("nm,nmp->p", G, J), **ROUNDING)
    outputs = torch.einsum("nmp,mk->nkp", J, W)
    torch.testing.assert_close(point.jacobian(W, slice(None)), outputs, **ROUNDING)
    torch.testing.assert_close(point.jacobian(W, slice(2, 4)), outputs[2:4], **ROUNDING)
    torch.testing.assert_close(point.moved(R), torch.einsum("nmp,nk->mkp", J, R), **ROUNDING)


@pytest.mark.parametrize("name", BODIES)
def test_a_module_of_other_parameters(name):
    net, x, features = made(name)
    theta = features.start + 0.1 * inputs(len(features.start), seed=5)
    moved = features.module(theta)
    torch.testing.assert_close(moved(x).flatten(1), features.at(theta).H, **ROUNDING)
    assert not torch.equal(moved(x), net(x))
    assert all(p.requires_grad for p in moved.parameters())


@pytest.mark.parametrize("name", BODIES)
def test_the_module_is_not_changed(name):
    net, x, _ = made(name)
    before = copy.deepcopy(net.state_dict())
    features = features_of(net, x)
    point = features.at(features.start + 1)
    point.pull(point.H)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


def test_moved_in_chunks_is_the_same(monkeypatch):
    _, _, features = made("two layers")
    R = inputs(7, 2, seed=4)
    whole = features.at(features.start).moved(R)
    monkeypatch.setattr(module, "BYTES", 1)  # one backward pass at a time
    torch.testing.assert_close(features.at(features.start).moved(R), whole, **ROUNDING)


def test_operations_of_a_forward_pass_are_counted():
    _, _, layer = made("tanh")
    assert layer.forward_flops == 2 * 7 * 4 * 5
    _, _, deep = made("two layers")
    assert deep.forward_flops == 2 * 7 * (3 * 4 + 4 * 3)


def test_hooks_and_subclasses_go_the_general_way():
    net, x, _ = made("tanh")
    net[0].register_forward_hook(lambda _module, _inputs, output: 2 * output)
    features = features_of(net, x)
    assert isinstance(features, Body)
    torch.testing.assert_close(features.at(features.start).H, net(x).detach(), **ROUNDING)


@pytest.mark.parametrize("part", [nn.Dropout(0.5), nn.BatchNorm1d(4)])
def test_training_mode_is_refused(part):
    net = nn.Sequential(nn.Linear(3, 4), part)
    with pytest.raises(InvalidInput, match=r"'1' is in training mode.*call \.eval\(\)"):
        features_of(net.train(), inputs(5, 3))
    features_of(net.eval(), inputs(5, 3))


def test_no_features_or_none_to_train_are_refused():
    with pytest.raises(InvalidInput, match="no parameters"):
        features_of(nn.Tanh(), inputs(5, 3))
    with pytest.raises(InvalidInput, match="not str"):
        features_of("tanh", inputs(5, 3))


@pytest.mark.gpu
def test_on_the_device():
    for name in BODIES:
        net, x, here = made(name)
        there = features_of(net.cuda(), x.cuda())
        v = inputs(len(here.start))
        found = there.at(there.start).push(v.cuda())
        np.testing.assert_allclose(found.cpu(), here.at(here.start).push(v), rtol=1e-9, atol=1e-11)
