"""Linear least squares: min sum_i w_i |A_i x - b_i|^2 + ridge |x|^2, for many right-hand sides, by the cheapest way.

    cholesky            A^T W A + ridge I = L L^T (or A A^T, where A is wide), refined      m p^2 + p^3 / 3 flops
    qr                  [sqrt(W) A; sqrt(ridge) I] = Q R                                    2 (m + p) p^2
    svd                 sqrt(W) A = U S V^T: the solution of least norm, and the spectrum   some 6 m p^2 + 20 p^3
    cgls, lsqr          4 m p k a step, some sqrt(c) / 2 log(2 / tolerance) steps
    steepest-descent    4 m p k a step, some c / 2 log(1 / tolerance) steps; the baseline

c is the condition number of A^T W A + ridge I. `auto` takes what counts the fewest flops, and iterates where A is known
by its products only. Whatever is taken, the answer is judged by the residual of the normal equations, computed afresh.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged
from lemmata.linalg.cgls import cgls
from lemmata.linalg.least_squares_run import Callback, LeastSquaresRun
from lemmata.linalg.lsqr import lsqr
from lemmata.linalg.operator import LinearOperator
from lemmata.regression.direct_least_squares import DIRECT, Direct
from lemmata.regression.linear_problem import LinearProblem
from lemmata.regression.linear_steepest_descent import linear_steepest_descent
from lemmata.regression.solution import LinearHistory, Solution

ITERATIVE = ("cgls", "lsqr", "steepest-descent")
METHODS = ("auto", *DIRECT, *ITERATIVE)


def least_squares(
    A: Tensor | LinearOperator,
    b: Tensor,
    *,
    ridge: float = 0.0,
    weights: Tensor | None = None,
    method: str = "auto",
    tolerance: float | None = None,
    iterations: int | None = None,
    start: Tensor | None = None,
    preconditioner: Callable[[Tensor], Tensor] | None = None,
    singular_values: Tensor | None = None,
    callback: Callback | None = None,
) -> Solution:
    """Solve min sum_i w_i |A_i x - b_i|^2 + ridge |x|^2 for x.

    A is (m, p), dense or sparse, or a `LinearOperator` with an adjoint; b is (m,) or (m, k) of its type, on its device.
    `weights` are (m,), not negative. `tolerance` is relative, on the normal equations (see `Solution`), and defaults to
    the root of the rounding unit: 1.5e-8, or 3.5e-4 in float32. With `tolerance` 0 an iterative method makes
    `iterations` steps and no more is asked of it: stopped early it regularises. `start` is (p,) or (p, k).
    `preconditioner` is for CGLS: (p, k) -> (p, k), near the inverse of A^T W A + ridge I. `singular_values` of
    sqrt(W) A, where they are known, have the rates of theory drawn. `callback`(step, x) ends an iteration by True.

    The answer is not unique where A has dependent columns and the ridge is 0. Then the iterations from zero and "svd"
    give the solution of least norm, "auto" takes "svd", and "cholesky" and "qr" raise `InvalidInput`; see
    `Solution.unique`. Raises `NotConverged` with the best there was, and `InvalidInput` for NaN, infinity, no samples,
    shapes that do not fit, and a negative ridge. Nothing is random.

    >>> A = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    >>> solution = least_squares(A, torch.tensor([1.0, 2.0, 5.0]))
    >>> solution.x, solution.method
    (tensor([1., 1.]), 'cholesky')
    """
    problem = LinearProblem.of(A, b, ridge, weights)
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    allowed = math.sqrt(torch.finfo(problem.b.dtype).eps) if tolerance is None else tolerance
    if not 0 <= allowed < 1 or (iterations is not None and iterations < 1):
        raise InvalidInput(f"tolerance {allowed} must be in [0, 1) and iterations {iterations} at least 1")
    wants_iteration = start is not None or preconditioner is not None or iterations is not None or allowed == 0
    chosen, why = (method, "as asked") if method != "auto" else _choose(problem, allowed, wants_iteration)
    if chosen in DIRECT:
        if wants_iteration:
            raise InvalidInput(f"{chosen} does not iterate: leave start, preconditioner, iterations, or take 'cgls'")
        direct = DIRECT[chosen](problem) if method != "auto" else _unless_singular(problem, chosen)
        return _of_direct(problem, direct, allowed, why if direct.method == chosen else "A has dependent columns")
    if chosen != "cgls" and preconditioner is not None:
        raise InvalidInput(f"{chosen} takes no preconditioner; 'cgls' does")
    limit = (
        max(100, 10 * problem.p) * (100 if chosen == "steepest-descent" else 1) if iterations is None else iterations
    )
    begin = None if start is None else problem.start(start)
    if chosen == "cgls":
        run = cgls(
            problem.operator, problem.b, ridge=problem.ridge, start=begin, preconditioner=preconditioner,
            tolerance=0.5 * allowed, iterations=limit, callback=callback,
        )  # fmt: skip
    else:
        run = _without_preconditioner(problem, chosen, (allowed, limit), begin, callback)
    condition = None if singular_values is None else problem.condition(singular_values)
    return _of_run(problem, run, chosen, (allowed, why, condition))


def _choose(problem: LinearProblem, tolerance: float, wants_iteration: bool) -> tuple[str, str]:
    """The method that counts the fewest flops, and what was counted."""
    if wants_iteration:
        return "cgls", "it iterates"
    if problem.matrix is None:
        return "cgls", "A is known by its products"
    m, p, k = problem.m, problem.p, problem.k
    small, large = sorted((m, p))
    direct = large * small**2 + small**3 / 3 + 4 * m * p * k
    steps = _expected_steps(problem, tolerance, most=small)
    iterative = 4.0 * m * p * k * (steps + 3)
    told = f"{direct:.2g} flops against {iterative:.2g} of {steps} steps"
    return ("cholesky", told) if direct <= iterative else ("cgls", f"{iterative:.2g} flops against {direct:.2g}")


def _expected_steps(problem: LinearProblem, tolerance: float, *, most: int) -> int:
    """Steps of conjugate gradients by the rate of theory, at most the dimension; without a ridge c is not known."""
    if problem.ridge == 0:
        return most
    c = 1 + float(problem.operator.apply(problem.b.new_ones(problem.p, 1)).square().sum()) / problem.p / problem.ridge
    return min(most, math.ceil(0.5 * math.sqrt(c) * math.log(2 / max(tolerance, 1e-16))))


def _unless_singular(problem: LinearProblem, method: str) -> Direct:
    """The method chosen, or the singular value decomposition where that finds A^T W A singular."""
    try:
        return DIRECT[method](problem)
    except InvalidInput:
        return DIRECT["svd"](problem)


def _without_preconditioner(
    problem: LinearProblem, method: str, limits: tuple[float, int], start: Tensor | None, callback: Callback | None
) -> LeastSquaresRun:
    tolerance, iterations = limits
    common: dict[str, Any] = {"ridge": problem.ridge, "tolerance": 0.5 * tolerance, "iterations": iterations}
    if method == "steepest-descent":
        return linear_steepest_descent(problem.operator, problem.b, start=start, callback=callback, **common)
    if start is not None:
        raise InvalidInput("lsqr starts from zero; take 'cgls' for another start")
    return lsqr(problem.operator, problem.b, callback=callback, **common)


def _of_run(
    problem: LinearProblem, run: LeastSquaresRun, method: str, about: tuple[float, str, float | None]
) -> Solution:
    tolerance, why, condition = about
    tails = run.falls.flip(0).cumsum(0).flip(0)
    energy = torch.cat([tails, tails.new_zeros(1, problem.k)]).clamp(min=0).sqrt()
    rows = (run.residual_norms, run.solution_norms, run.normal_residuals, energy)
    history = LinearHistory(*(part.double().cpu().numpy() for part in rows))
    unique = True if problem.ridge > 0 else (False if problem.p > problem.m else None)
    residuals, normal = problem.residuals(run.x)
    solution = Solution(
        problem.shaped(run.x), normal, residuals, run.x.norm(dim=0).double().cpu().numpy(), tolerance, problem.ridge,
        method, run.iterations, float(run.products + 2), history, unique, condition, why,
    )  # fmt: skip
    return _accepted(solution)


def _of_direct(problem: LinearProblem, direct: Direct, tolerance: float, why: str) -> Solution:
    residuals, normal = problem.residuals(direct.x)
    sizes = direct.x.norm(dim=0).double().cpu().numpy()
    history = LinearHistory(residuals[None], sizes[None], np.array([[normal]]), np.zeros((1, problem.k)))
    condition = None if direct.singular_values is None else problem.condition(direct.singular_values)
    cost = direct.flops / (2.0 * problem.m * problem.p * problem.k) + 2
    solution = Solution(
        problem.shaped(direct.x), normal, residuals, sizes, tolerance, problem.ridge,
        direct.method, 0, cost, history, direct.unique, condition, why,
    )  # fmt: skip
    return _accepted(solution)


def _accepted(solution: Solution) -> Solution:
    """The solution, if its certificate is below the tolerance or none was asked for."""
    if solution.tolerance > 0 and not solution.normal_residual <= solution.tolerance:
        raise NotConverged(
            f"least squares by {solution.method}",
            best=solution,
            residual=solution.normal_residual,
            tolerance=solution.tolerance,
            remedy="allow more iterations, give a preconditioner or a larger ridge, or take float64 or method='svd'",
        )
    return solution
