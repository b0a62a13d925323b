"""The hidden layers of a chain of layers: which tensors hold a neuron's incoming vector, and which its output weights.

A neuron of a hidden layer is a unit of a linear layer or a filter of a convolution, with all that follows it and acts
on it alone: batch normalisation (running statistics included), slopes of PReLU. The next linear layer or convolution
holds its output weights, one column, or as many as flattening gives it positions.

An `nn.Sequential` (nested ones too) is read from its modules, and one that mixes neurons is refused. A state
(name -> tensor) is read from its names and shapes, as a chain in their order; what lies between cannot be seen then.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from lemmata.errors import InvalidInput, UnknownName

State: TypeAlias = Mapping[str, Tensor]
Network: TypeAlias = nn.Module | State

# What acts on each neuron by itself: pointwise functions, what evaluation leaves out, pooling over the positions of
# convolutions (behind a linear layer it would mix neurons, which is not checked).
CHANNELWISE: tuple[type[nn.Module], ...] = (
    nn.Identity, nn.Flatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Softsign,
    nn.Sigmoid, nn.LogSigmoid, nn.Tanh, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Hardshrink, nn.Softshrink,
    nn.Tanhshrink, nn.Threshold,
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.LPPool1d, nn.LPPool2d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d,
    nn.AdaptiveMaxPool3d, nn.Upsample, nn.ZeroPad2d, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
)  # fmt: skip


@dataclass(frozen=True)
class HiddenLayer:
    """One hidden layer: `width` neurons, along axis 0 of each tensor named in `incoming`, axis 1 of that in `outgoing`.

    A neuron has `repeat` neighbouring entries of axis 1 of the outgoing weight: 1, or its positions after flattening.
    """

    name: str
    width: int
    incoming: tuple[str, ...]
    outgoing: str
    repeat: int


@dataclass(frozen=True)
class _Part:
    """A module with tensors, in its place in the chain: `mixes` for linear layers and convolutions."""

    name: str
    tensors: tuple[str, ...]
    mixes: bool
    outputs: int
    inputs: int


def hidden_layers(network: Network, *, channelwise: Collection[type[nn.Module]] = ()) -> tuple[HiddenLayer, ...]:
    """The hidden layers of an `nn.Sequential`, or of a state that is read as a chain.

    `channelwise` names further types of modules that act on each neuron by itself, such as an activation of one's own.
    Raises `InvalidInput` for a module that mixes neurons otherwise, or of which that is not known.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4, 10))
    >>> layer, = hidden_layers(net)
    >>> layer.name, layer.width, layer.outgoing, layer.repeat
    ('0', 8, '4.weight', 4)
    >>> hidden_layers(net.state_dict()) == (layer,)
    True
    """
    if isinstance(network, nn.Module):
        _refuse_shared(network)
        parts = [part for part in _parts_of_module(network, tuple(channelwise)) if part.tensors]
    else:
        parts = list(_parts_of_state(network))
    mixing = [place for place, part in enumerate(parts) if part.mixes]
    return tuple(_between(parts[first:last], parts[last]) for first, last in pairwise(mixing))


def layer_named(network: Network, name: str | int, *, channelwise: Collection[type[nn.Module]] = ()) -> HiddenLayer:
    """The hidden layer of this name, or at this place (0 for the first).

    >>> layer_named(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)), 0).width
    3
    """
    layers = hidden_layers(network, channelwise=channelwise)
    if isinstance(name, int) and not isinstance(name, bool):
        if not -len(layers) <= name < len(layers):
            raise InvalidInput(f"layer {name}: the network has {len(layers)} hidden layers, counted from 0")
        return layers[name]
    for layer in layers:
        if layer.name == name:
            return layer
    raise UnknownName("hidden layer", name, [layer.name for layer in layers])


def _between(parts: list[_Part], following: _Part) -> HiddenLayer:
    producer, width = parts[0], parts[0].outputs
    for part in parts[1:]:
        if part.outputs != width:
            raise InvalidInput(f"{part.name!r} has {part.outputs} channels after {width} neurons of {producer.name!r}")
    if following.inputs % width:
        raise InvalidInput(
            f"{following.name!r} takes {following.inputs} inputs, no multiple of the {width} neurons of "
            f"{producer.name!r}; give a chain of layers"
        )
    incoming = tuple(name for part in parts for name in part.tensors)
    return HiddenLayer(producer.name, width, incoming, _joined(following.name, "weight"), following.inputs // width)


def _refuse_shared(module: nn.Module) -> None:
    names: dict[int, str] = {}
    for name, tensor in module.named_parameters(remove_duplicate=False):
        if names.setdefault(id(tensor), name) != name:
            raise InvalidInput(f"{names[id(tensor)]!r} and {name!r} are one tensor; its neurons belong to two layers")


def _parts_of_module(module: nn.Module, channelwise: tuple[type[nn.Module], ...], name: str = "") -> Iterator[_Part]:
    """The modules of a chain in their order; raises for one that is not understood."""
    if isinstance(module, nn.Sequential):
        for own, child in module.named_children():
            yield from _parts_of_module(child, channelwise, _joined(name, own))
        return
    tensors = tuple(_joined(name, own) for own, t in module.state_dict().items() if t.ndim)
    if isinstance(module, nn.Linear):
        yield _Part(name, tensors, True, module.out_features, module.in_features)
    elif isinstance(module, _ConvNd) and not isinstance(module, _ConvTransposeNd) and module.groups == 1:
        yield _Part(name, tensors, True, module.out_channels, module.in_channels)
    elif isinstance(module, _BatchNorm | nn.PReLU):
        widths = {len(module.state_dict()[own[len(name) + 1 :] if name else own]) for own in tensors}
        if widths - {1}:
            yield _Part(name, tensors, False, widths.pop(), 0)
    elif not isinstance(module, (*CHANNELWISE, *channelwise)) or tensors:
        raise InvalidInput(
            f"{name or 'the model'!r} is a {type(module).__name__}, not known to act on each neuron by itself; "
            "give an nn.Sequential of linear layers, convolutions without groups, batch normalisation and "
            "pointwise functions, name the type in channelwise=(...), or split by `units` and `split_unit`"
        )


def _parts_of_state(state: State) -> Iterator[_Part]:
    """The groups of tensors with a common prefix, in their order; scalars (counters) belong to no neuron."""
    prefixes = dict.fromkeys(name.rpartition(".")[0] for name, t in state.items() if t.ndim)
    for prefix in prefixes:
        own = tuple(name for name, t in state.items() if name.rpartition(".")[0] == prefix and t.ndim)
        weight = state.get(_joined(prefix, "weight"))
        if weight is not None and weight.ndim > 1:
            yield _Part(prefix, own, True, len(weight), weight.shape[1])
        elif (channels := max(len(state[name]) for name in own)) > 1:
            yield _Part(prefix, own, False, channels, 0)


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
