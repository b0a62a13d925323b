"""The exact range of a row of logits of a small ReLU perceptron over a box, by enumerating its linear pieces."""

from itertools import product

import numpy as np
from scipy.optimize import linprog


def least(weights, biases, row, low, high):
    """Min row . f(x) over low <= x <= high: the least over all patterns of units on and off of a linear program.

    On the polyhedron of a pattern f is affine; units that intervals show to keep their side are not varied.
    """
    best = np.inf
    for pattern in product(*_sides(weights, biases, low, high)):
        A, b = np.eye(len(low)), np.zeros(len(low))
        rows, limits, start = [], [], 0
        for W, bias in zip(weights[:-1], biases[:-1], strict=True):
            A, b = W @ A, W @ b + bias
            on = np.array(pattern[start : start + len(b)], dtype=float)
            start += len(b)
            sign = 1 - 2 * on  # on: A x + b >= 0, off: <= 0
            rows.append(sign[:, None] * A)
            limits.append(-sign * b)
            A, b = on[:, None] * A, on * b
        A, b = row @ weights[-1] @ A, row @ (weights[-1] @ b + biases[-1])
        found = linprog(A, np.vstack(rows), np.concatenate(limits), bounds=list(zip(low, high, strict=True)))
        assert found.status in (0, 2), found.message  # solved, or a pattern that no input has
        best = min(best, found.fun + b) if found.status == 0 else best
    return best


def _sides(weights, biases, low, high):
    """The sides that each unit may be on, by intervals."""
    sides = []
    for W, bias in zip(weights[:-1], biases[:-1], strict=True):
        centre, radius = W @ (low + high) / 2 + bias, abs(W) @ (high - low) / 2
        sides += [
            (1,) if c - r > 1e-9 else (0,) if c + r < -1e-9 else (0, 1) for c, r in zip(centre, radius, strict=True)
        ]
        low, high = np.maximum(centre - radius, 0), np.maximum(centre + radius, 0)
    return sides
