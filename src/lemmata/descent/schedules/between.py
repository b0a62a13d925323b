"""What still holds at a number of steps for which nothing is proven: a bound that is true at every n.

A step of length h/L multiplies the objective gap, and the squared gradient norm, by at most max(1, (h - 1)^2):

    f(x+) - f* <= max(1, (h - 1)^2) (f(x) - f*)         descent lemma, with |g|^2 <= 2 L (f(x) - f*) where h > 2
    |g(x+)|^2  <= max(1, (h - 1)^2) |g(x)|^2            cocoercivity

so that what is proven at one n carries over to the next, until the next proven value is reached. The half-quadratic
attains the factor: within a schedule, after a long step, the gap can indeed be large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

GAP_AT_START = 0.5  # f_0 - f* <= L D^2 / 2
GRADIENT_AT_START = 2.0  # |g_0|^2 <= 2 L (f_0 - f*)


def growth(steps: np.ndarray) -> np.ndarray:
    """Give max(1, (h - 1)^2) for each step.

    >>> growth(np.array([1.5, 4.0])).tolist()
    [1.0, 9.0]
    """
    return np.maximum(1.0, (np.asarray(steps, dtype=float) - 1) ** 2)


def carried(proven: Mapping[int, float], steps: np.ndarray) -> Callable[[int], float]:
    """Fill the bounds proven at some n, 0 among them, to all n up to len(steps); beyond, infinity. O(N) once.

    >>> carried({0: 0.5, 2: 0.1}, np.array([3.0, 1.0]))(1)
    2.0
    """
    bounds = [float(proven[0])]
    for n, factor in enumerate(growth(steps).tolist(), start=1):
        bounds.append(float(min(proven.get(n, np.inf), bounds[-1] * factor)))
    return lambda n: bounds[n] if 0 <= n < len(bounds) else float("inf")
