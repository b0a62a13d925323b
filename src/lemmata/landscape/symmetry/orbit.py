"""How many different points of parameter space are one network with its hidden neurons permuted.

    size of the orbit = product over layers m_l! / (number of permutations that change nothing)

Permutations that change nothing exchange twins: neurons equal in all that goes in and out. If there are several layers,
permutations of two of them together may also change nothing. Neurons are coloured by what goes in and out, the
neighbours by their colours, until no colour splits (colour refinement); every permutation that changes nothing keeps
colours. If each colour is one set of twins, the number is the product of their factorials, and exact. Otherwise
the count is refused: permutations of several layers together would have to be searched for.

Cost: O(weights log weights) a round of refinement, a few rounds.
"""

from collections import Counter
from collections.abc import Collection
from itertools import pairwise
from math import factorial, prod

import numpy as np
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.landscape.symmetry.hidden_layers import Network, hidden_layers
from lemmata.landscape.symmetry.rebuilding import Neurons, neurons_of, state_of


def orbit_size(network: Network, *, channelwise: Collection[type[nn.Module]] = ()) -> int:
    """The number of distinct points that permutations of hidden neurons make of a network's parameters.

    Raises `InvalidInput` where layers may have to be permuted together to change nothing.

    >>> import torch
    >>> from lemmata.landscape import symmetry
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    >>> orbit_size(net), orbit_size(symmetry.split(net, 0, neuron=0))      # the copies are twins: 4! / 2!
    (6, 12)
    """
    layers = hidden_layers(network, channelwise=channelwise)
    if not layers:
        return 1
    state = state_of(network)
    neurons = [neurons_of(state, layer) for layer in layers]
    for a, b in pairwise(layers):
        if a.outgoing not in b.incoming:
            raise InvalidInput(f"{a.outgoing!r} does not lead into {b.name!r}; give a chain of layers")
    colours = _refined(neurons, [layer.outgoing for layer in layers])
    twins = [_ids(_rows(own.vectors())) for own in neurons]
    sizes = [list(Counter(own).values()) for own in twins]
    if any(len(set(colour)) != len(own) for colour, own in zip(colours, sizes, strict=True)):
        raise InvalidInput(
            "some neurons that are no twins look alike from all sides: layers may have to be permuted together; "
            "take `reduced` first, or break the symmetry of the weights"
        )
    return prod(factorial(sum(own)) // prod(factorial(n) for n in own) for own in sizes)


def _refined(neurons: list[Neurons], outgoing: list[str]) -> list[list[int]]:
    """The coarsest colouring that neighbours do not refine; edges between two hidden layers have types."""
    edges = [
        _edge_types(own) for own in neurons[:-1]
    ]  # (m, m_next): type of the weight from a neuron to the next layer's
    colours = []
    for place, own in enumerate(neurons):
        fixed = [t for name, t in own.incoming.items() if place == 0 or name != outgoing[place - 1]]
        fixed += [own.outgoing] if place == len(neurons) - 1 else []
        bare = [_rows(t) for t in fixed]
        colours.append(_ids(np.concatenate(bare, 1) if bare else np.zeros((len(own.outgoing), 0))))
    known = 0
    while known < (known := sum(len(set(own)) for own in colours)):
        colours = [_seen(place, colours, edges) for place in range(len(neurons))]
    return colours


def _seen(place: int, colours: list[list[int]], edges: list[np.ndarray]) -> list[int]:
    """New colours of a layer: a neuron's own, with the types and colours of what goes in and out."""
    own = np.asarray(colours[place])
    parts = [own[:, None]]
    if place > 0:
        parts.append(_neighbours(edges[place - 1].T, colours[place - 1]))
    if place < len(edges):
        parts.append(_neighbours(edges[place], colours[place + 1]))
    return _ids(np.concatenate(parts, 1))


def _neighbours(types: np.ndarray, colours: list[int]) -> np.ndarray:
    """For each neuron the sorted list of (type of edge, colour of neighbour), as integers (m, neighbours)."""
    return np.sort(types * (max(colours) + 1) + np.asarray(colours)[None], axis=1)


def _edge_types(own: Neurons) -> np.ndarray:
    """An integer for each weight (or filter) between two layers, the same for equal ones: (m, m_next)."""
    m, following = own.outgoing.shape[:2]
    return np.asarray(_ids(_rows(own.outgoing.flatten(0, 1)))).reshape(m, following)


def _rows(tensor) -> np.ndarray:
    return tensor.reshape(len(tensor), -1).cpu().double().numpy() + 0.0  # minus zero is zero


def _ids(rows: np.ndarray) -> list[int]:
    """The same integer for equal rows."""
    if rows.shape[1] == 0:
        return [0] * len(rows)
    return np.unique(rows, axis=0, return_inverse=True)[1].ravel().tolist()
