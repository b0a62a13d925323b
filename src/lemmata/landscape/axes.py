"""The coordinates of a line's or surface's grid: the points that matter on it exactly, evenly spaced between them.

What matters is the centre, theta itself, and the checkpoints that a plane was laid through: their losses are to be
among the values drawn and not next to one. Each stretch between two of them (or an end) gets the number of intervals
that keeps the widest interval of all as narrow as can be.
"""

from collections.abc import Sequence

import numpy as np

from lemmata.errors import InvalidInput

Span = float | tuple[float, float]


def axis(span: Span, points: int, anchors: Sequence[float] = (0.0,)) -> np.ndarray:
    """Lay `points` coordinates from low to high, `span` being (low, high) or half the width around 0: (points,).

    Each anchor inside the span is one of them exactly. Raises `InvalidInput` for an empty or non-finite span, and
    where there are too few points for the anchors.

    >>> axis(1.0, 5).tolist()
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    >>> axis((-0.5, 1.5), 5, anchors=(0.0, 1.0)).tolist()
    [-0.5, 0.0, 0.5, 1.0, 1.5]
    """
    low, high = (-float(span), float(span)) if isinstance(span, int | float) else map(float, span)
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InvalidInput(f"span {span}: from {low:g} to {high:g}; give a positive half-width, or low < high")
    fixed = np.unique([low, high, *(a for a in anchors if low <= a <= high)]) + 0.0  # no -0.0
    if points < len(fixed):
        raise InvalidInput(f"points = {points}; the ends and the points that are to be on the grid are {len(fixed)}")
    widths = np.diff(fixed)
    intervals = np.ones(len(widths), int)
    for _ in range(points - len(fixed)):
        intervals[np.argmax(widths / intervals)] += 1
    stretches = [np.linspace(fixed[i], fixed[i + 1], n, endpoint=False) for i, n in enumerate(intervals)]
    return np.r_[np.concatenate(stretches), high]
