"""The linear bottleneck against the network whose first matrix is the product."""

import pytest
import torch

from lemmata import nets
from lemmata.errors import InvalidInput
from lemmata.nets.bottleneck import bottleneck
from lemmata.training.perceptron import perceptron_layers


def test_it_is_the_shallow_network_of_the_product():
    """float64: 1e-13 is some roundings."""
    net = bottleneck(12, 3, 7, 4, seed=0, dtype=torch.float64)
    shallow = nets.mlp(12, [7], 4, seed=1, dtype=torch.float64)
    with torch.no_grad():
        product = net.get_submodule("hidden1").weight @ net.get_submodule("bottleneck").weight
        shallow.get_submodule("hidden1").weight.copy_(product)
        shallow.get_submodule("hidden1").bias.copy_(net.get_submodule("hidden1").bias)
        shallow.get_submodule("output").load_state_dict(net.get_submodule("output").state_dict())
    x = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(net(x), shallow(x), rtol=0, atol=1e-13)
    assert int(torch.linalg.matrix_rank(product)) == 3


def test_it_has_rank_times_both_sides_for_the_product_and_trains_by_the_fast_path():
    net = bottleneck(784, 50, 4000, 10, seed=0)
    assert sum(p.numel() for p in net.parameters()) == 50 * (784 + 4000) + 4000 + 4000 * 10 + 10
    assert len(perceptron_layers(net, "mse") or []) == 3


def test_weights_depend_on_the_seed_alone_and_a_size_below_one_is_refused():
    first, again, other = (bottleneck(6, 2, 5, 3, seed=seed).get_submodule("output").weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    with pytest.raises(InvalidInput, match="size 0 at place 1"):
        bottleneck(6, 0, 5, 3, seed=0)
