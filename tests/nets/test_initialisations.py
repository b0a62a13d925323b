"""Variances of the initialisations against their formulas, and orthogonality.

A variance from N = 120,000 draws has relative standard deviation sqrt((kurtosis - 1) / N) <= 0.0041; the tolerance of
0.025 is six of these, so each test fails by chance less than once in 10^8.
"""

import math

import pytest
import torch
from torch import nn

from lemmata import nets

N, M = 300, 400
VARIANCES = {
    "standard": 1 / (3 * N),
    "xavier": 2 / (N + M),
    "xavier_normal": 2 / (N + M),
    "he": 2 / N,
    "he_uniform": 2 / N,
    "lecun": 1 / N,
}


def weight(name, seed=0, layer=None):
    return nets.initialise(layer or nn.Linear(N, M), name, seed).weight.detach()


@pytest.mark.parametrize("name", VARIANCES)
def test_the_variance_is_that_of_the_paper(name):
    W = weight(name)
    assert W.var().item() == pytest.approx(VARIANCES[name], rel=0.025)
    # the mean of N M draws: six standard deviations
    assert abs(W.mean().item()) < 6 * math.sqrt(VARIANCES[name] / W.numel())


@pytest.mark.parametrize("name", ["standard", "xavier", "he_uniform"])
def test_uniform_laws_fill_their_interval(name):
    bound = math.sqrt(3 * VARIANCES[name])
    W = weight(name)
    assert 0.999 * bound < W.max() <= bound
    assert -bound <= W.min() < -0.999 * bound


@pytest.mark.parametrize("name", VARIANCES)
def test_a_convolution_counts_its_kernel_into_the_fan(name):
    W = weight(name, layer=nn.Conv2d(12, 1000, 5))  # fan-in 300, fan-out 25,000
    fan_out = 1000 * 25
    expected = 2 / (N + fan_out) if "xavier" in name else VARIANCES[name]
    assert W.var().item() == pytest.approx(expected, rel=0.025)


@pytest.mark.parametrize("shape", [(20, 20), (30, 12), (12, 30)])
def test_orthogonal_is_orthogonal(shape):
    W = nets.initialise(nn.Linear(shape[1], shape[0]).double(), "orthogonal", 0).weight.detach()
    gram = W @ W.T if shape[0] <= shape[1] else W.T @ W
    torch.testing.assert_close(gram, torch.eye(min(shape), dtype=torch.float64), rtol=0, atol=1e-12)


def test_biases_are_zero_except_under_standard():
    assert nets.initialise(nn.Linear(N, M), "he", 0).bias.abs().max() == 0
    bias = nets.initialise(nn.Linear(N, M), "standard", 0).bias
    assert 0.9 / math.sqrt(N) < bias.abs().max() <= 1 / math.sqrt(N)


def test_gain_multiplies_the_weights():
    torch.testing.assert_close(nets.initialise(nn.Linear(N, M), "he", 0, gain=3.0).weight, 3 * weight("he"))


def test_a_callable_law_fills_the_weights():
    net = nets.mlp(3, [4], 2, initialisation=lambda w, g: w.fill_(0.25), seed=0)
    assert (net.hidden1.weight == 0.25).all()
    assert (net.output.weight == 0.25).all()


def test_ntk_parameterisation_has_lecuns_law_and_width_independent_gradients():
    x = torch.randn(1, 100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    widths, norms = (50, 200, 800), []
    for width in widths:
        squares = []
        for seed in range(20):
            net = nets.mlp(100, [width], 1, initialisation="ntk", seed=seed, dtype=torch.float64)
            gradient = torch.autograd.grad(net(x).sum(), list(net.parameters()))
            squares.append(sum(float(g.square().sum()) for g in gradient))
        norms.append(sum(squares) / len(squares))
    # the kernel K(x, x) tends to a limit: means of 20 draws with relative deviation below 6%; five of them
    assert max(norms) / min(norms) < 1.3
    layer = nets.NTKLinear(N, M, seed=0)
    assert layer.weight.var().item() == pytest.approx(1.0, rel=0.025)
    assert (layer.weight_factor * layer.weight).var().item() == pytest.approx(1 / N, rel=0.025)
