"""Nonlinear conjugate gradients, p <- -g + beta p with Polak and Ribiere's beta, not below zero (PR+).

    beta = max(0, g_new^T (g_new - g) / g^T g)

On a quadratic with exact steps this is the linear method, which ends after as many steps as there are distinct
eigenvalues. Gilbert and Nocedal (1992) prove convergence for strong Wolfe steps whose directions descend; where one
does not, the method starts afresh from -g. Four vectors of memory; two gradients a step or so.
"""

from collections.abc import Iterator

from lemmata.regression.line_search import strong_wolfe
from lemmata.regression.minimum import Point
from lemmata.regression.smooth_function import SmoothFunction


def nonlinear_cg(function: SmoothFunction, start: Point, *, curvature: float = 0.1) -> Iterator[Point]:
    """Yield the iterates of PR+ from `start`; `curvature` is the line search's c2.

    >>> import itertools, torch
    >>> d = torch.tensor([1.0, 10.0], dtype=torch.float64)
    >>> f = SmoothFunction(lambda x: (x @ (d * x) / 2, d * x))
    >>> x = torch.ones(2, dtype=torch.float64)
    >>> runs = list(itertools.islice(nonlinear_cg(f, Point(x, *f(x)), curvature=1e-3), 2))
    >>> runs[-1].value < 1e-20
    True
    """
    point, direction = start, -start.gradient
    first = 1.0 / max(1.0, float(start.gradient.norm()))
    while True:
        slope = float(point.gradient @ direction)
        if not slope < -1e-10 * float(point.gradient.norm() * direction.norm()):
            direction = -point.gradient
            slope = float(point.gradient @ direction)
        found = strong_wolfe(function, point, direction, first=first, curvature=curvature)
        yield found
        g, new = point.gradient, found.gradient
        beta = max(0.0, float(new @ (new - g)) / float(g @ g))
        direction = -new + beta * direction
        ahead = float(new @ direction)
        first = found.step * slope / ahead if ahead < 0 else found.step  # to first order as large a fall as the last
        point = found
