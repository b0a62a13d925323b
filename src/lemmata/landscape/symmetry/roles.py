"""What each operation of a network's graph does along a group of units: writes it, reads it, or counts them.

A product that sums over a group *reads* it: one of its factors is a parameter, linear in the sum, and a copy of a unit
may have a share of that parameter's weight. All other parameters along the group *write* units: a copy has them as they
are. What sums over a group without a parameter of its own (a mean over channels, layer normalisation, the product of
queries and keys) would count a copy twice, and keeps the group from being split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.fx.node import map_arg

from lemmata.landscape.permutation.arrays import arrays_of
from lemmata.landscape.permutation.calls import Call, Layouts, shape_of
from lemmata.landscape.permutation.inference import MOVERS, infer
from lemmata.landscape.permutation.terms import Groups
from lemmata.landscape.permutation.trace import Trace

Place = tuple[str, int]  # a tensor of the state, and its axis
End = tuple[Node, int]  # an operand of a product, and its axis
FACTORS = {
    "mm": ("self", "mat2"), "bmm": ("self", "mat2"), "matmul": ("self", "other"), "mv": ("self", "vec"),
    "dot": ("self", "tensor"), "vdot": ("self", "other"), "addmm": ("mat1", "mat2"), "baddbmm": ("batch1", "batch2"),
    "addmv": ("mat", "vec"),
}  # fmt: skip
EXTREMES = {"amax", "amin", "max", "min", "aminmax", "any", "all"}  # of what is there twice, the same


@dataclass
class Roles:
    """By the name of the group: the places that read it, those that write it, and what it cannot be split for."""

    readers: dict[str, set[Place]] = field(default_factory=lambda: defaultdict(set))
    writers: dict[str, set[Place]] = field(default_factory=lambda: defaultdict(set))
    refused: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, traced: Trace) -> Roles:
        """The roles in a graph."""
        groups, state, layouts = infer(traced)
        return _Reading(traced, groups, layouts, arrays_of(groups, state)[2]).roles()


@dataclass
class _Reading:
    """A graph being read, node after node."""

    traced: Trace
    groups: Groups
    layouts: Layouts
    names: dict[int, str]
    found: Roles = field(default_factory=Roles)
    placed: dict[Node, str] = field(default_factory=dict)  # nodes that are tensors of the state
    moved: dict[Node, set[Node]] = field(default_factory=dict)  # and those that only move their entries

    def roles(self) -> Roles:
        """Read the whole graph."""
        names = iter(self.traced.names)
        for node in self.traced.module.graph.nodes:
            if node.op == "placeholder" and len(self.placed) < len(self.traced.names):
                self.placed[node] = next(names)
                self.moved[node] = {node}
            elif isinstance(node.target, torch._ops.OpOverload):
                self._read(Call.of(self.groups, node, self.layouts, []))
        for group in self.found.readers:
            for tensor, axis in sorted(self.found.readers[group] & self.found.writers[group]):
                self._refuse(group, f"{tensor!r} both writes it and reads it along axis {axis}, as tied weights do")
        return self.found

    def _read(self, call: Call) -> None:
        if call.name in MOVERS:
            inputs = [node for node in call.node.all_input_nodes if node in self.layouts]
            if inputs and all(node in self.moved for node in inputs):
                self.moved[call.node] = set().union(*(self.moved[node] for node in inputs))
            return
        reading: set[tuple[Node, int, str]] = set()
        for ends in summed_together(call):
            for group in {g for end in ends for g in self._along(*end)}:
                own = [(node, axis) for node, axis in ends if node in self.moved and group in self._along(node, axis)]
                if own:
                    reading.add((*own[-1], group))
                else:
                    self._refuse(group, f"{call.why} sums over it without a parameter along it")
        for node in call.node.all_input_nodes:
            for axis in range(len(shape_of(node)) if node in self.moved else 0):
                for group in self._along(node, axis):
                    role = self.found.readers if (node, axis, group) in reading else self.found.writers
                    role[group] |= self._places(node, axis, group)
        for group in self._counted(call):
            self._refuse(group, f"{call.why} runs over it, and would count a copy")

    def _along(self, node: Node, axis: int) -> set[str]:
        """The groups of an operand's axis that have names."""
        layout = self.layouts[node]
        assert isinstance(layout, tuple)
        return {self.names[g] for g in self.groups.leaves(layout[axis]) if g in self.names}

    def _refuse(self, group: str, why: str) -> None:
        self.found.refused.setdefault(group, why)

    def _counted(self, call: Call) -> set[str]:
        """The groups over which the operation sums or normalises."""
        for name in ("self", "input"):
            if call.has(name) and isinstance(self.layouts[call[name]], tuple):
                node, rank = call[name], len(call.shape_of(name))
                break
        else:
            return set()
        if "softm" in call.name:
            return self._along(node, call["dim"] % rank)
        if call.name in ("layer_norm", "rms_norm"):
            return {g for k in range(rank - len(call["normalized_shape"]), rank) for g in self._along(node, k)}
        if "dim" not in call.values or call.name in EXTREMES:
            return set()
        dims = call["dim"]
        dims = range(rank) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
        return {g for dim in dims for g in self._along(node, dim % rank)}

    def _places(self, operand: Node, axis: int, group: str) -> set[Place]:
        """The axes of tensors of the state that an axis of a moved operand comes from, of those with the group."""
        places = set()
        for source in self.moved[operand]:
            for k in range(len(shape_of(source))):
                if group in self._along(source, k) and (
                    k == axis if source is operand else self._comes_from(operand, axis, source, k)
                ):
                    places.add((self.placed[source], k))
        return places

    def _comes_from(self, operand: Node, axis: int, source: Node, k: int) -> bool:
        """Whether the index on axis k of the source changes along an axis of the operand: moved numbers tell."""

        def value(node: Node) -> Tensor | Any:
            if node in self.placed:
                shape = shape_of(node)
                n = shape[k] if node is source else 0
                numbers = torch.arange(float(n)).reshape([n if j == k else 1 for j in range(len(shape))]) if n else None
                return torch.zeros(shape) if numbers is None else numbers.expand(shape).contiguous()
            return node.target(*map_arg(node.args, value), **map_arg(node.kwargs, value))  # type: ignore[operator]

        found = value(operand)
        return bool((found != found.narrow(axis, 0, 1)).any())


def summed_together(call: Call) -> Iterator[Sequence[End]]:
    """The axes of a product's factors over which it sums, those that run together at a time."""
    name = call.name
    if name == "linear":
        yield (call["input"], len(call.shape_of("input")) - 1), (call["weight"], 1)
    elif name in FACTORS:
        a, b = FACTORS[name]
        yield (call[a], len(call.shape_of(a)) - 1), (call[b], max(len(call.shape_of(b)) - 2, 0))
    elif name == "einsum":
        inputs, _, output = call["equation"].replace(" ", "").partition("->")
        terms = inputs.split(",")
        for letter in sorted(set(inputs) - set(output) - {","}):
            yield [(node, own.index(letter)) for own, node in zip(terms, call["tensors"], strict=True) if letter in own]
    elif name.startswith("conv"):
        transposed = "transpose" in name or call.values.get("transposed")
        rank = len(call.shape_of("weight")) - 2
        yield (call["input"], len(call.shape_of("input")) - rank - 1), (call["weight"], 0 if transposed else 1)
    elif name == "scaled_dot_product_attention":
        q, k = (len(call.shape_of(n)) for n in ("query", "key"))
        yield (call["query"], q - 1), (call["key"], k - 1)
        yield (call["key"], k - 2), (call["value"], k - 2)
