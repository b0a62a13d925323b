"""Which axes of a model's tensors permute together without changing its function, derived from its graph.

    f(x; theta) = f(x; pi theta)   for all x, theta and all permutations pi of the groups

Every axis of every parameter and buffer starts as a group of its own. The operations of the traced graph make groups
equal (the output of one layer is the input of the next, both sides of a residual sum), split them (heads, blocks of
channels) or pin them (inputs, outputs, whatever is read by position). What remains free is the specification. It is exact
in what it promises (`check` tries it on random parameters); it may miss symmetries behind operations it has no rule for,
and says where it pinned. Symmetries that are no permutations (signs, scales, rotations of q and k) are not sought.

Cost: one forward pass, and about a millisecond an operation.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.utils import _pytree

from lemmata.errors import UnknownName
from lemmata.landscape.permutation import rules_elementwise, rules_products, rules_shapes  # noqa: F401  (fill RULES)
from lemmata.landscape.permutation.calls import RULES, Call, Layout, Layouts
from lemmata.landscape.permutation.rules_elementwise import pointwise
from lemmata.landscape.permutation.rules_shapes import cases_in
from lemmata.landscape.permutation.terms import Cases, Groups, Leaf, Prod, Sum, Term
from lemmata.landscape.permutation.trace import Inputs, Trace, trace


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

    `x` is a batch of inputs (two samples are enough; several tensors if the model takes several), of which the shape
    matters and the values only to branches. The model is traced in evaluation mode on a copy. Raises `InvalidInput` for a
    model that fails on x.

    >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> spec = specification(model, torch.zeros(2, 3))
    >>> [(g.name, g.size) for g in spec.free]
    [('0.weight[0]', 4)]
    >>> print(spec)
    0.weight[0]: 4; on 0.weight[0], 0.bias[0], 2.weight[1]
    0.weight[1]: 3, pinned: an input of the model
    2.weight[0]: 2, pinned: the model's output
    """
    traced = trace(model, x)
    groups, state, _ = infer(traced)
    blocks, named = _blocks(groups, state)
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items() if isinstance(t, Tensor)}
    return Specification(named, tuple(blocks), shapes, traced.aliases, frozenset(dict(model.named_buffers())))


def infer(traced: Trace) -> tuple[Groups, dict[str, Layout], Layouts]:
    """The groups of a graph, the layouts of the state's tensors, and those of every node."""
    groups, layouts = Groups(), Layouts()
    state: dict[str, Layout] = {}
    names = iter(traced.names)
    for node in traced.module.graph.nodes:
        made = _layout(groups, node, layouts, is_input=len(state) == len(traced.names))
        if made is not None:
            layouts[node] = made
        if node.op == "placeholder" and len(state) < len(traced.names) and isinstance(made, tuple):
            state[next(names)] = made
    _pin_unused(groups, traced, layouts, state)
    _settle(groups, layouts)
    return groups, state, layouts


def _layout(groups: Groups, node: Node, layouts: Layouts, is_input: bool) -> Layout | list[Layout] | None:
    """The layout of one node's value; None for what is no tensor."""
    value = node.meta.get("val")
    if node.op == "placeholder":
        why = "an input of the model" if is_input else None
        return tuple(groups.leaf(n, pinned=why) for n in value.shape)
    if node.op == "get_attr":
        return tuple(groups.leaf(n, pinned="a constant that is not in the state") for n in value.shape)
    if node.op == "output":
        for result in _pytree.tree_leaves(node.args):
            for term in layouts.get(result, ()) if isinstance(result, Node) else ():
                groups.pin(term, "the model's output")  # type: ignore[arg-type]
        return None
    if node.target is operator.getitem:
        whole, index = node.args
        found = layouts[whole]  # type: ignore[index]
        return found[index] if isinstance(found, list) else None  # type: ignore[index]
    if not isinstance(node.target, torch._ops.OpOverload):
        return None  # a switch of modes, which computes nothing
    call = Call.of(groups, node, layouts)
    if call.name in RULES:
        return RULES[call.name](call)
    if torch.Tag.pointwise in node.target.tags:
        return pointwise(call)
    return call.pin_everything()


def _pin_unused(groups: Groups, traced: Trace, layouts: Layouts, state: Mapping[str, Layout]) -> None:
    """Pin what no computation reads: unused parameters, and the rows of a table that a slice cut off."""
    read: set[int] = set()
    for node in traced.module.graph.nodes:
        if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
            if (
                RULES.get(node.target._schema.name.removeprefix("aten::"), pointwise).__module__
                != rules_shapes.__name__
            ):
                made = [layouts[given] for given in node.all_input_nodes if given in layouts]
                layouts_read = [own for found in made for own in (found if isinstance(found, list) else [found])]
                read.update(g for layout in layouts_read for term in layout for g in groups.leaves(term))
    for name, layout in state.items():
        for g in {g for term in layout for g in groups.leaves(term)} - read:
            groups.pin(Leaf(g), f"not used by the model on this input ({name})")


def _settle(groups: Groups, layouts: Layouts) -> None:
    """Take the copies away that a tensor cannot tell apart: a group's outer groups must be on every tensor it is on."""
    tensors = [own for made in layouts.values() for own in (made if isinstance(made, list) else [made])]
    changed = True
    while changed:
        changed = False
        for layout in tensors:
            leaves = {g for term in layout for g in groups.leaves(term)}
            for over in cases_in([groups.resolve(term) for term in layout]) - leaves:
                changed |= _merge_cases(groups, layout, over)
            for g in leaves:
                kept = [p for p in groups.parents(g) if p in leaves]
                kept = [p for p in kept if set(groups.parents(p)) <= set(kept)]
                changed |= groups.restrict(g, kept)


def _merge_cases(groups: Groups, layout: Layout, over: int) -> bool:
    for term in layout:
        first = groups.case(term, over, 0)
        for index in range(1, groups.sizes[over]):
            groups.unify(first, groups.case(term, over, index), "an axis of stacked tensors is lost")
    return True


def _blocks(groups: Groups, state: Mapping[str, Layout]) -> tuple[list[Block], dict[str, Group]]:
    """Every tensor as blocks of groups, and the groups by name."""
    parts = [(name, part) for name, layout in state.items() if layout for part in _parts(groups, layout)]
    names: dict[int, str] = {}
    for name, part in parts:
        for k, (factors, places) in enumerate(part):
            for g in factors:
                whole = len(factors) == 1 and len(places) == groups.size(state[name][k])
                label = (
                    f"{name}[{k}]"
                    if whole
                    else f"{name}[{k}]:{len([n for n in names.values() if n.startswith(f'{name}[{k}]')])}"
                )
                names.setdefault(g, label)
    named = {
        label: Group(label, groups.sizes[g], tuple(names[p] for p in groups.parents(g) if p in names), groups.pins[g])
        for g, label in names.items()
    }
    made = [
        Block(name, tuple(tuple(names[g] for g in factors) for factors, _ in part), tuple(places for _, places in part))
        for name, part in parts
    ]
    return made, named


Axis = tuple[tuple[int, ...], Tensor]


def _parts(groups: Groups, layout: Sequence[Term]) -> list[tuple[Axis, ...]]:
    """The tensor cut where axes are sums or cases: for each part and axis, the groups and the positions they index."""
    terms = [groups.resolve(term) for term in layout]
    chosen = sorted(cases_in(terms))
    made = []
    for indices in product(*(range(groups.sizes[p]) for p in chosen)):
        at = dict(zip(chosen, indices, strict=True))
        made += product(*(_expanded(groups, term, at) for term in terms))
    return made


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
