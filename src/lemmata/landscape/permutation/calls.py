"""One operation of a graph, what the rules know of it, and the table of the rules.

A rule takes a `Call`, makes those axes equal that must permute alike, and gives the layout of what the operation
returns: one term an axis. An operation without a rule is answered by pinning every axis of its arguments and of its
result, which is right for any function whatever: what is not permuted gives what it gave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from lemmata.landscape.permutation.terms import ONE, Groups, Term

Layout = tuple[Term, ...]
Layouts = dict[Node, "Layout | list[Layout]"]
Rule = Callable[["Call"], "Layout | list[Layout]"]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a function into the table for these ATen operations (all overloads)."""

    def enter(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return enter


@dataclass(frozen=True)
class Call:
    """An operation with its arguments by name, and the layouts of the tensors among them."""

    groups: Groups
    node: Node
    layouts: Layouts
    values: dict[str, Any]
    joint: list[Layout]

    @classmethod
    def of(cls, groups: Groups, node: Node, layouts: Layouts, joint: list[Layout]) -> Call:
        """Bind the arguments of a node to their names in the operation's schema."""
        arguments = node.target._schema.arguments  # type: ignore[union-attr]
        given = dict(zip((a.name for a in arguments), node.args, strict=False)) | dict(node.kwargs)
        defaults = {a.name: a.default_value for a in arguments if a.has_default_value()}
        return cls(groups, node, layouts, defaults | given, joint)

    @property
    def name(self) -> str:
        """The operation without its overload: ``conv2d``."""
        return str(self.node.target._schema.name).removeprefix("aten::")  # type: ignore[union-attr]

    @property
    def why(self) -> str:
        """How reasons name the operation."""
        return f"{self.name} (node {self.node.name!r})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result, where it is one tensor."""
        return shape_of(self.node)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def layout(self, name: str) -> Layout:
        """The layout of an argument that is a tensor."""
        return layout_of(self.values[name], self.layouts)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of an argument that is a tensor."""
        return shape_of(self.values[name])

    def has(self, name: str) -> bool:
        """Whether a tensor was given for this argument."""
        return isinstance(self.values.get(name), Node)

    def tensors(self) -> list[Node]:
        """All tensors among the arguments."""
        return [node for node in self.node.all_input_nodes if node in self.layouts]

    def unify(self, one: Term, other: Term) -> None:
        """Make two axes permute alike."""
        self.groups.unify(one, other, self.why)

    def pin(self, terms: Sequence[Term], why: str = "") -> None:
        """Pin axes, because this operation reads them by position if no other reason is given."""
        for term in terms:
            self.groups.pin(term, f"{why or 'read by position'} in {self.why}")

    def pinned(self, shape: Sequence[int]) -> Layout:
        """A new layout of pinned axes."""
        return tuple(self.groups.leaf(n, pinned=f"read by position in {self.why}") for n in shape)

    def free(self, shape: Sequence[int], beside: Layout = ()) -> Layout:
        """A new layout whose axes may permute in any way, one for each index of those beside: all entries are equal."""
        inside = [g for term in beside for g in self.groups.leaves(term)]
        return tuple(self.groups.leaf(n, inside=inside) for n in shape)

    def pin_everything(self) -> Layout | list[Layout]:
        """The answer to an operation that is not understood."""
        for node in self.tensors():
            for layout in _all(self.layouts[node]):
                self.pin(layout, "read in an unknown way")
        value = self.node.meta.get("val")
        if isinstance(value, (tuple, list)):
            return [self.pinned(part.shape) if isinstance(part, Tensor) else () for part in value]
        return self.pinned(value.shape) if isinstance(value, Tensor) else ()

    def at_once(self, *axes: Term) -> None:
        """Say which axes the operation runs over at once, where that is more than its result has: sums over products.

        What lies inside one of them must know its index there, and does not where that axis occurs twice.
        """
        self.joint.append(axes)


def broadcast(call: Call, layouts: Sequence[Layout], shapes: Sequence[tuple[int, ...]]) -> Layout:
    """The layout of tensors that are broadcast against one another: axes aligned on the right permute alike."""
    rank = max(map(len, layouts), default=0)
    made: list[Term] = [ONE] * rank
    pairs: list[tuple[Term, Term]] = []
    for layout, shape in zip(layouts, shapes, strict=True):
        for back in range(1, len(layout) + 1):
            if shape[-back] == 1:
                continue
            if made[-back] == ONE:
                made[-back] = layout[-back]
            else:
                pairs.append((made[-back], layout[-back]))
    unify_all(call, pairs)
    return tuple(made)


def unify_all(call: Call, pairs: Sequence[tuple[Term, Term]]) -> None:
    """Make many pairs of axes equal, outer groups first, so that inner ones meet in equal outer ones."""

    def depth(pair: tuple[Term, Term]) -> int:
        return max((len(call.groups.parents(g)) for term in pair for g in call.groups.leaves(term)), default=0)

    for one, other in sorted(pairs, key=depth):
        call.unify(one, other)


def layout_of(node: Any, layouts: Layouts) -> Layout:
    """The layout of a node that is one tensor."""
    found = layouts[node]
    assert isinstance(found, tuple)
    return found


def shape_of(node: Node) -> tuple[int, ...]:
    """The shape that a node's tensor had when the model was traced."""
    value = node.meta["val"]
    return tuple(value.shape) if isinstance(value, torch.Tensor) else ()


def _all(layout: Layout | list[Layout]) -> list[Layout]:
    return layout if isinstance(layout, list) else [layout]
