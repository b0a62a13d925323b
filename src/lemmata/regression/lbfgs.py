"""L-BFGS: a quasi-Newton direction from the last few steps s and changes of gradient y (Nocedal, 1980).

The inverse Hessian is gamma I, gamma = s^T y / y^T y, updated by each pair (s, y) in turn; the two-loop recursion
applies it to g in 4 m p flops for m pairs. Steps satisfy the strong Wolfe conditions, so that s^T y > 0. Memory is
2 m vectors; a gradient or little more a step. All state stays on the device of x.
"""

from collections import deque
from collections.abc import Iterator

from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.regression.line_search import strong_wolfe
from lemmata.regression.minimum import Point
from lemmata.regression.smooth_function import SmoothFunction

Pair = tuple[Tensor, Tensor, float]  # s, y and 1 / s^T y


def lbfgs(function: SmoothFunction, start: Point, *, memory: int = 10) -> Iterator[Point]:
    """Yield the iterates of L-BFGS from `start`, with `memory` pairs.

    >>> import itertools, torch
    >>> d = torch.tensor([1.0, 10.0], dtype=torch.float64)
    >>> f = SmoothFunction(lambda x: (x @ (d * x) / 2, d * x))
    >>> x = torch.ones(2, dtype=torch.float64)
    >>> list(itertools.islice(lbfgs(f, Point(x, *f(x))), 10))[-1].value < 1e-6
    True
    """
    if memory < 1:
        raise InvalidInput(f"memory = {memory} pairs; L-BFGS needs one at least, and ten are usual")
    point, pairs = start, deque[Pair](maxlen=memory)
    while True:
        direction = -two_loops(point.gradient, pairs)
        first = 1.0 if pairs else 1.0 / max(1.0, float(point.gradient.norm()))
        found = strong_wolfe(function, point, direction, first=first)
        yield found
        s, y = found.x - point.x, found.gradient - point.gradient
        curvature = float(s @ y)
        if curvature > 1e-14 * float(s.norm() * y.norm()):
            pairs.append((s, y, 1 / curvature))
        point = found


def two_loops(g: Tensor, pairs: deque[Pair]) -> Tensor:
    """The inverse of the quasi-Newton Hessian, made of `pairs`, times g (Nocedal and Wright, 2006, algorithm 7.4).

    >>> import torch
    >>> two_loops(torch.ones(2), deque())
    tensor([1., 1.])
    """
    q, weights = g.clone(), []
    for s, y, rho in reversed(pairs):
        weights.append(rho * float(s @ q))
        q.sub_(y, alpha=weights[-1])
    if pairs:
        _, y, rho = pairs[-1]
        q.div_(rho * float(y @ y))
    for (s, y, rho), weight in zip(pairs, reversed(weights), strict=True):
        q.add_(s, alpha=weight - rho * float(y @ q))
    return q
