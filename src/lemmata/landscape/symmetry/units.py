"""Units of any network split in two or more, by its specification: residual streams and channels with their statistics.

    sum_u W[., u] z_u  =  sum_u sum_i s_(u, i) W[., u] z_u,        sum_i s_(u, i) = 1

A unit is an index of a group of the permutation specification. Every tensor that writes it (the rows that make it, bias
and statistics of batch normalisation, all the layers that add to a residual stream) gets a copy of it; every tensor
that reads it gives the copies shares of its weight. Outputs stay the same for any shares, and so the loss is constant
along them; where it was critical it is critical again, as `split` says for chains.

Which tensors write and read is derived from the graph (`roles`) and then tried: each group is split once with random
parameters in float64, and refused where the outputs change or the model cannot run with another size. Cost: a trace,
and a forward pass a group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.given import require_seed, require_whole
from lemmata.landscape.permutation.arrays import Group
from lemmata.landscape.permutation.check import in_double, outputs, redrawn
from lemmata.landscape.permutation.permuting import State, check_shapes, state_of
from lemmata.landscape.permutation.specification import Specification, specification_of
from lemmata.landscape.permutation.trace import Inputs, trace
from lemmata.landscape.symmetry.roles import Roles
from lemmata.landscape.symmetry.splitting import shares_of

TOLERANCE = 1e-9  # float64: reordered sums are within 1e-12, a copy that counts twice is of order 1


@dataclass(frozen=True, eq=False)
class Units:
    """The groups of a specification whose units can be split.

    `readers` are the places (tensor, axis) that read each group, and are shared out; all others of it are copied.
    `refused` says of the free groups that cannot be split what keeps them from it.
    """

    spec: Specification
    readers: Mapping[str, frozenset[tuple[str, int]]]
    refused: Mapping[str, str]

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups that can be split."""
        return tuple(group for group in self.spec.free if group.name not in self.refused)

    def __str__(self) -> str:
        lines = [f"{g.name}: {g.size}; read by {', '.join(sorted(t for t, _ in self.readers[g.name]))}"
                 for g in self.groups]  # fmt: skip
        return "\n".join([*lines, *(f"{name}: not to be split, {why}" for name, why in self.refused.items())])


def units(model: nn.Module, x: Inputs, *, seed: int | torch.Generator = 0) -> Units:
    """Derive which groups of a model's units can be split, for any model that `permutation.specification` reads.

    `x` is a batch of inputs, of two samples or more. Nothing of the model is changed. Random: the parameters with which
    every group is tried, from `seed`. Raises `InvalidInput` as `permutation.specification` does.

    >>> model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 5), nn.LayerNorm(5), nn.Linear(5, 2))
    >>> print(units(model, torch.randn(2, 3)))
    0.weight[0]: 4; read by 2.weight
    2.weight[0]: not to be split, layer_norm (node 'layer_norm') runs over it, and would count a copy
    """
    traced = trace(model, x)
    spec, roles = specification_of(model, traced), Roles.of(traced)
    refused = {g.name: roles.refused[g.name] for g in spec.free if g.name in roles.refused}
    for group in spec.free:
        inner = [g.name for g in spec.free if group.name in g.inside]
        if group.inside:
            refused[group.name] = f"it lies inside {group.inside[-1]!r}, each of whose indices has as many"
        elif inner:
            refused[group.name] = f"{inner[0]!r} lies inside it: it counts heads or blocks, which the model's code does"
    found = Units(spec, {g.name: frozenset(roles.readers[g.name]) for g in spec.free}, refused)
    return Units(spec, found.readers, refused | _tried(found, model, x, seed))


