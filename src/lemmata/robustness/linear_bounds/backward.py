"""Linear bounds of rows of a node, carried backwards through the network (CROWN; Zhang et al., 2018, theorem 3.2).

    row . z_k  >=  sum_j A_j . z_j + d        on the whole ball

starts with A_k = row and replaces the last node each time: an affine z_j = W z_i + b gives A_i += W^T A_j and
d += A_j . b, a sum passes A on to each parent, an activation between two lines takes the line below where A_j > 0 and
the line above where A_j < 0. At the input the least value over the ball is taken. Where a nonlinear step has no lines,
its box is used instead, so that with none at all this is interval propagation with the last layers merged.

Rounding: what the computed W^T A_j is off is at most gamma |A_j| |W|, so that its effect is at most
gamma |A_j| . (|W| |z_i| + |b|): one dot product with a vector that is known once the boxes are. These are added up
and taken from the bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from lemmata.robustness.linear_bounds.affine import Affine
from lemmata.robustness.linear_bounds.ball import Ball
from lemmata.robustness.linear_bounds.box import Box
from lemmata.robustness.linear_bounds.graph import Graph, Sum
from lemmata.robustness.linear_bounds.max_pool import MaxPool
from lemmata.robustness.linear_bounds.relaxation import Choice, Lines
from lemmata.robustness.linear_bounds.rounding import above, below, gamma


@dataclass
class State:
    """What is known of every node of a graph on N balls: its box, its lines, and the size of an affine node's terms."""

    graph: Graph
    ball: Ball
    boxes: dict[int, Box] = field(default_factory=dict)
    lines: dict[int, Lines | Choice] = field(default_factory=dict)
    sizes: dict[int, Tensor] = field(default_factory=dict)

    def of_affine(self, i: int) -> Tensor:
        """The sum of sizes |W| |z| + |b| of an affine node (N, *shape)."""
        if i not in self.sizes:
            node = self.graph.nodes[i]
            step: Affine = node.step  # type: ignore[assignment]
            size = step.absolute(self.boxes[node.parents[0]].size)
            self.sizes[i] = size if step.size is None else size + step.size
        return self.sizes[i]


def lower_bounds(state: State, k: int, rows: Tensor) -> Tensor:
    """Lower bounds (N, S) of rows (N, S, *shape of node k) over the balls of N images."""
    graph, A = state.graph, {k: rows}
    total, error = rows.new_zeros(rows.shape[:2]), rows.new_zeros(rows.shape[:2])
    for i in range(k, 0, -1):
        if i not in A:
            continue
        node, row = graph.nodes[i], A.pop(i)
        if isinstance(node.step, Affine):
            parts, added, size = _through_affine(state, i, row)
        elif isinstance(node.step, Sum):
            parts = {}
            for parent, sign in zip(node.parents, node.step.signs, strict=True):
                parts[parent] = parts[parent] + sign * row if parent in parts else sign * row
            added, size = 0.0, _dot(row.abs(), state.boxes[i].size)
        elif i not in state.lines:
            parts, added, size = {}, _over_box(row, state.boxes[i]), _dot(row.abs(), state.boxes[i].size)
        else:
            parts, added, size = _through_lines(state, i, row)
        total = total + added
        error = error + gamma(_terms(graph, i), rows.dtype) * size
        for parent, part in parts.items():
            A[parent] = A[parent] + part if parent in A else part
    return below(total + (state.ball.least(A[0], cut=k == len(graph.nodes) - 1) if 0 in A else 0.0) - above(error))


def _terms(graph: Graph, i: int) -> int:
    """The terms of the longest sum at node i: of its products, of the dot products with it, of the layers' sum."""
    step = graph.nodes[i].step
    return max(step.terms if isinstance(step, Affine) else 1, graph.nodes[i].shape.numel()) + len(graph.nodes)


def _through_affine(state: State, i: int, row: Tensor) -> tuple[dict[int, Tensor], Tensor | float, Tensor]:
    node = state.graph.nodes[i]
    step: Affine = node.step  # type: ignore[assignment]
    back = step.transpose(row.flatten(0, 1)).unflatten(0, row.shape[:2])
    added = 0.0 if step.bias is None else _dot(row, step.bias.expand(len(row), *node.shape))
    return {node.parents[0]: back}, added, _dot(row.abs(), state.of_affine(i))


def _through_lines(state: State, i: int, row: Tensor) -> tuple[dict[int, Tensor], Tensor | float, Tensor]:
    node, lines = state.graph.nodes[i], state.lines[i]
    if isinstance(lines, Choice):
        step: MaxPool = node.step  # type: ignore[assignment]
        back, added = step.transpose(row, lines, state.graph.nodes[node.parents[0]].shape)
        return {node.parents[0]: back}, added, _dot(row.abs(), state.boxes[i].size)
    up, down = row.clamp(min=0), row.clamp(max=0)
    back = up * lines.low_slope[:, None] + down * lines.high_slope[:, None]
    added = _dot(down, lines.high_intercept)
    if lines.low_intercept is not None:
        added = added + _dot(up, lines.low_intercept)
    return {node.parents[0]: back}, added, _dot(row.abs(), lines.size)


def _over_box(row: Tensor, box: Box) -> Tensor:
    centre, radius = box.centred()
    return _dot(row, centre) - _dot(row.abs(), radius)


def _dot(A: Tensor, z: Tensor) -> Tensor:
    """Rows (N, S, *shape) times one tensor an image (N, *shape): (N, S)."""
    return (A.flatten(2) @ z.flatten(1)[..., None])[..., 0]
