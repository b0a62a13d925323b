"""Slopes of the lines below rectifiers, chosen to make the last bounds large (alpha-CROWN; Xu et al., 2021).

Any slope in [a, 1] is a bound below max(z, a z), so every iterate of an ascent is a bound, and for each row the best of
all of them is kept: it is never worse than CROWN with the adaptive slopes, where the ascent starts. The boxes of units
stay those of CROWN; one set of slopes serves all rows of an image.
Cost: each step three backward passes in place of one.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lemmata.robustness.linear_bounds.activations import Rectifier
from lemmata.robustness.linear_bounds.backward import State, lower_bounds
from lemmata.robustness.linear_bounds.relaxation import Lines

STEPS = 20
RATE = 0.1  # of Adam, on slopes between 0 and 1


def ascended(state: State, k: int, rows: Tensor, steps: int = STEPS) -> Tensor:
    """Lower bounds (N, S) of rows of node k, the best over `steps` choices of slopes."""
    best = lower_bounds(state, k, rows)
    slopes: dict[int, Tensor] = {}
    for i, lines in state.lines.items():
        node = state.graph.nodes[i]
        if isinstance(node.step, Rectifier) and bool(node.step.unsettled(state.boxes[node.parents[0]]).any()):
            assert isinstance(lines, Lines)
            slopes[i] = lines.low_slope.clone().requires_grad_()
    if not slopes:
        return best
    optimiser = torch.optim.Adam(slopes.values(), lr=RATE, maximize=True)
    for _ in range(steps):
        with torch.enable_grad():
            found = lower_bounds(_with(state, slopes), k, rows)
            optimiser.zero_grad()
            found.sum().backward()
        best = torch.maximum(best, found.detach())
        optimiser.step()
        for slope in slopes.values():
            slope.data.clamp_(0, 1)
    return best


def _with(state: State, slopes: dict[int, Tensor]) -> State:
    """The state with other slopes below the rectifiers, put right where a unit is always on or off."""
    lines = dict(state.lines)
    for i, slope in slopes.items():
        node, old = state.graph.nodes[i], state.lines[i]
        assert isinstance(node.step, Rectifier)
        assert isinstance(old, Lines)
        crossing = node.step.unsettled(state.boxes[node.parents[0]])
        lines[i] = replace(old, low_slope=torch.where(crossing, slope.clamp(node.step.slope, 1.0), old.low_slope))
    return replace(state, lines=lines)
