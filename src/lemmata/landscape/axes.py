"""The coordinates of a line's or surface's grid: evenly spaced, with the points that matter on it exactly.

What matters is the centre, theta itself, and the checkpoints that a plane was laid through. A grid line is moved onto
each of them (by half a spacing at most), so that their losses are among the values drawn and not next to one.
"""

from collections.abc import Sequence

import numpy as np

from lemmata.errors import InvalidInput

Span = float | tuple[float, float]


def axis(span: Span, points: int, anchors: Sequence[float] = (0.0,)) -> np.ndarray:
    """Lay `points` coordinates from low to high, `span` being (low, high) or half the width around 0: (points,).

    Each anchor inside the span is one of them exactly; evenly spaced otherwise. Raises `InvalidInput` for an empty or
    non-finite span, and where there are too few points for the anchors.

    >>> axis(1.0, 5).tolist()
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    >>> axis((-1.0, 2.0), 4, anchors=(0.0, 1.1)).tolist()
    [-1.0, 0.0, 1.1, 2.0]
    """
    low, high = (-float(span), float(span)) if isinstance(span, int | float) else map(float, span)
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InvalidInput(f"span {span}: from {low:g} to {high:g}; give a positive half-width, or low < high")
    if points < 2:
        raise InvalidInput(f"points = {points}; a line needs two at least")
    grid = np.linspace(low, high, points)
    fixed = {0, points - 1}
    for anchor in sorted(a for a in set(anchors) if low <= a <= high):
        near = int(np.argmin(np.abs(grid - anchor)))
        if near in fixed and grid[near] != anchor:
            near = _nearest_free(grid, anchor, fixed, points)
        grid[near] = anchor
        fixed.add(near)
    return grid


def _nearest_free(grid: np.ndarray, anchor: float, fixed: set[int], points: int) -> int:
    """The grid line to move: on the anchor's side of the fixed one beside it, so that the order is kept."""
    place = int(np.searchsorted(grid, anchor))  # grid[place - 1] < anchor < grid[place]
    free = [index for index in (place - 1, place) if index not in fixed]
    if not free:
        raise InvalidInput(f"{points} points are too few for a span with a point at {anchor:g}; take more")
    return min(free, key=lambda index: abs(grid[index] - anchor))
