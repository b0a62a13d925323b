"""Minimise a smooth function of many variables, from a start, until its gradient is short.

    newton-cg           products with the Hessian; superlinear; few steps
    gauss-newton        products with G = J^T H_loss J, or the Jacobian; damped; for least squares and networks
    lbfgs               gradients only; the usual choice for a large smooth problem
    nonlinear-cg        gradients only, least memory of the fast ones
    steepest-descent    gradients only; the baseline

What a gradient norm of epsilon means for the value depends on the function: where it is mu-strongly convex,
f - f* <= epsilon^2 / (2 mu). Cost: see each method's own module. Fails on functions with kinks, which it says by way
of the line search, and finds local minima only where f is not convex.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.objective import Objective
from lemmata.regression.gauss_newton import gauss_newton
from lemmata.regression.lbfgs import lbfgs
from lemmata.regression.line_search import LineSearchFailed
from lemmata.regression.minimum import History, Minimum, Point
from lemmata.regression.newton_cg import newton_cg
from lemmata.regression.nonlinear_cg import nonlinear_cg
from lemmata.regression.smooth_function import SmoothFunction, Target
from lemmata.regression.steepest_descent import steepest_descent

METHODS: dict[str, Callable[..., Iterator[Point]]] = {
    "newton-cg": newton_cg,
    "gauss-newton": gauss_newton,
    "lbfgs": lbfgs,
    "nonlinear-cg": nonlinear_cg,
    "steepest-descent": steepest_descent,
}
Start = Tensor | Mapping[str, Tensor] | None


def minimise(
    function: Target,
    start: Start = None,
    *,
    method: str = "newton-cg",
    tolerance: float = 1e-6,
    iterations: int = 1000,
    budget: float = math.inf,
    callback: Callable[[Point], bool | None] | None = None,
    **options: Any,
) -> Minimum:
    """Minimise `function` from `start` until the Euclidean norm of its gradient is at most `tolerance`.

    `function` is an `Objective`, a function of a tensor that torch can differentiate, an object with methods
    ``value_and_gradient(x)``, ``hvp(v, x)`` and ``ggn_vp(v, x)``, a `NonlinearLeastSquares`, or a `SmoothFunction`.
    `start` is a tensor of any shape, or a tree for an objective (its own parameters if None); it is not changed.
    `budget` bounds the cost in gradients. `callback` is shown each iterate and ends the run where it gives True.
    `options` go to the method: see its own function. Nothing is random.

    Raises `NotConverged`, whose `best` is the iterate of the shortest gradient, where `iterations` or `budget` are
    spent or no step lowers f; `InvalidInput` for a start that is not finite, or where f is not.

    >>> import torch
    >>> rosenbrock = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    >>> found = minimise(rosenbrock, torch.tensor([-1.2, 1.0], dtype=torch.float64))
    >>> found.x.round(decimals=6), found.converged
    (tensor([1., 1.], dtype=torch.float64), True)
    """
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    if not tolerance > 0 or iterations < 1 or not budget > 0:
        raise InvalidInput(f"tolerance {tolerance}, iterations {iterations} and budget {budget} must all be positive")
    x, shaped = _flat(function, start)
    smooth = SmoothFunction.of(function, start if isinstance(start, Tensor) else None)
    first = Point(x, *smooth(x))
    if not math.isfinite(first.value) or not bool(first.gradient.isfinite().all()):
        raise InvalidInput(f"f is {first.value} at the start, or its gradient is not finite; start elsewhere")
    run = _Run(smooth, first, method, tolerance, shaped)
    limits = iterations, budget
    if method == "newton-cg":
        options = {"tolerance": tolerance, **options}
    return run.until(limits, METHODS[method](smooth, first, **options), callback)


class _Run:
    """The iterates so far, and the shortest gradient among them."""

    def __init__(
        self, function: SmoothFunction, first: Point, method: str, tolerance: float, shaped: Callable[[Tensor], Any]
    ):
        self.function, self.method, self.tolerance, self.shaped = function, method, tolerance, shaped
        self.rows: list[tuple[float, float, float, float]] = []
        self.best, self.shortest = first, math.inf
        self.record(first)

    def record(self, point: Point) -> None:
        """Take an iterate into the history."""
        length = float(point.gradient.norm())
        self.rows.append((point.value, length, point.step, self.function.cost))
        if length < self.shortest:
            self.best, self.shortest = point, length

    def until(
        self,
        limits: tuple[float, float],
        iterates: Iterator[Point],
        callback: Callable[[Point], bool | None] | None,
    ) -> Minimum:
        """Follow the method until the tolerance, the callback, or a limit ends it."""
        failure = ""
        while self.shortest > self.tolerance:
            if len(self.rows) > limits[0] or self.function.cost >= limits[1]:
                failure = "allow more iterations or a larger budget, or another method"
                break
            try:
                point = next(iterates)
            except LineSearchFailed as error:
                failure = str(error)
                break
            self.record(point)
            if callback is not None and callback(point):
                return self.result("stopped by the callback", point)
        if failure:
            raise NotConverged(
                f"minimisation by {self.method}",
                best=self.result(failure, self.best),
                residual=self.shortest,
                tolerance=self.tolerance,
                remedy=failure,
            )
        return self.result("gradient below the tolerance", self.best)

    def result(self, stopped: str, point: Point) -> Minimum:
        """The result at one of the iterates."""
        history = History(*np.array(self.rows).T)
        f = self.function
        return Minimum(
            self.shaped(point.x), point.value, float(point.gradient.norm()), self.tolerance, self.method,
            len(self.rows) - 1, f.evaluations, f.products, f.cost, history, stopped,
        )  # fmt: skip


def _flat(function: Target, start: Start) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """The start as a flat vector of its own memory, and what gives a vector the start's form."""
    if isinstance(function, Objective):
        if not isinstance(start, Tensor):
            x = function.vector(function.parameters if start is None else dict(start))
            return _checked(x), function.tree
        if start.shape != (function.size,):
            raise InvalidInput(f"the start is {tuple(start.shape)}; the objective has {function.size} parameters")
        return _checked(start), lambda x: x
    if not isinstance(start, Tensor):
        raise InvalidInput(f"the start is a {type(start).__name__}; give a tensor to begin from")
    shape = start.shape
    return _checked(start), lambda x: x.reshape(shape)


def _checked(start: Tensor) -> Tensor:
    if not start.is_floating_point() or start.numel() == 0 or not bool(start.isfinite().all()):
        raise InvalidInput(
            f"the start has {start.numel()} entries of {start.dtype}, or NaN or infinity among them; give finite floats"
        )
    return start.detach().reshape(-1).clone()
