"""The expansion manifold of a network in a wider one: all the ways in which more neurons compute the same function.

In a configuration (`configurations`) of m neurons over the r of a hidden layer, the copies of neuron t have its
incoming vector and output weights that sum to its own; the neurons of a cancelling group have one incoming vector of
their own, which is free, and output weights that sum to zero. With e output weights a neuron and d incoming ones, k
copies in all and j groups of m - k neurons in all, this is an affine subspace of dimension (k - r) e + j d +
(m - k - j) e, and the manifold is the union of T(r, m) of them. The loss is the same on all of it.

The critical manifold is smaller: no groups, and the copies' output weights are multiples of the original's, with shares
that sum to one. There the gradient is zero if it is at the original: G(r, m) subspaces of dimension m - r. At a loss of
zero, where every sample's own is at its least, the gradient is zero on the whole expansion manifold.

Source: Simsek et al. (2021), arXiv 2105.12221. Widening several layers is widening one after the other. The points of
the manifold are all that compute the same function only if the original is irreducible and the activation is not
special: rectifiers may also be rescaled, and odd functions change sign.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.given import require_seed, require_whole
from lemmata.landscape.symmetry.configurations import Labels, draw_configuration, is_configuration
from lemmata.landscape.symmetry.counts import G, T
from lemmata.landscape.symmetry.hidden_layers import HiddenLayer, Network, layer_named
from lemmata.landscape.symmetry.rebuilding import Neurons, module_with, neurons_of, state_of, with_neurons

POSITIVE = ("running_var",)  # incoming tensors whose entries must not be negative


@dataclass(frozen=True)
class ExpansionManifold:
    """Made by `expansion_manifold`: the points of a network of `neurons` neurons in `layer` with the same function.

    `critical` says that only the points are meant at which a vanishing gradient stays zero.
    """

    layer: HiddenLayer
    neurons: int
    critical: bool
    state: Mapping[str, Tensor] = field(repr=False)
    network: nn.Module | None = field(repr=False)

    @property
    def count(self) -> int:
        """How many affine subspaces it is made of, T(r, m), or G(r, m)."""
        return (G if self.critical else T)(self.layer.width, self.neurons)

    @property
    def model(self) -> nn.Module:
        """The module of the wider network, at a point of the manifold: the first neuron split, or nothing if m = r."""
        if self.network is None:
            raise InvalidInput("this manifold was made from a state; give the model to have the wider one")
        first = [*range(self.layer.width), *[0] * (self.neurons - self.layer.width)]
        return module_with(self.network, self.at(first))

    def dimension(self, labels: Sequence[int]) -> int:
        """The dimension of the affine subspace of a configuration."""
        labels = self._checked(labels)
        own = neurons_of(self.state, self.layer)
        copies, groups = sum(label >= 0 for label in labels), len({label for label in labels if label < 0})
        if self.critical:
            return copies - self.layer.width
        outputs, inputs = own.outgoing[0].numel(), own.incoming_vectors().shape[1]
        return (copies - self.layer.width) * outputs + groups * inputs + (len(labels) - copies - groups) * outputs

    def at(self, labels: Sequence[int], shares: Sequence[float] | Tensor | None = None) -> dict[str, Tensor]:
        """The state of a configuration without groups: copies with these `shares` (m,), which sum to 1 for each neuron.

        Equal shares by default.

        >>> net = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
        >>> wide = expansion_manifold(net, 0, neurons=3)
        >>> wide.count, tuple(wide.at([1, 0, 1], [0.2, 1.0, 0.8])["2.weight"].shape)
        (12, (1, 3))
        """
        labels = self._checked(labels)
        if min(labels) < 0:
            raise InvalidInput(f"labels {labels} with groups that cancel; draw such points by `draw`")
        source = torch.tensor(labels)
        parts = self._even(source) if shares is None else torch.as_tensor(shares, dtype=torch.float64)
        sums = torch.zeros(self.layer.width, dtype=torch.float64)
        if parts.shape != source.shape or not ((sums.index_add(0, source, parts) - 1).abs() <= 1e-6).all():
            raise InvalidInput(f"shares {parts.tolist()} of {labels}: give one a neuron, that sum to 1 over its copies")
        taken = neurons_of(self.state, self.layer).taken(source.to(self._outgoing.device))
        outgoing = taken.outgoing * _along(parts.to(taken.outgoing), taken.outgoing)
        return with_neurons(self.state, self.layer, Neurons(taken.incoming, outgoing))

    def draw(
        self, count: int, *, labels: Sequence[int] | None = None, spread: float = 1.0, seed: int | torch.Generator
    ) -> dict[str, Tensor]:
        """Random points: the states of `count` wide networks, as a leading axis on every tensor.

        A configuration, uniform among all unless `labels` says which; then in its subspace, normal around equal shares
        with the deviation `spread`, in units of the root mean square of the layer's own tensors.

        >>> net = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)).double()
        >>> wide, x = expansion_manifold(net, 0, neurons=4), torch.ones(1, 2).double()
        >>> states = wide.draw(5, seed=0)
        >>> outputs = torch.func.vmap(lambda state: torch.func.functional_call(wide.model, state, (x,)))(states)
        >>> bool((outputs - net(x)).abs().max() < 1e-12)
        True
        """
        seed = require_seed(seed)
        random = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
        r, m, cancelling = self.layer.width, self.neurons, not self.critical
        states = []
        for _ in range(require_whole(count, "count")):
            given = None if labels is None else self._checked(labels)
            own = given or draw_configuration(r, m, cancelling=cancelling, seed=random)
            states.append(with_neurons(self.state, self.layer, self._point(own, spread, random)))
        return {name: torch.stack([state[name] for state in states]) for name in self.state}

    @property
    def _outgoing(self) -> Tensor:
        return self.state[self.layer.outgoing]

    def _checked(self, labels: Sequence[int]) -> Labels:
        own = tuple(int(label) for label in labels)
        r, m = self.layer.width, self.neurons
        if len(own) != m or not is_configuration(own, r) or (self.critical and min(own) < 0):
            groups = (
                "" if self.critical else ", and -1, -2, ... for groups that cancel, in the order in which they begin"
            )
            raise InvalidInput(f"labels {list(own)}: give {m}, with each of 0..{r - 1} at least once{groups}")
        return own

    def _even(self, source: Tensor) -> Tensor:
        """Equal shares (m,): one over the number of copies."""
        return 1 / torch.bincount(source).double()[source]

    def _point(self, labels: Labels, spread: float, random: torch.Generator) -> Neurons:
        """A random point of one subspace."""
        own = neurons_of(self.state, self.layer)
        where, m = own.outgoing.device, len(labels)
        names = {label: place for place, label in enumerate(dict.fromkeys(labels))}
        block = torch.tensor([names[label] for label in labels], device=where)  # neurons of a block compute the same
        copied = torch.tensor([label >= 0 for label in labels], device=where)
        source = torch.tensor(labels, device=where).clamp(min=0)
        taken = own.taken(source)
        incoming = {}
        for name, t in taken.incoming.items():
            free = _normal(own.incoming[name], (len(names), *t.shape[1:]), random)
            free = free.abs() if name.endswith(POSITIVE) else free
            incoming[name] = torch.where(_along(copied, t), t, free[block])
        noise = (m,) if self.critical else tuple(taken.outgoing.shape)
        moved = spread * _normal(torch.ones(()).to(own.outgoing) if self.critical else own.outgoing, noise, random)
        sizes = torch.bincount(block).to(taken.outgoing)
        sums = torch.zeros(len(names), *noise[1:]).to(moved).index_add(0, block, moved)
        moved = moved - (sums / _along(sizes, sums))[block]  # sums to zero over each block
        even = torch.where(copied, 1 / sizes[block], 0.0)
        if self.critical:
            return Neurons(incoming, taken.outgoing * _along(even + moved, taken.outgoing))
        return Neurons(incoming, taken.outgoing * _along(even, taken.outgoing) + moved)


def expansion_manifold(
    network: Network,
    layer: str | int,
    *,
    neurons: int,
    critical: bool = False,
    channelwise: Collection[type[nn.Module]] = (),
) -> ExpansionManifold:
    """The expansion manifold of a network with `neurons` neurons in one hidden layer, instead of its own fewer.

    With `critical`, the points at which the gradient is zero if it is so at the network's own parameters. Raises
    `InvalidInput` for fewer neurons than the layer has.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    >>> expansion_manifold(net, 0, neurons=5).count, expansion_manifold(net, 0, neurons=5, critical=True).count
    (450, 150)
    """
    found = layer_named(network, layer, channelwise=channelwise)
    if require_whole(neurons, "neurons") < found.width:
        raise InvalidInput(f"neurons = {neurons}: {found.name!r} has {found.width} of its own; give at least as many")
    kept = network if isinstance(network, nn.Module) else None
    return ExpansionManifold(found, neurons, critical, state_of(network), kept)


def _along(values: Tensor, like: Tensor) -> Tensor:
    """Values (m,), to multiply a tensor (m, ...)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def _normal(own: Tensor, shape: tuple[int, ...], random: torch.Generator) -> Tensor:
    """Normal numbers of the root mean square of a tensor; of deviation 1 if that is zero."""
    size = own.double().square().mean().sqrt()
    drawn = torch.randn(shape, generator=random, dtype=torch.float64, device=random.device)
    return (drawn.to(own.device) * (size if size > 0 else 1.0)).to(own.dtype)
