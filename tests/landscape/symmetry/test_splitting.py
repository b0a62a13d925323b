"""Split networks compute the same, are critical where the original is, and are undone."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.landscape.symmetry import module_with, reduced, split
from lemmata.objective import Objective

RANDOM = torch.Generator().manual_seed(5)
IMAGES = torch.randn(6, 2, 7, 7, generator=RANDOM, dtype=torch.float64)


def convolutional() -> nn.Sequential:
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(12, 5), nn.PReLU(5), nn.Linear(5, 2),
    ).double()  # fmt: skip
    net.train()(IMAGES)  # running statistics that are none of the first
    return net


@given(
    layer=st.integers(0, 2), neuron=st.integers(0, 2), training=st.booleans(),
    free=st.lists(st.floats(-3, 3), min_size=1, max_size=3),
)  # fmt: skip
@settings(deadline=None, max_examples=30)
def test_the_function_is_the_same(layer: int, neuron: int, training: bool, free: list[float]):
    """Any shares, in evaluation and with batch statistics; 1e-11 for shares that sum to 20 in absolute value."""
    net = convolutional().train(training)
    shares = [*free, 1 - sum(free)]
    state = split(net, layer, neuron, into=len(shares), shares=shares)
    wide = module_with(net, state).train(training)
    torch.testing.assert_close(wide(IMAGES), copy.deepcopy(net)(IMAGES), rtol=1e-11, atol=1e-11)


def test_the_module_says_its_sizes_and_is_another():
    net = convolutional()
    before = copy.deepcopy(net.state_dict())
    wide = module_with(net, split(net, 0, 1, into=3))
    assert (wide[0].out_channels, wide[1].num_features, wide[3].in_channels) == (6, 6, 6)
    assert module_with(net, split(net, 2, 1))[8].num_parameters == 6
    with torch.no_grad():
        wide[0].weight.zero_()
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())


def test_a_critical_point_stays_critical_in_all_parameters():
    """Targets whose residual is orthogonal to the tangent space make any point critical: gradients below 1e-13."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    x, state = torch.randn(40, 2, dtype=torch.float64), net.state_dict()
    tangent = torch.func.jacrev(lambda own: torch.func.functional_call(net, own, (x,)))(state)
    J = torch.cat([t.reshape(40, -1) for t in tangent.values()], 1)
    off = torch.randn(40, 1, dtype=torch.float64)
    y = net(x).detach() + off - J @ torch.linalg.lstsq(J, off, driver="gelsd").solution
    for shares in ([0.5, 0.5], [1.7, -0.7], [0.2, 0.3, 0.5]):
        wide = Objective(module_with(net, split(net, 0, 1, into=len(shares), shares=shares)), loss="mse", data=(x, y))
        assert wide.vector(wide.gradient()).norm() < 1e-13
        assert wide.value() == pytest.approx(float((net(x) - y).detach().square().mean()), rel=1e-13)


def test_reduction_undoes_splitting():
    net = convolutional()
    state = net.state_dict()
    for layer, neuron, into in ((0, 1, 3), (1, 2, 2), (2, 0, 4), (0, 0, 2)):
        state = split(state, layer, neuron, into=into)
    small = reduced(state, tolerance=1e-12)
    assert {name: t.shape for name, t in small.items()} == {name: t.shape for name, t in net.state_dict().items()}
    assert all(torch.allclose(t, net.state_dict()[name], atol=1e-12) for name, t in small.items())


def test_reduction_leaves_out_what_has_no_output_and_what_follows_from_it():
    """Neuron 0 of the second layer feeds nothing; without it the first layer's two neurons are copies."""
    state = {
        "0.weight": torch.tensor([[1.0], [1.0]]),
        "1.weight": torch.tensor([[1.0, 5.0], [2.0, 3.0]]),
        "2.weight": torch.tensor([[0.0, 2.0]]),
    }
    small = reduced(state)
    assert small["0.weight"].tolist() == [[1.0]]
    assert small["1.weight"].tolist() == [[5.0]]
    assert small["2.weight"].tolist() == [[2.0]]


def test_a_chain_of_near_copies_is_merged_into_leaders_without_loss():
    """0 ~ 1 ~ 2 within 0.6, not 0 ~ 2: 1 joins 0, 2 stays; no output weight is lost."""
    state = {"0.weight": torch.tensor([[0.0], [0.5], [1.0]]), "1.weight": torch.tensor([[1.0, 2.0, 4.0]])}
    small = reduced(state, tolerance=0.6)
    assert small["0.weight"].flatten().tolist() == [0.0, 1.0]
    assert small["1.weight"].flatten().tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    "call",
    [
        lambda net: split(net, 0, 9),
        lambda net: split(net, 0, 1, shares=[0.5, 0.6]),
        lambda net: split(net, 0, 1, into=3, shares=[0.5, 0.5]),
        lambda net: reduced(net, tolerance=float("nan")),
        lambda net: module_with(net, {"0.weight": torch.ones(2)}),
    ],
)
def test_refused(call):
    with pytest.raises(InvalidInput):
        call(convolutional())
