"""A hidden layer taken apart into its neurons, and put together again from any number of them.

Of a layer of m neurons, `incoming` holds each tensor with the neurons along axis 0, and `outgoing` the weights
(m, outputs, repeat, ...) that the next layer gives each neuron. The other tensors of the state stay as they are.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.landscape.symmetry.hidden_layers import HiddenLayer, Network


@dataclass(frozen=True)
class Neurons:
    """The neurons of one hidden layer: name -> (m, ...), and the output weights (m, outputs, repeat, ...)."""

    incoming: dict[str, Tensor]
    outgoing: Tensor

    def taken(self, source: Tensor) -> "Neurons":
        """These neurons of it, in this order, with repetitions: `source` (m',)."""
        return Neurons({name: t[source] for name, t in self.incoming.items()}, self.outgoing[source])

    def vectors(self) -> Tensor:
        """All that belongs to a neuron as one row (m, size)."""
        parts = [*self.incoming.values(), self.outgoing]
        return torch.cat([part.reshape(len(part), -1) for part in parts], 1)

    def incoming_vectors(self) -> Tensor:
        """All that goes into a neuron's activity as one row (m, size)."""
        return torch.cat([part.reshape(len(part), -1) for part in self.incoming.values()], 1)


def state_of(network: Network) -> dict[str, Tensor]:
    """The state of a model, or a state itself: detached, not copied."""
    state = network.state_dict() if isinstance(network, nn.Module) else network
    return {name: tensor.detach() for name, tensor in state.items()}


def neurons_of(state: Mapping[str, Tensor], layer: HiddenLayer) -> Neurons:
    """Take a layer apart."""
    weight = state[layer.outgoing]
    split = weight.reshape(len(weight), layer.width, layer.repeat, *weight.shape[2:])
    return Neurons({name: state[name] for name in layer.incoming}, split.transpose(0, 1))


def with_neurons(state: Mapping[str, Tensor], layer: HiddenLayer, neurons: Neurons) -> dict[str, Tensor]:
    """The state with these neurons in the place of the layer's own; all tensors are copies."""
    joined = neurons.outgoing.transpose(0, 1).flatten(1, 2)
    changed = {**neurons.incoming, layer.outgoing: joined}
    return {name: changed.get(name, tensor).clone() for name, tensor in state.items()}


def module_with(model: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """A copy of a model that holds a state of other widths, as `split` gives it.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    >>> from lemmata.landscape import symmetry
    >>> wide = symmetry.module_with(net, symmetry.split(net, 0, neuron=1))
    >>> wide[0]
    Linear(in_features=2, out_features=4, bias=True)
    """
    made = copy.deepcopy(model)
    own = made.state_dict()
    if set(own) != set(state):
        raise InvalidInput(f"{sorted(set(state) ^ set(own))}: in the state or in the model, and not in both")
    for name, tensor in state.items():
        prefix, _, leaf = name.rpartition(".")
        module, value = made.get_submodule(prefix), tensor.detach().clone()
        held = getattr(module, leaf)
        setattr(module, leaf, nn.Parameter(value, held.requires_grad) if isinstance(held, nn.Parameter) else value)
        if leaf == "weight":
            _say_sizes(module, value)
    return made


def _say_sizes(module: nn.Module, weight: Tensor) -> None:
    """Let the module's own numbers agree with its weight."""
    names = {
        nn.Linear: ("out_features", "in_features"), nn.PReLU: ("num_parameters",),
        nn.Conv1d: ("out_channels", "in_channels"), nn.Conv2d: ("out_channels", "in_channels"),
        nn.Conv3d: ("out_channels", "in_channels"), nn.BatchNorm1d: ("num_features",),
        nn.BatchNorm2d: ("num_features",), nn.BatchNorm3d: ("num_features",),
    }.get(type(module), ())  # fmt: skip
    for name, size in zip(names, weight.shape, strict=False):
        setattr(module, name, size)
