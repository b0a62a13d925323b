"""Backward passes from the outputs through the activations only, handing over the gradient at each use of a parameter.

The weights' own gradients are never formed. A pass ends at the nodes that no other use feeds; at those before, a hook
hears the gradient and lets it go, so that a pass keeps no more than what is on its way. Cost: a third of a gradient a
pass, less the input gradient of the first layer.
"""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from lemmata.curvature.ghost_norm import Node, Use
from lemmata.curvature.parameter_uses import Uses, first_nodes


class Signals:
    """Listens, as a context manager, at the nodes of `uses` in the graph of the outputs z (n, *outputs)."""

    def __init__(self, z: Tensor, uses: Uses):
        self.z = z
        self.of_node: dict[Node, list[Use]] = defaultdict(list)
        for use in (use for each in uses.values() for use in each):
            self.of_node[use.node].append(use)
        self.first = first_nodes(uses)
        self.handles: list[Any] = []

    def __enter__(self) -> None:
        """Listen at the nodes that are passed; those at which a pass ends are its result."""
        later = [node for node in self.of_node if node not in set(self.first)]
        self.handles = [node.register_prehook(partial(self._take, node)) for node in later]

    def __exit__(self, *_: Any) -> None:
        for handle in self.handles:
            handle.remove()

    def pull(self, column: Tensor, receive: Callable[[Use, Tensor], None]) -> None:
        """Run one pass."""
        if not self.first:
            return
        self.receive = receive
        edges = [GradientEdge(node, 0) for node in self.first]
        ends = torch.autograd.grad(self.z, edges, column, retain_graph=True, allow_unused=True)
        for node, d in zip(self.first, ends, strict=True):
            self._take(node, (d,))

    def _take(self, node: Node, gradients: tuple[Tensor | None, ...]) -> None:
        if gradients[0] is not None:
            for use in self.of_node[node]:
                self.receive(use, gradients[0])
