"""Where parameters enter a computation: read off the autograd graph of the outputs, not off the modules.

Reading the graph finds functional layers, tied weights and weights scaled by a constant (as in the NTK
parameterisation) as well as modules, and counts the uses of each parameter exactly. Recognised are the weights and
biases of linear layers, convolutions (any dimension, groups) and normalisations by constants or within a sample.
A parameter with any use that is not recognised is left out of the answer; `lemmata.curvature.ggn_diagonal` then
takes its gradients sample by sample. Cost: one walk over the graph.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lemmata.curvature.ghost_norm import LINEAR_INPUT, Node, Outer, Scale, Shift, Use

Uses = dict[str, list[Use]]
NORMALISATIONS = ("NativeBatchNormBackward0", "NativeLayerNormBackward0")


def parameter_uses(z: Tensor, theta: Mapping[str, Tensor]) -> tuple[Uses, list[str]]:
    """The uses of each parameter in the computation of z (n, *outputs), and the names of those not recognised.

    A parameter that z does not depend on has no uses. `theta` are the leaves that z was computed from.

    >>> theta = {"weight": torch.ones(2, 3, requires_grad=True), "slope": torch.ones((), requires_grad=True)}
    >>> z = torch.nn.functional.linear(torch.ones(4, 3), theta["weight"]) * theta["slope"]
    >>> uses, rest = parameter_uses(z, theta)
    >>> [type(use).__name__ for use in uses["weight"]], rest
    (['Outer'], ['slope'])
    """
    consumers, leaves = _consumers(z.grad_fn)
    uses: Uses = {}
    rest = []
    for name, parameter in theta.items():
        leaf = leaves.get(id(parameter))
        found = [] if leaf is None else _followed(leaf, consumers, _Parameter(name, parameter.shape, len(z)))
        if found is None:
            rest.append(name)
        else:
            uses[name] = found
    return uses, rest


def first_nodes(uses: Uses) -> list[Node]:
    """The nodes of the uses that no other use's node feeds: a backward pass need go no further than these."""
    nodes = {use.node for each in uses.values() for use in each}
    leads: dict[Node, bool] = {}  # whether a node of a use lies strictly before this node
    for node in _postorder(nodes):
        previous = [p for p, _ in node.next_functions if p is not None]
        leads[node] = any(p in nodes or leads[p] for p in previous)
    return [node for node in nodes if not leads[node]]


def _postorder(roots: set[Node]) -> list[Node]:
    order: list[Node] = []
    done: set[Node] = set()
    stack = [(node, False) for node in roots]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
        elif node not in done:
            done.add(node)
            stack.append((node, True))
            stack += [(p, False) for p, _ in node.next_functions if p is not None and p not in done]
    return order


def _consumers(root: Node | None) -> tuple[dict[Node, list[tuple[Node, int]]], dict[int, Node]]:
    """Of every node of the graph, who takes its output and as which argument; and the leaves by identity."""
    consumers: dict[Node, list[tuple[Node, int]]] = defaultdict(list)
    leaves: dict[int, Node] = {}
    for node in _postorder({root} if root is not None else set()):
        if hasattr(node, "variable"):
            leaves[id(node.variable)] = node  # type: ignore[attr-defined]
        for index, (previous, _) in enumerate(node.next_functions):
            if previous is not None:
                consumers[previous].append((node, index))
    return consumers, leaves


def _followed(
    leaf: Node, consumers: Mapping[Node, list[tuple[Node, int]]], parameter: "_Parameter"
) -> list[Use] | None:
    """The uses of a parameter, followed through transposes and constant factors; None where one is not recognised."""
    found: list[Use] = []
    waiting = [(leaf, parameter)]
    while waiting:
        start, parameter = waiting.pop()
        for node, index in consumers[start]:
            if node.name() == "TBackward0":
                waiting.append((node, replace(parameter, transposed=not parameter.transposed)))
            elif (constant := _constant_factor(node)) is not None:
                waiting.append((node, replace(parameter, factor=parameter.factor * constant)))
            elif (use := _recognised(node, index, parameter)) is not None:
                found.append(use)
            else:
                return None
    return found


def _constant_factor(node: Any) -> float | None:
    """The number by which a node multiplies its one differentiable argument, if it does just this."""
    differentiable = [index for index, (previous, _) in enumerate(node.next_functions) if previous is not None]
    if node.name() not in ("MulBackward0", "DivBackward0") or len(differentiable) != 1:
        return None
    if node.name() == "DivBackward0":
        divisor = node._saved_other if differentiable == [0] else None
        return None if divisor is None or divisor.numel() != 1 else 1 / float(divisor)
    factor = node._saved_other if differentiable == [0] else node._saved_self
    return None if factor is None or factor.numel() != 1 else float(factor)


@dataclass(frozen=True)
class _Parameter:
    """A parameter on its way to a node: multiplied by `factor`, perhaps transposed."""

    name: str
    shape: torch.Size
    n: int
    factor: float = 1.0
    transposed: bool = False

    def enters(self, kind: type[Use], node: Node, **rest: bool) -> Use:
        return kind(node, self.name, self.shape, self.n, factor=self.factor, **rest)


def _recognised(node: Any, index: int, parameter: _Parameter) -> Use | None:
    """The use of a parameter as argument `index` of a node, if it is one of those that have a ghost norm."""
    kind, place = node.name(), None
    if kind == "AddmmBackward0" and node._saved_alpha == 1 and node._saved_beta == 1:
        place = {0: Shift, 2: Outer}.get(index)
    elif kind == "AddBackward0" and (index == 0 or node._saved_alpha == 1):
        place = Shift
    elif kind == "MmBackward0":
        place = {1: Outer}.get(index)
    elif (kind == "ConvolutionBackward0" and not node._saved_transposed) or (
        kind in NORMALISATIONS and not getattr(node, "_saved_training", False)
    ):
        place = {1: Outer if kind == "ConvolutionBackward0" else Scale, 2: Shift}.get(index)
    if place is Outer and kind in LINEAR_INPUT:
        return parameter.enters(Outer, node, transposed=not parameter.transposed)
    vector = kind in ("AddmmBackward0", "AddBackward0")
    fits = not parameter.transposed and (place is not Shift or not vector or len(parameter.shape) == 1)
    return parameter.enters(place, node) if place is not None and fits else None
