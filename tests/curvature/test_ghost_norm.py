"""Squares of per-sample gradients against the gradients themselves, taken one sample at a time by autograd.

Tolerance 1e-12 relative: the same sums of at most some hundred float64 products in another order.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from lemmata.curvature.ghost_norm import Outer, patches
from lemmata.curvature.parameter_uses import first_nodes, parameter_uses
from lemmata.curvature.signals import Signals

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def per_sample_gradients(layer, x, d):
    """The gradients of d_n . z_n by the layer's parameters for each n: the oracle."""
    found = {name: [] for name, _ in layer.named_parameters()}
    for n in range(len(x)):
        value = (layer(x[n : n + 1]) * d[n : n + 1]).sum()
        for name, g in zip(found, torch.autograd.grad(value, list(layer.parameters())), strict=True):
            found[name].append(g)
    return {name: torch.stack(parts) for name, parts in found.items()}


def signals_of(layer, x, d):
    """Each use in layer(x), with the gradient of sum d . z at its node."""
    z = layer(x)
    uses, rest = parameter_uses(z, dict(layer.named_parameters()))
    assert not rest
    found = {}
    signals = Signals(z, uses)
    with torch.no_grad(), signals:
        signals.pull(d, found.__setitem__)
    return uses, found


def random(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@st.composite
def convolutions(draw):
    """A convolution of any geometry in one to three dimensions, and an input that it accepts."""
    dimensions = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 2]))
    kernel = [draw(st.integers(1, 3)) for _ in range(dimensions)]
    dilation = [draw(st.integers(1, 2)) for _ in range(dimensions)]
    stride = [draw(st.integers(1, 3)) for _ in range(dimensions)]
    padding = [draw(st.integers(0, 2)) for _ in range(dimensions)]
    size = [r * (k - 1) + draw(st.integers(1, 4)) for k, r in zip(kernel, dilation, strict=True)]
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]
    inputs, outputs = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 2))
    torch.manual_seed(0)
    layer = kind(inputs, outputs, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return layer.double(), random(3, inputs, *size)


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_any_convolution(case):
    layer, x = case
    check(layer, x)


@settings(max_examples=30, deadline=None)
@given(convolutions())
def test_patches_times_the_kernel_are_the_convolution(case):
    layer, x = case
    if layer.groups > 1:
        return
    a = patches(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    z = layer.weight.flatten(1) @ a + layer.bias[:, None]
    torch.testing.assert_close(z.reshape(layer(x).shape), layer(x), **CLOSE)


def check(layer, x):
    d = random(*layer(x).shape, seed=2)
    uses, signals = signals_of(layer, x, d)
    for name, G in per_sample_gradients(layer, x, d).items():
        (use,) = uses[name]
        torch.testing.assert_close(use.gradients(signals[use]), G, **CLOSE)
        norms = G.flatten(1).square().sum(1)
        torch.testing.assert_close(use.square_norms(signals[use]), norms, **CLOSE)
        if isinstance(use, Outer) and use.positions == 1:
            signs = torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)
            use.add_square_entries(signals[use], signs)
            use.add_square_entries(signals[use], None)
            wanted = (G.square() * (1 + signs).view(-1, *[1] * (G.ndim - 1))).sum(0)
            torch.testing.assert_close(use.square_entries(), wanted, **CLOSE)


LAYERS = {
    "linear": (nn.Linear(4, 5), (4,)),
    "linear at positions, by gradients": (nn.Linear(4, 5), (6, 4)),
    "linear at positions, by products": (nn.Linear(40, 5), (2, 3, 40)),
    "linear without bias, at positions": (nn.Linear(4, 5, bias=False), (6, 4)),
    "normalisation of vectors": (nn.BatchNorm1d(4), (4,)),
    "normalisation of images": (nn.BatchNorm2d(3), (3, 4, 5)),
    "layer normalisation": (nn.LayerNorm(4), (5, 4)),
    "layer normalisation of images": (nn.LayerNorm([2, 3]), (4, 2, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    layer, shape = LAYERS[name]
    layer = layer.double().eval()
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        layer.running_mean.copy_(random(layer.num_features))
        layer.running_var.copy_(random(layer.num_features).square() + 0.1)
    check(layer, random(3, *shape))


class Scaled(nn.Module):
    """W and b scaled by constants, and W taken as it lies: x W."""

    def __init__(self):
        super().__init__()
        self.weight, self.plain = nn.Parameter(random(5, 4)), nn.Parameter(random(4, 5, seed=3))
        self.bias = nn.Parameter(random(5, seed=4))

    def forward(self, x):
        return functional.linear(x, 0.5 * self.weight * -3.0, 2 * self.bias) + x @ (7 * self.plain / 2)


def test_constant_factors_and_either_orientation():
    check(Scaled(), random(3, 4))


@pytest.mark.parametrize(("K", "by_gram"), [(4, False), (40, True)])
def test_the_cheaper_form_is_taken(K, by_gram):
    """6 positions, 5 outputs, 7 passes: products of positions only where the gradients would take more flops."""
    layer = nn.Linear(K, 5, bias=False).double()
    use = parameter_uses(layer(random(3, 6, K)), {"weight": layer.weight})[0]["weight"][0]
    products, gradients = 2 * 6 * 6 * (7 * 5 + K), 7 * 2 * 6 * K * 5
    assert use.flops(entries=False, passes=7) == (2 * 6 * K * 5, products if by_gram else gradients)
    assert use.flops(entries=True, passes=7) == (2 * 6 * K * 5, gradients)
    assert use.bytes(entries=False, several=False) == 8 * (6 * 6 if by_gram else K * 5)


def test_uses_are_counted_on_the_graph():
    layer = nn.Linear(4, 4).double()
    x = random(3, 4)
    uses, rest = parameter_uses(layer(torch.relu(layer(x))) + layer(x), dict(layer.named_parameters()))
    assert {name: len(each) for name, each in uses.items()} == {"weight": 3, "bias": 3}
    assert rest == []
    assert len(first_nodes(uses)) == 2  # the third follows one of them


def test_what_is_not_recognised_is_left_over():
    weight, scale = nn.Parameter(random(4, 4)), nn.Parameter(random(4))
    up = nn.ConvTranspose1d(1, 1, 2).double()
    z = up(((random(3, 4) @ (1 / weight)) * scale)[:, None]).flatten(1)
    uses, rest = parameter_uses(z, {"weight": weight, "scale": scale, "up": up.weight, "bias": up.bias})
    assert rest == ["weight", "scale", "up", "bias"]
    assert uses == {}


def test_rows_by_position():
    """(T, n, c) instead of (n, T, c): told by the order that the caller sets."""
    layer, x, d = nn.Linear(4, 5).double(), random(6, 3, 4), random(6, 3, 5)
    z = layer(x)
    uses, _ = parameter_uses(z.transpose(0, 1), dict(layer.named_parameters()))
    G = per_sample_gradients(layer, x.transpose(0, 1), d.transpose(0, 1))
    for name, (use,) in uses.items():
        use.samples_first = False
        torch.testing.assert_close(use.square_norms(d.flatten(0, 1)), G[name].flatten(1).square().sum(1), **CLOSE)
