"""The distance of two networks when the neurons of the one may be renumbered: exact for one hidden layer.

    min over permutations P of |theta_a - P theta_b|

With one hidden layer the square is a sum over neurons, and the minimum an assignment problem (Hungarian method). With
several it is a quadratic assignment, for which there is no exact method of this cost: `lemmata.landscape.permutation`
matches such networks approximately.

Cost: m^2 distances of neurons and O(m^3) for the assignment. Running statistics are no parameters and do not count.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.landscape.symmetry.hidden_layers import Network, hidden_layers
from lemmata.landscape.symmetry.rebuilding import neurons_of, state_of, with_neurons

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class AlignedDistance:
    """The least Euclidean distance, `value`, that without renumbering, and the permutation (m,) that attains it.

    Place i of the first network goes with neuron `permutation[i]` of the second; `state` is the second one so
    renumbered, and `per_neuron` (m,) the distances of the pairs, incoming and outgoing weights together.
    """

    value: float
    unaligned: float
    permutation: Tensor
    per_neuron: Tensor
    state: dict[str, Tensor] = field(repr=False)

    def plot(self) -> Figure:
        """Draw the distance of each pair of neurons, largest first."""
        y = np.sort(self.per_neuron.numpy())[::-1]
        series = Series(label="pairs of neurons", x=np.arange(len(y)), y=y, style="points")
        panel = Panel(x=Axis(label="pair, largest distance first"), y=Axis(label="distance"), series=[series])
        caption = f"Distance of the networks {self.value:.3g} after renumbering, {self.unaligned:.3g} before."
        return Figure(name="aligned-distance", title="Distance modulo permutation", caption=caption, panels=[panel])


def distance(a: Network, b: Network, *, channelwise: Collection[type[nn.Module]] = ()) -> AlignedDistance:
    """The Euclidean distance of the parameters of two networks of one shape, least over renumberings of b's neurons.

    Raises `InvalidInput` for several hidden layers, and for networks of different shapes.

    >>> first = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).state_dict()
    >>> order = torch.tensor([2, 0, 1])
    >>> second = {"0.weight": first["0.weight"][order], "0.bias": first["0.bias"][order],
    ...           "2.weight": first["2.weight"][:, order], "2.bias": first["2.bias"]}
    >>> found = distance(first, second)
    >>> found.value, found.permutation.tolist()
    (0.0, [1, 2, 0])
    """
    from scipy.optimize import linear_sum_assignment

    layers = hidden_layers(a, channelwise=channelwise)
    if len(layers) != 1:
        raise InvalidInput(f"{len(layers)} hidden layers; exact for one, and `landscape.permutation` matches several")
    first, second = _parameters(state_of(a)), _parameters(state_of(b))
    if {name: t.shape for name, t in first.items()} != {name: t.shape for name, t in second.items()}:
        raise InvalidInput("the networks have parameters of different names or shapes; give two of one architecture")
    (layer,) = layers
    incoming = tuple(name for name in layer.incoming if name in first)
    layer = type(layer)(layer.name, layer.width, incoming, layer.outgoing, layer.repeat)
    ours, theirs = (neurons_of(own, layer) for own in (first, second))
    costs = _squared_distances(ours.vectors().double(), theirs.vectors().double())
    rows, columns = linear_sum_assignment(costs.cpu().numpy())
    permutation = torch.as_tensor(columns)
    aligned = with_neurons(second, layer, theirs.taken(permutation.to(costs.device)))
    each = costs[torch.as_tensor(rows), permutation].clamp(min=0).sqrt().cpu()
    return AlignedDistance(_norm(first, aligned), _norm(first, second), permutation, each, aligned)


def _parameters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: t for name, t in state.items() if not name.endswith(STATISTICS)}


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """All squared distances of rows (m, m), by differences: no cancellation of equal rows."""
    return torch.stack([(row - b).square().sum(1) for row in a])


def _norm(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    return float(sum((a[name].double() - b[name].double()).square().sum() for name in a)) ** 0.5
