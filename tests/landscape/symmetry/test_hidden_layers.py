"""Which tensors belong to a neuron: found in modules and in states alike, and chains that are none are refused."""

import pytest
import torch
from torch import nn

from lemmata import nets
from lemmata.errors import InvalidInput, UnknownName
from lemmata.landscape.symmetry import hidden_layers, split


class Doubled(nn.Module):
    """An activation that no list knows."""

    def forward(self, x):
        return 2 * x


def stack() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.PReLU(8), nn.MaxPool2d(2), nn.Conv2d(8, 5, 2, bias=False), nn.ReLU(),
        nn.Flatten(), nn.Sequential(nn.Linear(5 * 4, 7), nn.Tanh()), nn.Dropout(0.5), nn.Linear(7, 2),
    )  # fmt: skip


def test_layers_of_a_convolutional_stack():
    first, second, third = hidden_layers(stack())
    assert first.width == 8
    assert set(first.incoming) == {
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "2.weight"
    }  # fmt: skip
    assert (first.outgoing, first.repeat) == ("4.weight", 1)
    assert (second.name, second.width, second.outgoing, second.repeat) == ("4", 5, "7.0.weight", 4)
    assert (third.name, third.width, third.outgoing) == ("7.0", 7, "9.weight")


@pytest.mark.parametrize("model", [stack(), nets.mlp(5, [4, 3], 2, seed=0), nn.Sequential(nn.Linear(2, 1))])
def test_a_state_is_read_like_its_module(model):
    assert hidden_layers(model.state_dict()) == hidden_layers(model)


def test_slopes_common_to_all_neurons_belong_to_none():
    (layer,) = hidden_layers(nn.Sequential(nn.Linear(2, 3), nn.PReLU(), nn.Linear(3, 1)))
    assert layer.incoming == ("0.weight", "0.bias")


def test_an_activation_of_ones_own_is_named():
    net = nn.Sequential(nn.Linear(2, 3), Doubled(), nn.Linear(3, 1))
    assert hidden_layers(net, channelwise=(Doubled,))[0].width == 3
    with pytest.raises(InvalidInput, match="Doubled"):
        hidden_layers(net)


shared = nn.Linear(3, 3)


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4), nn.Linear(4, 1)),
        nn.Sequential(nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 1, groups=2), nn.Conv2d(4, 1, 1)),
        nn.Sequential(nn.Linear(2, 4), nn.Softmax(1), nn.Linear(4, 1)),
        nn.Sequential(nn.Linear(3, 3), shared, shared),
        nn.Sequential(nn.Linear(2, 4), nn.Linear(3, 1)),
        nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(3), nn.Linear(4, 1)),
    ],
    ids=["LayerNorm", "groups", "softmax", "shared", "sizes", "channels"],
)
def test_refused(net):
    with pytest.raises(InvalidInput):
        hidden_layers(net)


@pytest.mark.parametrize(("layer", "error"), [("2", UnknownName), (5, InvalidInput)])
def test_no_such_layer(layer, error):
    with pytest.raises(error):
        split(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)), layer, 0)


def test_shapes_only_no_data_needed():
    with torch.device("meta"):
        assert hidden_layers(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)))[0].width == 3
