"""The groups of a traced graph: each operation's rule applied in turn, then what no tensor can tell apart made common.

An axis of a parameter starts inside the axes before it: the columns of a matrix might permute in another way in each
row. Nearly every use takes that away at once (columns are summed with an input that has no rows), and stacks of
matrices, one a head, keep it.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import torch
from torch.fx import Node
from torch.utils import _pytree

from lemmata.landscape.permutation import rules_products, rules_reductions, rules_shapes
from lemmata.landscape.permutation.calls import RULES, Call, Layout, Layouts
from lemmata.landscape.permutation.rules_elementwise import pointwise
from lemmata.landscape.permutation.terms import Cases, Groups, Leaf, Prod, Term, cases_in
from lemmata.landscape.permutation.trace import Trace

PRODUCTS = {name for name, function in RULES.items() if function.__module__ == rules_products.__name__} - {"embedding"}
MOVERS = {name for name, function in RULES.items() if function.__module__ == rules_shapes.__name__}
assert rules_products.linear
assert rules_reductions.reduction  # importing their modules has entered their rules


def infer(traced: Trace) -> tuple[Groups, dict[str, Layout], Layouts]:
    """The groups of a graph, the layouts of the state's tensors, and those of every node."""
    groups, layouts, joint = Groups(), Layouts(), list[Layout]()
    state: dict[str, Layout] = {}
    names = iter(traced.names)
    for node in traced.module.graph.nodes:
        if node.op == "placeholder" and len(state) < len(traced.names):
            layouts[node] = state[next(names)] = _own_axes(groups, node.meta["val"].shape)
            continue
        made = _layout(groups, node, layouts, joint)
        if made is not None:
            layouts[node] = made
    _pin_unused(groups, traced, layouts, state)
    _settle(groups, [*_flat(layouts.values()), *joint])
    return groups, state, layouts


def _own_axes(groups: Groups, shape: Sequence[int]) -> Layout:
    made: list[Term] = []
    for n in shape:
        made.append(groups.leaf(n, inside=[term.group for term in made if isinstance(term, Leaf)]))
    return tuple(made)


def _layout(groups: Groups, node: Node, layouts: Layouts, joint: list[Layout]) -> Layout | list[Layout] | None:
    """The layout of one node's value; None for what is no tensor."""
    if node.op == "placeholder":
        return tuple(groups.leaf(n, pinned="an input of the model") for n in node.meta["val"].shape)
    if node.op == "get_attr":
        why = "a constant that is not in the state"
        return tuple(groups.leaf(n, pinned=why) for n in node.meta["val"].shape)
    if node.op == "output":
        for result in (r for r in _pytree.tree_leaves(node.args) if isinstance(r, Node)):
            for term in (term for layout in _flat([layouts[result]]) for term in layout):
                groups.pin(term, "the model's output")
        return None
    if node.target is operator.getitem:
        whole, index = node.args
        found = layouts[whole]  # type: ignore[index]
        return found[index] if isinstance(found, list) else None  # type: ignore[index]
    if not isinstance(node.target, torch._ops.OpOverload):
        return None  # a switch of modes, which computes nothing
    return _result(Call.of(groups, node, layouts, joint), node.target)


def _result(call: Call, operation: torch._ops.OpOverload) -> Layout | list[Layout]:
    if call.name in RULES:
        return RULES[call.name](call)
    return pointwise(call) if torch.Tag.pointwise in operation.tags else call.pin_everything()


def _pin_unused(groups: Groups, traced: Trace, layouts: Layouts, state: Mapping[str, Layout]) -> None:
    """Pin what no computation reads: unused parameters, and the rows of a table that a slice cut off."""
    read: set[int] = set()
    for node in traced.module.graph.nodes:
        name = node.target._schema.name.removeprefix("aten::") if hasattr(node.target, "_schema") else None
        if name is not None and name not in MOVERS:
            given = _flat(layouts[node] for node in node.all_input_nodes if node in layouts)
            read.update(g for layout in given for term in layout for g in groups.leaves(term))
    for name, layout in state.items():
        for g in {g for term in layout for g in groups.leaves(term)} - read:
            groups.pin(Leaf(g), f"not used by the model on this input ({name})")


def _settle(groups: Groups, layouts: Sequence[Layout]) -> None:
    """Take the copies away that a tensor cannot tell apart: where an inner group is, its outer index must be known."""
    changed = True
    while changed:
        changed = False
        for layout in layouts:
            _merge_lost_cases(groups, [groups.resolve(term) for term in layout])
            for g, seen in _seen_in_cases(groups, [groups.resolve(term) for term in layout]):
                kept = [p for p in groups.parents(g) if p in seen]
                kept = [p for p in kept if set(groups.parents(p)) <= set(kept)]
                changed |= groups.restrict(g, kept)


def _seen_in_cases(groups: Groups, terms: Sequence[Term]) -> Iterator[tuple[int, set[int]]]:
    chosen = sorted(cases_in(terms))
    for indices in product(*(range(groups.sizes[p]) for p in chosen)):
        at = dict(zip(chosen, indices, strict=True))
        yield from _seen([groups.resolve(groups.at(term, at)) for term in terms])


def _seen(terms: Sequence[Term]) -> Iterator[tuple[int, set[int]]]:
    """Each group of a tensor, with the groups whose index is known at each of its entries, without doubt which."""
    factors = [[part.group for part in _factors(term) if isinstance(part, Leaf)] for term in terms]
    count = Counter(g for axis in factors for g in axis)
    for k, term in enumerate(terms):
        others = {g for i, axis in enumerate(factors) if i != k for g in axis if count[g] == 1}
        yield from _seen_within(term, others)


def _seen_within(term: Term, known: set[int]) -> Iterator[tuple[int, set[int]]]:
    match term:
        case Leaf(g):
            yield g, known
        case Prod(parts):
            own = [part.group for part in parts if isinstance(part, Leaf)]
            for k, part in enumerate(parts):
                before = {p.group for p in parts[:k] if isinstance(p, Leaf)}
                after = {g for g in own if g not in known and own.count(g) == 1}
                yield from _seen_within(part, known | before | after)
        case Cases(_, parts):
            for part in parts:
                yield from _seen_within(part, known)
        case _:
            for part in term.parts:
                yield from _seen_within(part, known)


def _factors(term: Term) -> tuple[Term, ...]:
    return term.parts if isinstance(term, Prod) else (term,)


def _merge_lost_cases(groups: Groups, terms: Sequence[Term]) -> None:
    """Make the cases equal whose index the tensor does not have."""
    there = {part.group for term in terms for part in _factors(term) if isinstance(part, Leaf)}
    for over in {p for term in terms for p in _lost(term, there)}:
        for term in terms:
            first = groups.at(term, {over: 0})
            for index in range(1, groups.sizes[over]):
                groups.unify(first, groups.at(term, {over: index}), "a sum over stacked tensors")


def _lost(term: Term, known: set[int]) -> Iterator[int]:
    """The groups that decide cases where their index is not known."""
    if isinstance(term, Leaf):
        return
    if isinstance(term, Cases) and term.over not in known:
        yield term.over
    own = {part.group for part in term.parts if isinstance(part, Leaf)} if isinstance(term, Prod) else set[int]()
    for part in term.parts:
        yield from _lost(part, known | own)


def _flat(made: object) -> Iterator[Layout]:
    for layout in made:  # type: ignore[attr-defined]
        yield from layout if isinstance(layout, list) else [layout]
