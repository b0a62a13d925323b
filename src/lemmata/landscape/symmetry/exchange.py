"""A path along which neurons change places while the function stays the same: it takes one spare neuron.

    spare: take over neuron i's incoming vector (its own output weight is zero), then i's output weight;
    i, which has no output now: take over j's incoming vector, then j's output weight; and so on along a cycle.

Every segment is straight and moves either the incoming vector of a neuron without output, or output weight between two
neurons with the same incoming vector. So a cycle of n neurons takes 2 (n + 1) segments, and any two of the r! permuted
copies of a network are connected once it has r + 1 neurons; layer by layer where there are several. Without a spare
neuron the copies of an irreducible minimum are isolated.

Source: the construction is that of Simsek et al. (2021), arXiv 2105.12221; see `docs/derivations/symmetry-counts.md`.
Cost: a state for each knot.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.given import require_whole
from lemmata.landscape.symmetry.hidden_layers import HiddenLayer, Network, layer_named
from lemmata.landscape.symmetry.rebuilding import Neurons, neurons_of, state_of, with_neurons


@dataclass(frozen=True)
class ExchangePath:
    """A piecewise linear path through parameters: `knots` name -> (K, ...), float in the network's own type."""

    layer: HiddenLayer
    knots: dict[str, Tensor] = field(repr=False)

    @property
    def segments(self) -> int:
        """The number of straight pieces."""
        return len(self.knots[self.layer.outgoing]) - 1

    def points(self, per_segment: int = 10) -> dict[str, Tensor]:
        """States along the path, `per_segment` on each piece and the end: name -> (K', ...)."""
        t = torch.arange(self.segments * require_whole(per_segment, "per_segment") + 1) / per_segment
        return {name: _interpolated(knots, t.to(knots.device)) for name, knots in self.knots.items()}


def exchange_path(
    network: Network, layer: str | int, permutation: Sequence[int], *, channelwise: Collection[type[nn.Module]] = ()
) -> ExchangePath:
    """The path from a layer with a spare neuron to the same with its neurons permuted, along which nothing changes.

    The last neuron of the layer is the spare one and has no output: `expansion_manifold` or `with_spare` gives such
    networks. `permutation` (r,) of the r others says which neuron each place holds at the end. The spare ends as it
    began. Raises `InvalidInput` if the last neuron has an output.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1, bias=False))
    >>> path = exchange_path(with_spare(net, 0), 0, [1, 0, 2])
    >>> path.segments, bool((path.knots["0.weight"][-1][0] == net[0].weight[1]).all())
    (7, True)
    """
    found = layer_named(network, layer, channelwise=channelwise)
    state = state_of(network)
    neurons, spare = neurons_of(state, found), found.width - 1
    if sorted(permutation) != list(range(spare)):
        raise InvalidInput(f"permutation {list(permutation)}: give each of 0..{spare - 1} once; the last is the spare")
    if neurons.outgoing[spare].any():
        raise InvalidInput(f"neuron {spare} of {found.name!r}, the last, has an output; make its output weights zero")
    knots = [neurons]
    for cycle in _cycles(permutation):
        for target, source in [(spare, cycle[0]), *zip(cycle, [*cycle[1:], spare], strict=True)]:
            knots.append(_with_incoming(knots[-1], target, knots[-1], source))
            knots.append(_with_output_moved(knots[-1], source, target))
    if len(knots) > 1:
        knots.append(_with_incoming(knots[-1], spare, neurons, spare))
    states = [with_neurons(state, found, own) for own in knots]
    return ExchangePath(found, {name: torch.stack([own[name] for own in states]) for name in state})


def with_spare(
    network: Network, layer: str | int, *, like: int = 0, channelwise: Collection[type[nn.Module]] = ()
) -> dict[str, Tensor]:
    """The state with one more neuron in a hidden layer, the last: a copy of neuron `like`, without output.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    >>> with_spare(net, 0)["2.weight"][0, -1].item()
    0.0
    """
    found = layer_named(network, layer, channelwise=channelwise)
    state = state_of(network)
    if not 0 <= require_whole(like, "like", least=0) < found.width:
        raise InvalidInput(f"like = {like} of {found.name!r}, which has {found.width} neurons, counted from 0")
    wide = neurons_of(state, found)
    wide = wide.taken(torch.tensor([*range(found.width), like], device=wide.outgoing.device))
    outgoing = torch.cat([wide.outgoing[:-1], torch.zeros_like(wide.outgoing[-1:])])
    return with_neurons(state, found, Neurons(wide.incoming, outgoing))


def _cycles(permutation: Sequence[int]) -> list[list[int]]:
    """The cycles of more than one place, each so that a place is followed by the one whose neuron it shall hold."""
    seen: set[int] = set()
    cycles = []
    for start in range(len(permutation)):
        cycle, at = [], start
        while at not in seen:
            seen.add(at)
            cycle.append(at)
            at = permutation[at]
        if len(cycle) > 1:
            cycles.append(cycle)
    return cycles


def _with_incoming(neurons: Neurons, target: int, of: Neurons, source: int) -> Neurons:
    incoming = {name: t.clone() for name, t in neurons.incoming.items()}
    for name, t in incoming.items():
        t[target] = of.incoming[name][source]
    return Neurons(incoming, neurons.outgoing)


def _with_output_moved(neurons: Neurons, source: int, target: int) -> Neurons:
    outgoing = neurons.outgoing.clone()
    outgoing[target], outgoing[source] = neurons.outgoing[source], 0.0
    return Neurons(neurons.incoming, outgoing)


def _interpolated(knots: Tensor, t: Tensor) -> Tensor:
    """Between knots (K, ...) at the times t in [0, K - 1]; what is not a real number is that of the knot before."""
    below = t.long().clamp(max=max(len(knots) - 2, 0))
    if not knots.is_floating_point() or len(knots) == 1:
        return knots[below]
    share = (t - below).to(knots.dtype).reshape(-1, *[1] * (knots.ndim - 1))
    return knots[below] * (1 - share) + knots[below + 1] * share
