"""The exact worst case of a method with fixed steps, over all smooth convex or smooth strongly convex functions.

    sup  f_N - f*  (or |g_N|^2)   over f that are mu-strongly convex with L-Lipschitz gradient, in any dimension,
                                  and over starts with |x_0 - x*|^2 <= 1  (or f_0 - f* <= 1)

is the value of a semidefinite program (`program`), solved here by an interior-point method made for it
(`interior_point`) on few of its multipliers (`support`), or by Clarabel or SCS on all (`conic`). Whatever the solver
did, `bound` is then proven in exact arithmetic (`bound`), and `lower` is what the method reaches on an explicit
function (`worst_function`); the truth lies between them.

Cost on one core, gradient descent: N = 31 0.1 s, N = 63 0.5 s, N = 127 4 s; other methods, whose proofs need more
multipliers, 1 s at N = 31. Memory: 64 K^2 bytes for K multipliers, K about 8 N for gradient descent. It fails, saying
so, where rounding hides the answer: values below some 1e-8, or iterates that grow beyond 1e4.

Sources: Drori and Teboulle (2014), Mathematical Programming 145; Taylor, Hendrickx and Glineur (2017), Mathematical
Programming 161, and (2017), SIAM Journal on Optimization 27.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction
from typing import get_args

import numpy as np

from lemmata.descent.method import Given, Measure, Method
from lemmata.descent.numbers import is_positive
from lemmata.descent.worst_case.bound import rigorous_bound
from lemmata.descent.worst_case.program import Program
from lemmata.descent.worst_case.request import Request
from lemmata.descent.worst_case.result import WorstCase
from lemmata.descent.worst_case.solving import Answer, Choice, answer
from lemmata.descent.worst_case.worst_function import Envelope, OnALine, WorstFunction
from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import NotConverged

ACCEPTED = 1e-4  # relative: what the truth must at least be known to
RANKS = (1, 2, 3, 5, 8)


def worst_case(
    method: Method | np.ndarray | Sequence[float] | Sequence[Sequence[float]],
    n: int | None = None,
    *,
    L: float = 1.0,
    mu: float = 0.0,
    of: Measure = "gap",
    given: Given = "distance",
    solver: Choice = "auto",
    tolerance: float = 1e-9,
    seconds: float = 600.0,
    memory: int = 2 * 2**30,
) -> WorstCase:
    """Compute the worst case of `method` after n steps, with a proof and with a function that attains it.

    `method` is a `Method`, steps (N,) of gradient descent in units of 1/L, or a lower triangular matrix H (N, N); `n`
    may be left out where it is known: a schedule's own length, one cycle of a cyclic one. `of` is "gap", f_N - f*, or
    "gradient", |g_N|^2; `given` "distance", |x_0 - x*|^2, or "gap", f_0 - f*. `tolerance`, relative, is the solver's;
    what was reached is `WorstCase.gap`. `seconds` and `memory` (bytes) are limits on what a solver is begun with, by
    forecast. Nothing is random.

    Raises `InvalidInput` for steps that are empty, not finite, of zero length or of a wrong shape, for H with entries
    above the diagonal, mu outside [0, L), and an N out of a solver's reach, with the forecast; `UnknownName` for names;
    `NotConverged` where the truth would not be known to 1e-4, with the bound, if there is one, as the best there was.

    >>> found = worst_case([1.5, 1.5])                        # f_2 - f* <= L D^2 / (4 + 8 * 1.5)
    >>> print(f"{found.value:.8f} {1 / 14:.8f}", found.lower <= found.bound)
    0.07142857 0.07142857 True
    >>> found.function().name
    'the Huber function of bend 0.142857'
    """
    if solver not in get_args(Choice):
        raise UnknownName("solver", solver, get_args(Choice))
    for name, limit in (("tolerance", tolerance), ("seconds", seconds), ("memory", memory)):
        if not is_positive(limit) and not (name != "tolerance" and limit == np.inf):
            raise InvalidInput(f"{name} = {limit!r}; it must be positive, and no NaN")
    started = time.process_time()
    request = Request.read(method, n, L=L, mu=mu, of=of, given=given)
    found = answer(request, solver=solver, tolerance=tolerance, seconds=seconds, memory=memory)
    proven = rigorous_bound(request.statement, found.dual, found.deep)
    if proven is None:
        raise NotConverged(
            f"a proof for {request.name} of {len(request.H)} steps", best=found.dual[0], residual=found.residual,
            tolerance=ACCEPTED, remedy="rounding hides it, as where iterates grow without "
            f"end; take fewer or shorter steps, or another solver than {found.solver!r}",
        )  # fmt: skip
    bound = proven[0] * request.scale
    worst, lower = _attained(request, found, float(bound))
    residual = min(found.residual + abs(1 - found.dual[0] / float(proven[0])), 1 - lower / float(bound))
    if not residual <= ACCEPTED:
        raise NotConverged(
            f"the worst case of {request.name} of {len(request.H)} steps", best=float(bound), residual=residual,
            tolerance=ACCEPTED, remedy="the bound given as best holds, and may not be the least; take fewer steps",
        )  # fmt: skip
    return _result(request, found, (bound, proven[1]), (worst, lower), time.process_time() - started)


def _result(
    request: Request,
    found: Answer,
    proof: tuple[Fraction, np.ndarray],
    below: tuple[WorstFunction | None, float],
    seconds: float,
) -> WorstCase:
    pairs = np.argwhere(proof[1] > 0)
    return WorstCase(
        value=float(proof[0]),
        name=request.name,
        bound=proof[0],
        lower=below[1],
        H=request.H,
        L=request.L,
        mu=request.mu,
        of=request.of,
        given=request.given,
        pairs=pairs - 1,
        multipliers=proof[1][pairs[:, 0], pairs[:, 1]],
        gram=found.gram,
        values=found.f,
        solver=found.solver,
        support=found.support,
        iterations=found.iterations,
        time=seconds,
        residual=found.residual,
        worst=below[0],
    )


def _attained(request: Request, found: Answer, bound: float) -> tuple[WorstFunction | None, float]:
    """The function on which the run comes nearest to the bound, and how near; (None, NaN) if it is not near at all."""
    if found.bend is not None:
        function = OnALine.of(bend=found.bend, L=request.L, mu=request.mu)
        return function, function.ratio(request.H, request.of, request.given)
    best: tuple[WorstFunction | None, float] = None, float("nan")
    for rank in (*(rank for rank in RANKS if rank < len(found.gram)), len(found.gram)):
        function = _interpolated(request.program, found, rank, request.L, request.mu)
        ratio = function.ratio(request.H, request.of, request.given)
        if not ratio <= best[1] + 1e-7 * bound:  # a larger rank must earn its keep
            best = function, ratio
    return best if best[1] >= (1 - ACCEPTED) * bound else (None, float("nan"))


def _interpolated(program: Program, found: Answer, rank: int, L: float, mu: float) -> Envelope:
    """The function through the worst data, in the `rank` leading directions of their Gram matrix."""
    squares, directions = np.linalg.eigh(found.gram)
    factor = directions[:, -rank:] * np.sqrt(np.maximum(squares[-rank:], 0))
    x, g, f = program.x.T @ factor, program.g.T @ factor, np.append(0.0, found.f)
    first = 0 if program.anchored else 1  # * has a place only where x_0 - x* is a coordinate
    return Envelope.of(x[first:], L * g[first:], L * f[first:], start=1 - first, L=L, mu=mu)
