"""Permutations of a specification's groups: drawn, composed, inverted, and applied to a state.

A permutation of a group of size n that lies inside groups of sizes (c1, ..., ck) is an integer tensor (c1, ..., ck, n):
the new index i takes what was at `p[..., i]`, where the leading indices are the *new* ones of the outer groups. A set
of permutations is a dict of these by the group's name; a group that is missing stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.given import require_seed
from lemmata.landscape.permutation.arrays import Block
from lemmata.landscape.permutation.ascent import permuted_axis
from lemmata.landscape.permutation.specification import Specification

Permutations = dict[str, Tensor]
State = Mapping[str, Tensor]


def identity(spec: Specification) -> Permutations:
    """The permutations that change nothing.

    >>> from lemmata.landscape.permutation import specification
    >>> spec = specification(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.zeros(2, 3))
    >>> identity(spec)["0.weight[0]"].tolist()
    [0, 1, 2, 3]
    """
    return {g.name: torch.arange(g.size).expand(*spec.copies(g.name), g.size).clone() for g in spec.free}


def random(spec: Specification, seed: int | torch.Generator) -> Permutations:
    """Uniformly random permutations of all free groups, independent of one another.

    >>> from lemmata.landscape.permutation import specification
    >>> spec = specification(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.zeros(2, 3))
    >>> sorted(random(spec, seed=0)["0.weight[0]"].tolist())
    [0, 1, 2, 3]
    """
    seed = require_seed(seed)
    draw = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    return {name: torch.rand(p.shape, generator=draw).argsort(-1) for name, p in identity(spec).items()}


def permuted(spec: Specification, state: State | nn.Module, permutations: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state with its groups permuted: a new dict; the tensors given are not changed.

    `state` is a model or its ``state_dict()``, or a part of it by names. The function that the model computes stays the
    same. Raises `InvalidInput` for shapes that are not the specification's and for what is no permutation.

    >>> from lemmata.landscape.permutation import specification
    >>> model, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.ones(2, 3)
    >>> spec = specification(model, x)
    >>> other = permuted(spec, model, random(spec, seed=1))
    >>> bool(torch.func.functional_call(model, other, x).allclose(model(x)))
    True
    """
    own = state_of(state)
    check_shapes(spec, own)
    check_permutations(spec, permutations)
    made = {name: tensor.detach().clone() for name, tensor in own.items()}
    for block in spec.blocks:
        if not any(g in permutations for g in block.groups):
            continue
        names = [block.tensor, *(alias for alias, first in spec.aliases.items() if first == block.tensor)]
        for name in (name for name in names if name in own):
            write(block, made[name], permuted_block(spec, block, read(spec, block, own[name]), permutations))
    return made


def compose(spec: Specification, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Permutations:
    """The permutations that do `first` and then `second`.

    >>> from lemmata.landscape.permutation import specification
    >>> spec = specification(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.zeros(2, 3))
    >>> p = random(spec, seed=0)
    >>> compose(spec, p, inverse(spec, p))["0.weight[0]"].tolist()
    [0, 1, 2, 3]
    """
    one, two = identity(spec) | dict(first), identity(spec) | dict(second)
    made: Permutations = {}
    for g in spec.free:
        moved = at_old_place(spec, g.name, one[g.name], two)
        made[g.name] = moved.gather(-1, two[g.name])
    return made


def inverse(spec: Specification, permutations: Mapping[str, Tensor]) -> Permutations:
    """The permutations that undo these.

    >>> from lemmata.landscape.permutation import specification
    >>> spec = specification(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.zeros(2, 3))
    >>> inverse(spec, {"0.weight[0]": torch.tensor([1, 2, 3, 0])})["0.weight[0]"].tolist()
    [3, 0, 1, 2]
    """
    own, made = identity(spec) | dict(permutations), {}
    for g in spec.free:
        made[g.name] = at_old_place(spec, g.name, own[g.name].argsort(-1), made)
    return made


def at_old_place(spec: Specification, group: str, values: Tensor, permutations: Mapping[str, Tensor]) -> Tensor:
    """Values (c1, ..., ck, n) of a group's copies read where the outer groups' new indices come from."""
    outer = spec.groups[group].inside
    index: list[Tensor] = []
    for depth, name in enumerate(outer):
        size = spec.groups[name].size
        new = torch.arange(size).reshape(-1, *[1] * (len(outer) - depth - 1))
        if name not in permutations:
            index.append(new)
            continue
        within = [
            torch.arange(spec.groups[p].size).reshape(-1, *[1] * (len(outer) - outer.index(p) - 1))
            for p in spec.groups[name].inside
        ]
        index.append(permutations[name][(*within, new)])
    return values[tuple(index)] if index else values


def read(spec: Specification, block: Block, tensor: Tensor) -> Tensor:
    """The block of a tensor: an array with one axis a group."""
    for k, places in enumerate(block.places):
        if len(places) != tensor.shape[k]:
            tensor = tensor.index_select(k, places.to(tensor.device))
    return tensor.detach().reshape([spec.groups[g].size for g in block.groups])


def write(block: Block, tensor: Tensor, values: Tensor) -> None:
    """Put a block back into its tensor, in place."""
    shape = tuple(len(places) for places in block.places)
    if shape == tuple(tensor.shape):
        tensor.copy_(values.reshape(shape))
        return
    mesh = torch.meshgrid(*(places.to(tensor.device) for places in block.places), indexing="ij")
    tensor[mesh] = values.reshape(shape).to(tensor.dtype)


def permuted_block(spec: Specification, block: Block, values: Tensor, permutations: Mapping[str, Tensor]) -> Tensor:
    """A block's array permuted: outer groups first, since inner ones go by the new index of the outer."""
    groups = block.groups
    order = sorted(range(len(groups)), key=lambda axis: len(spec.groups[groups[axis]].inside))
    for axis in order:
        if groups[axis] in permutations:
            values = permuted_axis(spec.groups, groups, axis, values, permutations[groups[axis]])
    return values


def state_of(state: State | nn.Module) -> dict[str, Tensor]:
    """The tensors of a model, or of a state."""
    found = state.state_dict() if isinstance(state, nn.Module) else state
    if not isinstance(found, Mapping):
        raise InvalidInput(f"a state is a dict of tensors by name or a model, not {type(state).__name__}")
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, Tensor)}


def in_types_of(own: State, state: State) -> dict[str, Tensor]:
    """A state in the types of another, for what runs both through one model."""
    return {name: tensor.to(own[name].dtype) if name in own else tensor for name, tensor in state.items()}


def check_shapes(spec: Specification, state: State) -> None:
    """Raise `InvalidInput` for a state that is not of the specification's model."""
    for name, tensor in state.items():
        if spec.shapes.get(name) != tuple(tensor.shape):
            wanted = spec.shapes.get(name, "no tensor of this name")
            raise InvalidInput(f"the state has {name!r} of shape {tuple(tensor.shape)}; the specification has {wanted}")


def check_permutations(spec: Specification, permutations: Mapping[str, Tensor]) -> None:
    """Raise `InvalidInput` for what is no permutation of a free group."""
    for name, p in permutations.items():
        group = spec.group(name)
        shape = (*spec.copies(name), group.size)
        if group.pinned is not None:
            raise InvalidInput(f"group {name!r} is pinned: {group.pinned}")
        if tuple(p.shape) != shape or not bool((p.sort(-1).values == torch.arange(group.size, device=p.device)).all()):
            raise InvalidInput(f"group {name!r}: no permutation of shape {shape}")
