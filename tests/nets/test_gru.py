"""The recurrent network against PyTorch's own, alone and under vmap."""

import pytest
import torch
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.nets.gru import GRU, gru
from lemmata.training.ensemble import Ensemble


def pytorchs(net: GRU) -> nn.GRU:
    """`torch.nn.GRU` with the same weights."""
    own = nn.GRU(1, net.hidden, batch_first=True, bidirectional=True, dtype=torch.float64)
    with torch.no_grad():
        for direction, suffix in enumerate(("", "_reverse")):
            getattr(own, f"weight_ih_l0{suffix}").copy_(net.input_weight[direction])
            getattr(own, f"weight_hh_l0{suffix}").copy_(net.state_weight[direction])
            getattr(own, f"bias_ih_l0{suffix}").copy_(net.input_bias[direction])
            getattr(own, f"bias_hh_l0{suffix}").copy_(net.state_bias[direction])
    return own


def test_it_is_pytorchs():
    """float64, so that only the order of operations differs: 1e-12."""
    net = gru(5, length=17, outputs=3, seed=0, dtype=torch.float64)
    x = torch.randn(4, 17, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    states, _ = pytorchs(net)(x[..., None])
    torch.testing.assert_close(net(x), net.output(states.flatten(1)), rtol=0, atol=1e-12)


def test_several_networks_at_once_are_each_alone():
    """Outputs and gradients of two networks under vmap, float64."""
    members = [gru(3, length=9, outputs=4, seed=seed, dtype=torch.float64) for seed in range(2)]
    x = torch.randn(5, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = torch.tensor([0, 1, 2, 3, 0])
    ensemble = Ensemble.of(members, "cross_entropy")
    torch.testing.assert_close(ensemble(x, shared=True), torch.stack([net(x) for net in members]), rtol=0, atol=1e-12)
    ensemble.accumulate(x, y.expand(2, -1), shared=True)
    for i, net in enumerate(members):
        nn.functional.cross_entropy(net(x), y).backward()
        for name, parameter in net.named_parameters():
            together = ensemble.layout.views(ensemble.gradient)[name][i]
            assert parameter.grad is not None
            torch.testing.assert_close(together, parameter.grad, rtol=0, atol=1e-12)


def test_weights_have_pytorchs_law_and_depend_on_the_seed_alone():
    net = gru(64, length=4, seed=3)
    for weight in (net.input_weight, net.state_weight, net.input_bias, net.state_bias):
        assert float(weight.detach().abs().max()) <= 1 / 8
    spread = float(net.state_weight.detach().var())  # 2 * 192 * 64 draws of variance 1 / 192; 5 standard errors are 2 %
    assert spread == pytest.approx(1 / 192, rel=0.02)
    assert torch.equal(net.state_weight, gru(64, length=4, seed=3).state_weight)
    assert not torch.equal(net.state_weight, gru(64, length=4, seed=4).state_weight)


def test_a_size_below_one_is_refused():
    with pytest.raises(InvalidInput, match="size 0 at place 1"):
        gru(0, seed=0)
