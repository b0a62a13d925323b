"""Coordinate ascent over permutations: maximise sum_k <A_k, pi B_k>, one group at a time.

With all other groups held, the sum is linear in the permutation of one group: sum_i C[i, p(i)], a linear assignment
problem, solved exactly. That is algorithm 1 of Ainsworth, Hayase and Srinivasa (2023), where the A_k are the weights of
one model and the B_k those of another. Two cases are added to it.

**Blocks.** A group that has others inside it (heads with their dimensions, blocks of channels) is assigned together
with them: the value of putting block j at i is that of the best arrangement inside, found by the same ascent on the two
blocks; exact where the inner groups share no array. With stale inner permutations no two blocks would look alike.

**Twice in one array.** Where a group is on two axes of one array (a square matrix between the two ends of a residual
sum) the sum is quadratic in its permutation. The assignment maximises the linear part at the present permutation, and
is taken only if the sum itself grows.

Cost of a visit to a group of size n with m entries an index: 2 n^2 m flops and one assignment problem, O(n^3) at worst.
A group is visited again only if a group on one of its arrays moved since. The sum never falls, so it ends; in a local
maximum, which for models that have nothing in common is one of many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from torch import Tensor

from lemmata.landscape.permutation.arrays import Group


@dataclass(frozen=True, eq=False)
class Pair:
    """Two arrays with one axis for each of `groups`; names that are no free group do not permute."""

    groups: tuple[str, ...]
    a: Tensor
    b: Tensor


@dataclass(frozen=True, eq=False)
class Ascended:
    """Permutations at which no group alone can be improved (if `converged`), and the sum after each pass."""

    permutations: dict[str, Tensor]
    history: list[float]
    passes: int
    converged: bool


class Ascent:
    """The pairs of arrays, the free groups by name, and the permutations reached."""

    def __init__(self, pairs: Sequence[Pair], groups: Mapping[str, Group], start: Mapping[str, Tensor]):
        self.groups = groups
        self.pairs = [pair for pair in pairs if any(g in groups for g in pair.groups)]
        self.rest = sum(inner_product(p.a, p.b) for p in pairs if not any(g in groups for g in p.groups))
        self.permutations = dict(start)
        self.of_group = {name: [pair for pair in self.pairs if name in pair.groups] for name in groups}
        self.inside = {name: [g for g in groups.values() if name in g.inside] for name in groups}
        self.twice = {name: any(p.groups.count(name) > 1 for p in own) for name, own in self.of_group.items()}
        self.near = {name: {g for p in self.of_group[name] for g in p.groups if g in groups} for name in groups}

    def run(self, draw: torch.Generator, max_passes: int) -> Ascended:
        """Visit groups in random order, pass after pass, until none has moved since its neighbours did."""
        waiting = {name for name in self.groups if self.of_group[name]}
        history, passes = [self.value(self.pairs) + self.rest], 0
        order = list(self.groups)
        while waiting and passes < max_passes:
            for k in torch.randperm(len(order), generator=draw).tolist():
                if order[k] in waiting:
                    moved = self.visit(order[k], draw)
                    waiting |= {g for name in moved for g in self.near[name]}
                    waiting -= {order[k]} if self._settled(order[k], moved) else set()
            passes += 1
            history.append(self.value(self.pairs) + self.rest)
        return Ascended(self.permutations, history, passes, not waiting)

    def visit(self, name: str, draw: torch.Generator) -> list[str]:
        """Improve one group, with what lies inside it; the names of the groups that moved."""
        if self.inside[name] or self.twice[name]:
            return self._replaced(self._with_inner(name, draw) if self.inside[name] else {name: self._assigned(name)})
        C = self.similarity(name).double()
        old = self.permutations[name]
        new = assigned(C, old)
        gain = float((C.gather(-1, new[..., None]) - C.gather(-1, old[..., None])).sum())
        if not gain > self._rounding(name):
            return []
        self.permutations[name] = new
        return [name]

    def _replaced(self, found: Mapping[str, Tensor]) -> list[str]:
        """Take these permutations if the sum grows by them; the names of those that moved."""
        old = {g: self.permutations[g] for g in found}
        moved = [g for g in found if not torch.equal(found[g], old[g])]
        pairs = list(dict.fromkeys(pair for g in moved for pair in self.of_group[g]))
        before = self.value(pairs)
        self.permutations |= found
        if self.value(pairs) > before + max((self._rounding(g) for g in moved), default=0.0):
            return moved
        self.permutations |= old
        return []

    def _rounding(self, name: str) -> float:
        """What rounding can make of the sum over a group's arrays: less is no gain."""
        eps = torch.finfo(self.of_group[name][0].a.dtype).eps
        return 4 * eps * sum(float(pair.a.norm() * pair.b.norm()) for pair in self.of_group[name])

    def value(self, pairs: Sequence[Pair]) -> float:
        """Sum <A, pi B> over pairs, at the present permutations."""
        return sum(inner_product(pair.a, self.moved(pair, ())) for pair in pairs)

    def moved(self, pair: Pair, held: Sequence[int]) -> Tensor:
        """B with its axes permuted, but for those held back: outer groups first."""
        b = pair.b
        for axis in sorted(range(len(pair.groups)), key=lambda k: self._depth(pair.groups[k])):
            if axis not in held and pair.groups[axis] in self.groups:
                b = permuted_axis(self.groups, pair.groups, axis, b, self.permutations[pair.groups[axis]])
        return b

    def similarity(self, name: str) -> Tensor:
        """C (c1, ..., ck, n, n): the gain of taking the old index j to the new index i, for each copy of the group."""
        group, total = self.groups[name], None
        for pair in self.of_group[name]:
            for axis in (k for k, g in enumerate(pair.groups) if g == name):
                b = self.moved(pair, [axis])
                lead = [outer_axis(pair.groups, axis, outer) for outer in group.inside]
                order = [*lead, axis, *(k for k in range(b.ndim) if k not in lead and k != axis)]
                shape = (*(b.shape[k] for k in lead), group.size, -1)
                part = pair.a.permute(order).reshape(shape) @ b.permute(order).reshape(shape).mT
                total = part if total is None else total + part
        assert total is not None
        return total

    def _assigned(self, name: str) -> Tensor:
        return assigned(self.similarity(name), self.permutations[name])

    def _with_inner(self, name: str, draw: torch.Generator) -> dict[str, Tensor]:
        """The best assignment of a group's blocks, each pair of blocks with the best arrangement inside."""
        group, inner = self.groups[name], self.inside[name]
        outer = (*group.inside, name)
        within = {g.name: replace(g, inside=tuple(p for p in g.inside if p not in outer)) for g in inner}
        pairs = [part for pair in self.of_group[name] for part in self._linear_parts(pair, name)]
        made = {g: self.permutations[g].clone() for g in (name, *within)}
        for copy in product(*(range(n) for n in self.permutations[name].shape[:-1])):
            at = dict(zip(group.inside, copy, strict=True))
            value, found = torch.zeros(group.size, group.size, dtype=torch.float64), {}
            for i, j in product(range(group.size), repeat=2):
                own = [sliced(pair, name, at | {name: i}, at | {name: j}) for pair in pairs]
                start = {g.name: _restart(self.permutations[g.name], g, outer) for g in inner}
                result = Ascent(own, within, start).run(draw, 100)
                value[i, j], found[i, j] = result.history[-1], result.permutations
            made[name][copy] = chosen = assigned(value, self.permutations[name][copy])
            for i in range(group.size):
                for g in inner:
                    where = tuple((at | {name: i}).get(p, slice(None)) for p in g.inside)
                    made[g.name][where] = found[i, int(chosen[i])][g.name]
        return made

    def _linear_parts(self, pair: Pair, name: str) -> list[Pair]:
        """The pair with all but a group and its inner ones permuted; where it is there twice, once with each held."""
        free = {name, *(g.name for g in self.inside[name])}
        axes = [k for k, g in enumerate(pair.groups) if g == name]
        parts = []
        for axis in axes:
            own = [
                k for k, g in enumerate(pair.groups) if g in free and (k == axis or self._outer(pair, k, name) == axis)
            ]
            groups = tuple(g if k in own or g not in free else f"{g} as it is" for k, g in enumerate(pair.groups))
            parts.append(Pair(groups, pair.a, self.moved(pair, own)))
        return parts

    def _outer(self, pair: Pair, axis: int, name: str) -> int | None:
        group = self.groups.get(pair.groups[axis])
        return outer_axis(pair.groups, axis, name) if group and name in group.inside else None

    def _settled(self, name: str, moved: Sequence[str]) -> bool:
        """Whether another visit at once would find nothing: not so where the assignment was no exact maximum."""
        inner = {g.name for g in self.inside[name]}
        coupled = any(sum(g in inner for g in pair.groups) > 1 for pair in self.of_group[name])
        return not moved or not (coupled or self.twice[name])

    def _depth(self, name: str) -> int:
        return len(self.groups[name].inside) if name in self.groups else 0


