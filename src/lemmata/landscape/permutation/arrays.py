"""The tensors of a state as arrays with one axis a group, cut where an axis is a sum of groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from lemmata.landscape.permutation.calls import Layout
from lemmata.landscape.permutation.terms import Cases, Groups, Leaf, Prod, Sum, Term, cases_in


@dataclass(frozen=True)
class Group:
    """Indices that permute together: `size` of them, one permutation for each index of the groups it lies `inside` of.

    `name` is the first axis on which the group occurs, as ``"0.weight[0]"``. A group that is `pinned` has the identity
    only, for the reason given.
    """

    name: str
    size: int
    inside: tuple[str, ...] = ()
    pinned: str | None = None


@dataclass(frozen=True, eq=False)
class Block:
    """A part of a tensor of the state, as an array with one axis for each group that its axes are made of.

    `places[k]` are the positions on axis k of the tensor, in row-major order of the groups `factors[k]`.
    """

    tensor: str
    factors: tuple[tuple[str, ...], ...]
    places: tuple[Tensor, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of all axes, in order."""
        return tuple(g for axis in self.factors for g in axis)


def arrays_of(groups: Groups, state: Mapping[str, Layout]) -> tuple[list[Block], dict[str, Group], dict[int, str]]:
    """Every tensor as blocks of groups, the groups by name, and the names by their numbers."""
    parts = [(name, part) for name, layout in state.items() if layout for part in parts_of(groups, layout)]
    names: dict[int, str] = {}
    taken: Counter[str] = Counter()
    for name, part in parts:
        for k, (factors, places) in enumerate(part):
            cases = bool(cases_in([groups.resolve(state[name][k])]))  # then several groups have all of the axis
            for g in (g for g in factors if g not in names):
                axis = f"{name}[{k}]"
                whole = len(factors) == 1 and len(places) == groups.size(state[name][k]) and not cases
                names[g] = axis if whole else f"{axis}:{taken[axis]}"
                taken[axis] += 1
    named = {
        label: Group(label, groups.sizes[g], tuple(names[p] for p in groups.parents(g) if p in names), groups.pins[g])
        for g, label in names.items()
    }
    made = [
        Block(name, tuple(tuple(names[g] for g in factors) for factors, _ in part), tuple(places for _, places in part))
        for name, part in parts
    ]
    return made, named, names


Axis = tuple[tuple[int, ...], Tensor]


def parts_of(groups: Groups, layout: Sequence[Term]) -> list[tuple[Axis, ...]]:
    """The tensor cut where axes are sums or cases: for each part and axis, the groups and the positions they index."""
    terms = [groups.resolve(term) for term in layout]
    chosen = sorted(cases_in(terms))
    made: dict[tuple[object, ...], tuple[Axis, ...]] = {}
    for indices in product(*(range(groups.sizes[p]) for p in chosen)):
        at = dict(zip(chosen, indices, strict=True))
        for part in product(*(_expanded(groups, term, at) for term in terms)):
            made[tuple((factors, *places.tolist()) for factors, places in part)] = part  # once if no case matters to it
    return list(made.values())


def _expanded(groups: Groups, term: Term, at: Mapping[int, int]) -> list[Axis]:
    match term:
        case Leaf(g):
            return [((), torch.tensor([at[g]]))] if g in at else [((g,), torch.arange(groups.sizes[g]))]
        case Cases(p, parts):
            return _expanded(groups, groups.resolve(parts[at[p]]), at)
        case Sum(parts):
            made, start = [], 0
            for part in parts:
                made += [(factors, start + places) for factors, places in _expanded(groups, part, at)]
                start += groups.size(part)
            return made
        case Prod(parts):
            made = [((), torch.zeros(1, dtype=torch.long))]
            for part in parts:
                n = groups.size(part)
                made = [
                    ((*factors, *own), (places[:, None] * n + where).flatten())
                    for factors, places in made
                    for own, where in _expanded(groups, part, at)
                ]
            return made
