"""L-BFGS on the reduced objective, or on the whole one: the two gradient methods that variable projection is beside.

The iteration is that of `lemmata.regression.lbfgs`, with `MEMORY` pairs. Cost: about 1.1 evaluations an iteration, each
with an inner solution for the reduced objective. Fails where the objective is so badly conditioned that the pairs kept
say too little, as that of the whole problem of least squares mostly is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lemmata.regression.lbfgs import lbfgs
from lemmata.regression.line_search import LineSearchFailed
from lemmata.regression.minimum import Point
from lemmata.regression.single_layer.history import Recorder
from lemmata.regression.single_layer.reduced import At, Reduced, with_ones
from lemmata.regression.smooth_function import SmoothFunction

MEMORY = 20


def lbfgs_reduced(reduced: Reduced, start: Tensor, record: Recorder) -> At:
    """Minimise j(theta); inner solutions start from the last one."""
    last: At | None = None

    def evaluate(theta: Tensor) -> tuple[float, Tensor]:
        nonlocal last
        last = reduced.at(theta, last)
        return last.value, last.gradient

    return reduced.at(_follow(evaluate, start, record), last)


def lbfgs_full(
    reduced: Reduced, start: Tensor, weights: Tensor, ridge: float, record: Recorder
) -> tuple[Tensor, Tensor]:
    """Minimise J(theta, W) over both, from `start` and `weights` (M, k); gives both."""
    p = len(start)

    def evaluate(both: Tensor) -> tuple[float, Tensor]:
        reduced.evaluations += 1
        theta, W = both[:p], both[p:].view_as(weights)
        point = reduced.features.at(theta)
        Z = with_ones(point.H)
        value, slope = reduced.problem.loss(Z, W)
        penalty = reduced.ridge / 2 * float(theta @ theta) + ridge / 2 * float(W.square().sum())
        inner = point.pull(slope @ W[:-1].T) + reduced.ridge * theta
        return value + penalty, torch.cat([inner, (Z.T @ slope + ridge * W).flatten()])

    found = _follow(evaluate, torch.cat([start, weights.flatten()]), record)
    return found[:p], found[p:].view_as(weights)


def _follow(evaluate: Callable[[Tensor], tuple[float, Tensor]], start: Tensor, record: Recorder) -> Tensor:
    """The last iterate before the recorder ends the run, or no step lowers the function beyond rounding."""
    function = SmoothFunction(evaluate)
    point = Point(start, *function(start))
    iterates = lbfgs(function, point, memory=MEMORY)
    while not record.done(point.value, point.gradient):
        try:
            point = next(iterates)
        except LineSearchFailed:
            record.stop("rounding")
            break
    return point.x
