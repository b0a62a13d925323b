"""Paths that exchange neurons: outputs stay, ends are the permutation, every piece is straight."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, vmap

from lemmata.errors import InvalidInput
from lemmata.landscape.symmetry import exchange_path, module_with, with_spare


def stack() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv1d(2, 4, 2), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 2)
    ).double()
    net.train()(torch.randn(8, 2, 4, dtype=torch.float64))
    return net.eval()


@given(data=st.data(), layer=st.integers(0, 1))
@settings(deadline=None, max_examples=20)
def test_nothing_changes_on_the_way_and_the_end_is_the_permutation(data, layer: int):
    net, x = stack(), torch.randn(3, 2, 4, dtype=torch.float64)
    width = (4, 5)[layer]
    permutation = data.draw(st.permutations(range(width)))
    start = with_spare(net, layer, like=width - 1)
    path = exchange_path(start, layer, permutation)
    wide = module_with(net, start).eval()
    outputs = vmap(lambda state: functional_call(wide, state, (x,)))(path.points(3))
    assert (outputs - net(x)).abs().max() < 1e-12
    order = torch.tensor([*permutation, width])
    for name in path.layer.incoming:
        assert torch.equal(path.knots[name][-1], start[name][order])
    last = path.knots[path.layer.outgoing][-1]
    split = last.reshape(len(last), width + 1, path.layer.repeat)
    assert torch.equal(split, start[path.layer.outgoing].reshape(split.shape)[:, order])
    cycles, left = 0, set(range(width))
    while left:
        at = left.pop()
        length = 1
        while permutation[at] in left:
            at = permutation[at]
            left.remove(at)
            length += 1
        cycles += 2 * (length + 1) if length > 1 else 0
    assert path.segments == (cycles + 1 if cycles else 0)


def test_points_lie_evenly_on_straight_pieces():
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Tanh(), nn.Linear(2, 1, bias=False))
    path = exchange_path(with_spare(net, 0), 0, [1, 0])
    points = path.points(4)["0.weight"]
    assert len(points) == 4 * path.segments + 1
    torch.testing.assert_close(points[::4], path.knots["0.weight"])
    torch.testing.assert_close(points[2::4], (path.knots["0.weight"][1:] + path.knots["0.weight"][:-1]) / 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda net: exchange_path(net, 0, [1, 0, 2]),  # the last neuron has an output
        lambda net: exchange_path(with_spare(net, 0), 0, [0, 1, 2, 4]),
        lambda net: with_spare(net, 0, like=7),
    ],
)
def test_refused(call):
    with pytest.raises(InvalidInput):
        call(stack())