def split_unit(
    found: Units,
    state: State | nn.Module,
    group: str,
    unit: int,
    *,
    into: int = 2,
    shares: Sequence[float] | Tensor | None = None,
) -> dict[str, Tensor]:
    """The state with one unit of a group split `into` copies; `module_with` makes its module.

    `shares` (into,) sum to 1 (equal ones by default; they may be zero or negative). The first copy stays in the unit's
    place, the others come after the group's last unit. Raises `InvalidInput` for a group that is pinned or cannot be
    split, with the reason, and for shares of another sum; `UnknownName` for a group that is not there.

    >>> model, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.randn(2, 3)
    >>> wide = split_unit(units(model, x), model, "0.weight[0]", 2, shares=[0.3, 0.7])
    >>> {name: tuple(tensor.shape) for name, tensor in wide.items()}
    {'0.weight': (5, 3), '0.bias': (5,), '2.weight': (2, 5), '2.bias': (2,)}
    >>> bool(torch.func.functional_call(model, wide, x).allclose(model(x), atol=1e-6))
    True
    """
    spec, own = found.spec, state_of(state)
    given = spec.group(group)
    reason = f"is pinned: {given.pinned}" if given.pinned else f"cannot be split: {found.refused.get(group)}"
    if given.pinned or group in found.refused:
        raise InvalidInput(f"group {group!r} {reason}")
    if require_whole(unit, "unit", least=0) >= given.size:
        raise InvalidInput(f"unit {unit} of {group!r}, which has {given.size}, counted from 0")
    check_shapes(spec, own)
    parts = shares_of(shares, require_whole(into, "into"))
    return _split(found, own, given, unit, parts)


def _split(found: Units, state: Mapping[str, Tensor], group: Group, unit: int, shares: Tensor) -> dict[str, Tensor]:
    copies = torch.full((len(shares) - 1,), unit)
    source = torch.cat([torch.arange(group.size), copies])
    scale = torch.ones(len(source), dtype=torch.float64)
    scale[unit], scale[group.size :] = shares[0], shares[1:]
    made = {}
    for name, tensor in state.items():
        blocks = [b for b in found.spec.blocks if b.tensor == found.spec.aliases.get(name, name)]
        wide = tensor.detach().clone()
        for axis in {k for b in blocks for k, factors in enumerate(b.factors) if group.name in factors}:
            parts = {tuple(b.places[axis].tolist()): b.factors[axis] for b in blocks}
            widened = [_widened(found.spec, parts[own], own, (group.name, source, scale)) for own in sorted(parts)]
            places, weights = (torch.cat(part) for part in zip(*widened, strict=True))
            wide = wide.index_select(axis, places.to(wide.device))
            if (blocks[0].tensor, axis) in found.readers[group.name]:
                wide = wide * weights.to(wide).reshape([-1 if k == axis else 1 for k in range(wide.ndim)])
        made[name] = wide
    return made


def _widened(
    spec: Specification, factors: Sequence[str], places: Sequence[int], taken: tuple[str, Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """A part of an axis with more units of a group: the old places its entries come from, and the share of each."""
    group, source, scale = taken
    at = torch.tensor(places).reshape([spec.groups[name].size for name in factors])
    share = torch.ones(at.shape, dtype=torch.float64)
    for k in (k for k, name in enumerate(factors) if name == group):
        along = scale.reshape([-1 if j == k else 1 for j in range(share.ndim)])
        at, share = at.index_select(k, source), share.index_select(k, source) * along
    return at.flatten(), share.flatten()


def _tried(found: Units, model: nn.Module, x: Inputs, seed: int | torch.Generator) -> dict[str, str]:
    """The groups that change the outputs when one of their units is split, or that the model's code counts."""
    seed = require_seed(seed)
    draw = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    copied, inputs = in_double(model, x)
    state = {name: t for name, t in redrawn(copied, draw).items() if name not in found.spec.aliases}
    expected, shares = outputs(copied, state, inputs), torch.tensor([0.3, 0.7], dtype=torch.float64)
    refused = {}
    for group in found.groups:
        unit = int(torch.randint(group.size, (1,), generator=draw))
        try:
            wide = outputs(copied, _split(found, state, group, unit, shares), inputs)
        except (RuntimeError, AssertionError, ValueError, TypeError) as failed:  # as the model's own code says it
            refused[group.name] = f"the model's code counts its units: {str(failed).splitlines()[0]}"
            continue
        if wide.shape != expected.shape or not (wide - expected).abs().max() <= TOLERANCE * expected.abs().max():
            refused[group.name] = "a unit split in two changes the outputs, so that more than sums depend on it"
    return refused
