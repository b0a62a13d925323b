"""Which axes of a model's tensors permute together without changing its function, derived from its graph.

    f(x; theta) = f(x; pi theta)   for all x, theta and all permutations pi of the groups

Every axis of every parameter and buffer starts as a group of its own. The operations of the traced graph make groups
equal (the output of one layer is the input of the next, both sides of a residual sum), split them (heads, blocks of
channels) or pin them (inputs, outputs, whatever is read by position). What remains free is the specification. What it
promises holds (`check` tries it on random parameters); it may miss symmetries behind operations it has no rule for,
and says where it pinned. Symmetries that are no permutations (signs, scales, rotations of q and k) are not sought.

Cost: one forward pass, and about a millisecond an operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from lemmata.errors import UnknownName
from lemmata.landscape.permutation.arrays import Block, Group, arrays_of
from lemmata.landscape.permutation.inference import infer
from lemmata.landscape.permutation.trace import Inputs, Trace, trace


@dataclass(frozen=True, eq=False)
class Specification:
    """The groups of a model's state by name, and the blocks of its tensors.

    `blocks` covers every tensor of the state of at least one axis once, except tied ones: `aliases` maps a name of the
    state to the name whose tensor it is. `shapes` are those of all tensors, `buffers` the names of those that are no
    parameters.
    """

    groups: Mapping[str, Group]
    blocks: tuple[Block, ...]
    shapes: Mapping[str, tuple[int, ...]]
    aliases: Mapping[str, str]
    buffers: frozenset[str]

    @property
    def free(self) -> tuple[Group, ...]:
        """The groups that permute, outer ones before those inside them."""
        return tuple(sorted((g for g in self.groups.values() if g.pinned is None), key=lambda g: len(g.inside)))

    @property
    def pinned(self) -> tuple[Group, ...]:
        """The groups that do not, with the reasons."""
        return tuple(g for g in self.groups.values() if g.pinned is not None)

    def copies(self, group: str) -> tuple[int, ...]:
        """The sizes of the groups that a group lies inside of."""
        return tuple(self.groups[name].size for name in self.group(group).inside)

    def group(self, name: str) -> Group:
        """The group of this name; raises `UnknownName`."""
        if name not in self.groups:
            raise UnknownName("group", name, self.groups)
        return self.groups[name]

    def __str__(self) -> str:
        lines = []
        for g in self.free:
            where = [f"{b.tensor}[{k}]" for b in self.blocks for k, axis in enumerate(b.factors) if g.name in axis]
            inside = f" inside {', '.join(g.inside)}" if g.inside else ""
            lines.append(f"{g.name}: {g.size}{inside}; on {', '.join(dict.fromkeys(where))}")
        lines += [f"{g.name}: {g.size}, pinned: {g.pinned}" for g in self.pinned]
        return "\n".join(lines)


def specification(model: nn.Module, x: Inputs) -> Specification:
    """Derive which axes of the model's parameters and buffers permute together.

    `x` is a batch of inputs (two samples are enough; several tensors if the model takes several), of which only the
    shape matters. The model is traced in evaluation mode on a copy. Raises `InvalidInput` for a model that fails on x,
    and for one that branches on the values of tensors.

    >>> import torch
    >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> spec = specification(model, torch.zeros(2, 3))
    >>> [(g.name, g.size) for g in spec.free]
    [('0.weight[0]', 4)]
    >>> print(spec)
    0.weight[0]: 4; on 0.weight[0], 0.bias[0], 2.weight[1]
    0.weight[1]: 3, pinned: an input of the model
    2.weight[0]: 2, pinned: the model's output
    """
    return specification_of(model, trace(model, x))


def specification_of(model: nn.Module, traced: Trace) -> Specification:
    """The specification of a model whose graph is there."""
    groups, state, _ = infer(traced)
    blocks, named, _ = arrays_of(groups, state)
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items() if isinstance(t, Tensor)}
    return Specification(named, tuple(blocks), shapes, traced.aliases, frozenset(dict(model.named_buffers())))