def assigned(C: Tensor, present: Tensor) -> Tensor:
    """The permutations p (..., n) with the largest sum_i C[..., i, p(i)]: linear assignments, solved exactly."""
    from scipy.optimize import linear_sum_assignment

    n = C.shape[-1]
    found = [linear_sum_assignment(c, maximize=True)[1] for c in C.detach().cpu().reshape(-1, n, n).numpy()]
    return torch.as_tensor(np.stack(found)).reshape(present.shape)


def inner_product(a: Tensor, b: Tensor) -> float:
    """<a, b>, added up in float64."""
    return float(torch.sum(a * b, dtype=torch.float64))


def permuted_axis(
    groups: Mapping[str, Group], names: tuple[str, ...], axis: int, values: Tensor, permutation: Tensor
) -> Tensor:
    """An array permuted along one axis, by the copies of the group that the axes of its outer groups say."""
    permutation = permutation.to(values.device)
    if permutation.ndim == 1:
        return values.index_select(axis, permutation)
    where = [outer_axis(names, axis, outer) for outer in groups[names[axis]].inside] + [axis]
    shape = [1] * len(names)
    for at, n in zip(where, permutation.shape, strict=True):
        shape[at] = n
    spread = permutation.permute(sorted(range(len(where)), key=where.__getitem__)).reshape(shape)
    return values.gather(axis, spread.expand(values.shape))


