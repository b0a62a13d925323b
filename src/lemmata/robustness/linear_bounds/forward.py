"""The boxes and lines of all nodes, from the input on.

Interval propagation takes each node's box from those of its parents. CROWN then tightens the boxes in front of
activations by linear bounds of their entries, of those only whose lines depend on the bounds: a unit that intervals
show to be always on or always off is not bounded again. With intermediate bounds by intervals ("CROWN-IBP";
Zhang et al., 2020) nothing is tightened, and only the last bounds are linear.

Cost: intervals take two forward passes. CROWN takes, for each node with K unsettled entries an image, 2 K backward
passes through what is before it: on a network of M units and F flops a forward pass at most 2 M F flops an image.
Memory: rows are taken in chunks of at most `budget` bytes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.robustness.linear_bounds.affine import Affine, Reshape
from lemmata.robustness.linear_bounds.backward import State, lower_bounds
from lemmata.robustness.linear_bounds.ball import Ball
from lemmata.robustness.linear_bounds.box import Box
from lemmata.robustness.linear_bounds.graph import Graph, Sum

CHUNK = 2**25  # bytes beyond which rows gain nothing by being together, and leave the processor's caches
LIVE = 6  # tensors of the size of the rows that are alive at once in a backward pass


def propagate(graph: Graph, ball: Ball, method: str, budget: int) -> State:
    """The state of all nodes by ``"interval"``, ``"crown-ibp"`` or ``"crown"``."""
    state = State(graph, ball, boxes={0: ball.box})
    exact = graph.exact
    for i, node in enumerate(graph.nodes[1:], start=1):
        parent = node.parents[0]
        if isinstance(node.step, Affine | Sum):
            state.boxes[i] = _box(state, i)
            continue
        step = node.step
        assert step is not None
        unsettled = step.unsettled(state.boxes[parent])
        if method in ("crown", "alpha-crown") and parent not in exact and bool(unsettled.any()):
            state.boxes[parent] = _tightened(state, parent, unsettled, budget)
        if method != "interval":
            state.lines[i] = step.lines(state.boxes[parent])
        state.boxes[i] = step.interval(state.boxes[parent])
    return state


def rows_at_once(graph: Graph, images: int, dtype: torch.dtype, budget: int) -> int:
    """How many rows an image a chunk may have, one at least."""
    each = LIVE * images * graph.largest * torch.finfo(dtype).bits // 8
    return max(1, min(budget, CHUNK) // each)


def _box(state: State, i: int) -> Box:
    node = state.graph.nodes[i]
    parents = [state.boxes[parent] for parent in node.parents]
    if isinstance(node.step, Sum):
        total = parents[0]
        for sign, box in zip(node.step.signs[1:], parents[1:], strict=True):
            total = total.plus(box, sign)
        return total
    assert isinstance(node.step, Affine)
    first = node.parents[0] == 0 or (
        isinstance(state.graph.nodes[node.parents[0]].step, Reshape)
        and state.graph.nodes[node.parents[0]].parents[0] == 0
    )
    if first and not isinstance(node.step, Reshape):
        return state.ball.image(node.step, parents[0])
    return node.step.interval(parents[0])


def _tightened(state: State, k: int, unsettled: Tensor, budget: int) -> Box:
    """The box of node k with the unsettled entries bounded by lines, from below and from above."""
    box, shape = state.boxes[k], state.graph.nodes[k].shape
    low, high = box.low.flatten(1).clone(), box.high.flatten(1).clone()
    flat = unsettled.flatten(1)
    count = int(flat.sum(1).max())
    index = flat.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :count]
    step = rows_at_once(state.graph, len(flat), low.dtype, budget)
    for columns in index.split(step, 1):
        rows = low.new_zeros(*columns.shape, flat.shape[1]).scatter_(2, columns[..., None], 1.0)
        rows = rows.unflatten(2, shape)
        for sign, ends in ((1.0, low), (-1.0, high)):
            found = sign * lower_bounds(state, k, sign * rows)
            kept = ends.gather(1, columns)
            better = torch.maximum(kept, found) if sign > 0 else torch.minimum(kept, found)
            ends.scatter_(1, columns, better)
    return Box(low.unflatten(1, shape), high.unflatten(1, shape))
