"""From the program to its answer: which pairs, which solver, and whether the answer is the worst case itself.

Any multipliers that satisfy (2) of `program` bound the method; that they bound it as well as any could takes a Gram
matrix that meets *all* inequalities, also those whose multipliers were left out, or a function on which the method is
as bad as the bound. So, by solver "auto" and "interior-point":

    1. solve on the dyadic support;
    2. it is tight if a function on a line attains the value, or if no inequality that was left out is violated;
    3. else take in the violated ones and solve again ("generated"), until 2 holds;
    4. for "auto" only: where rounding stops that, hand the whole program to Clarabel (N <= 31) or SCS.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lemmata.descent.worst_case import conic, interior_point, support
from lemmata.descent.worst_case.elimination import Eliminated
from lemmata.descent.worst_case.program import Program
from lemmata.descent.worst_case.request import Request
from lemmata.descent.worst_case.worst_function import worst_on_a_line
from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged

Choice = Literal["auto", "interior-point", "clarabel", "scs"]
Support = Literal["dyadic", "generated", "full"]
ATTAINED = 1e-7
RETRIED = 1e-6  # by another solver
ROUNDS = 12
CLARABEL_STEPS = 31
FEW_PAIRS = 300
INSIDE = 0.1  # relative: how near to optimal such a point is


@dataclass(frozen=True, eq=False)
class Answer:
    """Multipliers and Gram matrix as a solver left them, in units of L = 1.

    `dual` and `deep` are (tau, multipliers (N + 2, N + 2)), `deep` well inside the cone, if one is known; `gram` (n, n)
    and `f` (N + 1,) the worst data; `bend` that of a function on a line that attains tau, if one does; `residual` how
    far from optimal this can be, relative to tau.
    """

    dual: tuple[float, np.ndarray]
    deep: tuple[float, np.ndarray] | None
    gram: np.ndarray
    f: np.ndarray
    solver: str
    support: Support
    iterations: int
    residual: float
    bend: float | None = None


def answer(request: Request, *, solver: Choice, tolerance: float, seconds: float, memory: int) -> Answer:
    """Solve by the named solver, or by the first that can."""
    program, steps = request.program, len(request.H)
    if solver in ("clarabel", "scs"):
        conic.refuse_what_is_too_large(solver, steps, seconds)
        return replace(_by_cone(program, solver, tolerance, seconds), deep=_deep(program, request))
    on_a_line = worst_on_a_line(request.H, program.kappa, request.of, request.given)
    found = _by_interior_point(program, request, on_a_line, tolerance, (time.process_time() + seconds, memory))
    if found is not None and (found.residual < RETRIED or solver == "interior-point"):
        return found
    if solver == "interior-point":
        raise NotConverged(
            f"the interior-point method on {request.name} of {steps} steps", best=None, residual=float("nan"),
            tolerance=tolerance, remedy='take solver="auto", which falls back to Clarabel and SCS',
        )  # fmt: skip
    other: conic.Solver = "clarabel" if steps <= CLARABEL_STEPS else "scs"
    if conic.forecast(other, steps)[0] > seconds:
        if found is not None:
            return found
        conic.refuse_what_is_too_large(other, steps, seconds)
    fallback = _by_cone(program, other, tolerance, seconds)
    fallback = replace(fallback, deep=found.dual if found is not None else None)
    return fallback if found is None or fallback.residual < found.residual else found


def _by_interior_point(
    program: Program, request: Request, on_a_line: tuple[float, float], tolerance: float, limits: tuple[float, int]
) -> Answer | None:
    mask = support.starting(request.steps, request.of, nested=request.is_gradient_descent)
    label: Support = "dyadic"
    best: Answer | None = None
    for _ in range(ROUNDS):
        if best is not None and _bytes(mask) > limits[1]:
            return best
        _refuse_without_memory(mask, limits[1])
        problem = Eliminated.of(program, mask)
        solved = interior_point.solve(problem, tolerance=tolerance, until=limits[0])
        if solved is None:
            return best
        found = _answer(problem, solved, label)
        slack = program.slacks(found.gram, found.f) / found.dual[0]
        missed = max(0.0, -float(np.min(slack[~mask], initial=0.0)))
        if on_a_line[0] >= found.dual[0] * (1 - ATTAINED):
            residual = max(0.0, 1 - on_a_line[0] / found.dual[0])
            return replace(found, bend=on_a_line[1], residual=residual)
        found = replace(found, residual=max(found.residual, missed))
        best = found if best is None or found.residual < best.residual else best
        noise = max(tolerance, found.residual if missed == 0 else solved.violation, -2 * float(slack[mask].min()))
        larger = support.grown(mask, slack, tolerance=noise, most=max(FEW_PAIRS, int(mask.sum()) // 2))
        if np.array_equal(larger, mask) or time.process_time() > limits[0]:
            return best
        mask = larger
        label = "full" if bool((mask | ~program.admissible()).all()) else "generated"
    return best


def _answer(problem: Eliminated, solved: interior_point.Solved, label: Support) -> Answer:
    dual, deep, primal = solved.dual, solved.deep, solved.primal
    f = problem.values(primal.X, primal.t)
    granted = problem.program.granted(primal.X, f)
    return Answer(
        (dual.tau, problem.multipliers(dual.x, dual.tau)),
        (deep.tau, problem.multipliers(deep.x, deep.tau)),
        primal.X / granted,
        f / granted,
        "interior-point",
        label,
        solved.iterations,
        max(abs(1 - problem.program.asked(primal.X, f) / granted / dual.tau), solved.violation),
    )


def _deep(program: Program, request: Request) -> tuple[float, np.ndarray] | None:
    """A point well inside, with which the answer of a conic solver, on the edge or beyond, is made to prove a bound."""
    problem = Eliminated.of(program, support.starting(request.steps, request.of, nested=request.is_gradient_descent))
    solved = interior_point.solve(problem, tolerance=INSIDE)
    return None if solved is None else (solved.deep.tau, problem.multipliers(solved.deep.x, solved.deep.tau))


def _by_cone(program: Program, solver: conic.Solver, tolerance: float, seconds: float) -> Answer:
    found = conic.solve(program, support.full(program.steps), solver=solver, tolerance=tolerance, seconds=seconds)
    granted = program.granted(found.gram, found.f)
    gram, f = found.gram / granted, found.f / granted
    missed = -float(np.min(program.slacks(gram, f), initial=0.0))
    residual = max(abs(1 - program.asked(gram, f) / found.tau), missed / found.tau)
    dual = (found.tau, found.multipliers)
    return Answer(dual, None, gram, f, solver, "full", found.iterations, residual)


def _bytes(mask: np.ndarray) -> int:
    """What the interior-point method takes: some eight matrices over the multipliers."""
    return 8 * 8 * int(mask.sum()) ** 2


def _refuse_without_memory(mask: np.ndarray, memory: int) -> None:
    if _bytes(mask) > memory:
        raise InvalidInput(
            f"the interior-point method on {int(mask.sum()):,} multipliers takes {_bytes(mask) / 2**30:.1f} GiB, "
            f"{memory / 2**30:.1f} GiB are allowed; give a larger `memory`, or fewer steps"
        )