def outer_axis(names: Sequence[str], axis: int, outer: str) -> int:
    """The axis of a group that the one on `axis` lies inside of: the last before it, or the first after."""
    before = [k for k in range(axis) if names[k] == outer]
    return before[-1] if before else names.index(outer, axis)


def sliced(pair: Pair, name: str, at_a: Mapping[str, int], at_b: Mapping[str, int]) -> Pair:
    """The pair at one index of a group and of those it lies inside of: one index in A, another in B."""
    axis = pair.groups.index(name)
    where = {outer: axis if outer == name else outer_axis(pair.groups, axis, outer) for outer in at_a}
    a, b = (
        x[tuple(at[names[k]] if k in names else slice(None) for k in range(x.ndim))]
        for x, at in ((pair.a, at_a), (pair.b, at_b))
        for names in [{k: outer for outer, k in where.items()}]
    )
    return Pair(tuple(g for k, g in enumerate(pair.groups) if k not in where.values()), a, b)


def _restart(permutation: Tensor, group: Group, outer: Sequence[str]) -> Tensor:
    """The identity for a group's copies that are left when the outer groups have one index each."""
    left = [n for p, n in zip(group.inside, permutation.shape[:-1], strict=True) if p not in outer]
    return torch.arange(group.size).expand(*left, group.size).clone()
