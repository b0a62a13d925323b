"""Steepest descent, x <- x - t g, with Armijo's backtracking (Cauchy, 1847).

The first trial step is the Barzilai-Borwein one, s^T s / s^T y, the inverse of the curvature last met (1988). Linear
convergence at (kappa - 1) / (kappa + 1) with exact steps on quadratics of condition kappa; a gradient or two a step.
"""

from collections.abc import Iterator

from torch import Tensor

from lemmata.regression.line_search import armijo
from lemmata.regression.minimum import Point
from lemmata.regression.smooth_function import SmoothFunction


def steepest_descent(function: SmoothFunction, start: Point, *, barzilai_borwein: bool = True) -> Iterator[Point]:
    """Yield the iterates of steepest descent; without `barzilai_borwein` trials begin at twice the last step.

    >>> import itertools, torch
    >>> f = SmoothFunction(lambda x: (x @ x, 2 * x))
    >>> x = torch.tensor([1.0, 0.0])
    >>> [point.value for point in itertools.islice(steepest_descent(f, Point(x, *f(x))), 1)]
    [0.0]
    """
    point, first = start, 1.0 / max(1.0, float(start.gradient.norm()))
    while True:
        found = armijo(function, point, -point.gradient, first=first)
        first = _barzilai_borwein(point, found) if barzilai_borwein else 2 * found.step
        yield found
        point = found


def _barzilai_borwein(before: Point, after: Point) -> float:
    """s^T s / s^T y, or twice the last step where the curvature met is not positive."""
    s: Tensor = after.x - before.x
    curvature = float(s @ (after.gradient - before.gradient))
    return float(s @ s) / curvature if curvature > 0 else 2 * after.step
