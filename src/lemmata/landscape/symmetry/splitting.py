"""Split a neuron into copies that share its output weight, and undo it: the function of the network stays the same.

    a sigma(w x)  =  sum_i s_i a sigma(w x),        sum_i s_i = 1.

Where the loss was critical it is critical again, in all the new parameters: a copy's output weight sees the gradient of
the original's, which is zero, and its incoming vector s_i times the original's, which is zero too. Whether a minimum
becomes a saddle depends on the shares (Fukumizu and Amari 2000; `docs/derivations/symmetry-counts.md`).

This file is for chains of layers; `units` splits units of any network whose graph can be traced.

Exact but for rounding in s_i a. Cost: a copy of the state. Splitting is not exact for what looks at a neuron's weights
themselves: weight decay rewards shares, and dropout in training mode tells copies apart.
"""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.given import require_number, require_whole
from lemmata.landscape.symmetry.hidden_layers import HiddenLayer, Network, hidden_layers, layer_named
from lemmata.landscape.symmetry.rebuilding import Neurons, neurons_of, state_of, with_neurons


def split(
    network: Network,
    layer: str | int,
    neuron: int,
    *,
    into: int = 2,
    shares: Sequence[float] | Tensor | None = None,
    channelwise: Collection[type[nn.Module]] = (),
) -> dict[str, Tensor]:
    """The state of the network with one neuron of a hidden layer split `into` copies; `module_with` makes its module.

    `layer` is its name or its place (0 for the first), `shares` (into,) sum to 1 (equal ones by default; they may be
    zero or negative). The first copy stays in the neuron's place, the others come after the layer's last neuron.
    Raises `InvalidInput` for shares of another sum, and `UnknownName` for a layer that is not there.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1, bias=False))
    >>> wide = split(net, "0", neuron=2, into=3, shares=[0.5, 0.75, -0.25])
    >>> {name: tuple(tensor.shape) for name, tensor in wide.items()}
    {'0.weight': (5, 2), '0.bias': (5,), '2.weight': (1, 5)}
    """
    found = layer_named(network, layer, channelwise=channelwise)
    if require_whole(neuron, "neuron", least=0) >= found.width:
        raise InvalidInput(f"neuron {neuron} of {found.name!r}, which has {found.width}, counted from 0")
    state = state_of(network)
    neurons = neurons_of(state, found)
    parts = shares_of(shares, require_whole(into, "into")).to(neurons.outgoing)
    added = torch.full((into - 1,), neuron, device=neurons.outgoing.device)
    source = torch.cat([torch.arange(found.width, device=added.device), added])
    wide = neurons.taken(source)
    scale = torch.ones(len(source), dtype=parts.dtype, device=parts.device)
    scale[neuron], scale[found.width :] = parts[0], parts[1:]
    outgoing = wide.outgoing * scale.reshape(-1, *[1] * (wide.outgoing.ndim - 1))
    return with_neurons(state, found, Neurons(wide.incoming, outgoing))


def reduced(
    network: Network, *, tolerance: float = 0.0, channelwise: Collection[type[nn.Module]] = ()
) -> dict[str, Tensor]:
    """The state without what splitting adds: copies merged, neurons without output left out, in every hidden layer.

    Neurons are copies if their incoming vectors differ by at most `tolerance` in every entry from the first of them,
    and without output if all their output weights are at most that. It goes on until nothing changes, since layers
    behind may become copies by it. At least one neuron of a layer is kept. With a tolerance of 0 the function is the
    same up to rounding in the sums of output weights, which may leave a cancelled group an output of that size.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1, bias=False))
    >>> small = reduced(split(net, 0, neuron=2, into=4))
    >>> small["0.weight"].shape, bool((small["2.weight"] == net[2].weight).all())
    (torch.Size([3, 2]), True)
    """
    tolerance = require_number(tolerance, "tolerance")
    if not tolerance >= 0:
        raise InvalidInput(f"tolerance = {tolerance}; give a number that is not negative")
    layers = hidden_layers(network, channelwise=channelwise)
    state, before = state_of(network), -1
    while before != (before := sum(tensor.numel() for tensor in state.values())):
        for layer in layers:
            state = _merged(state, layer, tolerance)
    return state


def shares_of(shares: Sequence[float] | Tensor | None, into: int) -> Tensor:
    """The shares (into,) in float64, equal ones if none are given; refuse those of another number or sum."""
    if shares is None:
        return torch.full((into,), 1 / into, dtype=torch.float64)
    parts = torch.as_tensor(shares, dtype=torch.float64)
    if parts.shape != (into,) or not abs(float(parts.sum()) - 1) <= 1e-6:
        raise InvalidInput(f"shares {parts.tolist()}: give {into} numbers, as many as copies, that sum to 1")
    return parts


def _merged(state: dict[str, Tensor], layer: HiddenLayer, tolerance: float) -> dict[str, Tensor]:
    """One layer reduced; its width is read from the state, which an earlier pass may have changed."""
    width = len(state[layer.incoming[0]])
    layer = HiddenLayer(layer.name, width, layer.incoming, layer.outgoing, layer.repeat)
    neurons = neurons_of(state, layer)
    vectors = neurons.incoming_vectors()
    alike = (vectors[:, None] - vectors[None]).abs().amax(2) <= tolerance
    first = _leaders(alike)
    outgoing = torch.zeros_like(neurons.outgoing).index_add(0, first, neurons.outgoing)
    live = outgoing.abs().flatten(1).amax(1) > tolerance
    kept = torch.nonzero((first == torch.arange(width, device=first.device)) & live).flatten()
    kept = kept if len(kept) else first[:1]
    return with_neurons(state, layer, Neurons(neurons.incoming, outgoing).taken(kept))


def _leaders(alike: Tensor) -> Tensor:
    """For each neuron the first leader it is like; itself, and then a leader, if there is none. `alike` (m, m)."""
    leads = torch.zeros(len(alike), dtype=torch.bool, device=alike.device)
    first = torch.arange(len(alike), device=alike.device)
    for i in range(len(alike)):
        earlier = alike[i] & leads
        if earlier.any():
            first[i] = earlier.int().argmax()
        else:
            leads[i] = True
    return first
