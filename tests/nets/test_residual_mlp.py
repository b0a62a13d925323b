"""The residual perceptron against its formula."""

import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.nets.residual_mlp import residual_mlp


def test_it_is_its_formula():
    """Written out by matrix products, float64: 1e-13 is some roundings of numbers below 10."""
    net = residual_mlp(6, 5, 3, seed=0, dtype=torch.float64)
    x = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (W1, b1), (W2, b2), (W3, b3) = ((layer.weight, layer.bias) for layer in (net.hidden1, net.hidden2, net.output))
    h = torch.clamp(x.reshape(4, 6) @ W1.T + b1, min=0)
    expected = (h + torch.clamp(h @ W2.T + b2, min=0)) @ W3.T + b3
    torch.testing.assert_close(net(x), expected, rtol=0, atol=1e-13)


def test_weights_depend_on_the_seed_alone():
    assert torch.equal(residual_mlp(6, seed=2).hidden2.weight, residual_mlp(6, seed=2).hidden2.weight)
    assert not torch.equal(residual_mlp(6, seed=2).hidden2.weight, residual_mlp(6, seed=1).hidden2.weight)


def test_a_size_below_one_is_refused():
    with pytest.raises(InvalidInput, match="size 0 at place 1"):
        residual_mlp(6, 0, seed=0)
