"""The program by a general conic solver: Clarabel (interior point) or SCS (operator splitting), all pairs or some.

Nothing is assumed of the method here; (2) of `program` is handed over as it stands, sparsely, with its equalities, the
cone of nonnegative multipliers and that of S, as a vector of its lower triangle with sqrt(2) off the diagonal. Clarabel
factorises the dense matrix over the entries of S: time grows as N^7, measured 2 s for N = 31 and 75 s for 63. SCS needs
little memory and many iterations, 2 s for N = 63 and 60 s for 127, and its answer is the least accurate; what it proves
is decided by `bound` all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import numpy as np
from scipy import sparse

from lemmata.descent.worst_case.program import Program
from lemmata.errors import InvalidInput

Solver = Literal["clarabel", "scs"]
SECONDS = {"clarabel": (2.5, 31, 5.0), "scs": (2.0, 63, 4.9)}  # measured: seconds at so many steps, and the power of N


@dataclass(frozen=True, eq=False)
class ConicSolution:
    """tau, multipliers (N + 2, N + 2), Gram matrix (n, n) and values (N + 1,), as the solver left them."""

    tau: float
    multipliers: np.ndarray
    gram: np.ndarray
    f: np.ndarray
    status: str
    iterations: int


def forecast(solver: Solver, steps: int) -> tuple[float, float]:
    """Seconds and bytes to expect for N = `steps` and all pairs, from the times measured for one core.

    >>> seconds, size = forecast("clarabel", 127)
    >>> seconds > 1000, size > 2**28
    (True, True)
    """
    seconds, at, power = SECONDS[solver]
    entries = (steps + 2) * (steps + 3) / 2
    size = 8 * entries**2 * 1.5 if solver == "clarabel" else 400 * (steps + 2) ** 3
    return seconds * (steps / at) ** power, size


def refuse_what_is_too_large(solver: Solver, steps: int, seconds: float) -> None:
    """Raise `InvalidInput`, with the forecast, where N is out of the solver's reach in so many seconds."""
    time, size = forecast(solver, steps)
    if time > seconds:
        raise InvalidInput(
            f"N = {steps} is too large for solver={solver!r}: about {time:,.0f} s and {size / 2**30:.1f} GiB are "
            f'forecast, {seconds:,.0f} s are allowed; take solver="interior-point", fewer steps, or a larger `seconds`'
        )


def solve(program: Program, mask: np.ndarray, *, solver: Solver, tolerance: float, seconds: float) -> ConicSolution:
    """Solve on the pairs of a mask (N + 2, N + 2), the others being zero; stop after so many seconds."""
    source, target = np.nonzero(mask & program.admissible())
    A, b, order = _cone_form(program, source, target, lower=solver == "scs")
    cost = np.append(np.zeros(len(source)), 1.0)
    u, dual, status, iterations = (_scs if solver == "scs" else _clarabel)(A, b, cost, program, (tolerance, seconds))
    multipliers = np.zeros(mask.shape)
    multipliers[source, target] = u[:-1]
    flows, (rows, columns) = program.steps + 1, order
    entries, gram = dual[flows + len(source) :], np.zeros_like(program.C)
    gram[rows, columns] = gram[columns, rows] = entries / np.where(rows == columns, 1, np.sqrt(2))
    return ConicSolution(float(u[-1]), multipliers, gram, -dual[:flows], status, iterations)


def _cone_form(
    program: Program, source: np.ndarray, target: np.ndarray, *, lower: bool
) -> tuple[sparse.csc_matrix, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """A and b of b - A u in {0} x nonnegative x semidefinite, u = (multipliers, tau); and the order of S's entries."""
    count, n = len(source), len(program.C)
    if lower:
        columns, rows = np.triu_indices(n)  # the lower triangle, column by column
    else:
        columns, rows = np.tril_indices(n)  # the upper triangle, column by column
    place = np.empty((n, n), int)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    scale = np.where(rows == columns, 1.0, np.sqrt(2))
    given = sparse.csc_matrix(program.T[rows, columns][:, None])
    semidefinite = sparse.diags(scale) @ sparse.hstack([_entries(program, source, target, place), given])
    pair, one = np.arange(count), np.ones(count)
    shape = (program.steps + 2, count)
    flow = sparse.csc_matrix((one, (target, pair)), shape) - sparse.csc_matrix((one, (source, pair)), shape)
    flow = sparse.hstack([flow.tocsr()[1:], sparse.csc_matrix(program.w[:, None])])
    nonnegative = sparse.hstack([sparse.identity(count), sparse.csc_matrix((count, 1))])
    A = sparse.vstack([flow, -nonnegative, -semidefinite]).tocsc()
    b = np.concatenate([program.v, np.zeros(count), -scale * program.C[rows, columns]])
    return A, b, (rows, columns)


def _entries(program: Program, source: np.ndarray, target: np.ndarray, place: np.ndarray) -> sparse.csc_matrix:
    """The entries of every A_ij, a column a pair, in the order that `place` (n, n) gives them."""
    g, c = program.g, program.c
    parts = []
    at = np.array([int(np.argmax(column)) if column.any() else -1 for column in g.T])  # the coordinate of g_j
    apart = program.x[:, source] - program.x[:, target]
    row, pair = np.nonzero(apart)
    seen = at[target[pair]] >= 0
    row, pair = row[seen], pair[seen]
    own = at[target[pair]]
    parts.append((place[row, own], pair, apart[row, pair] * np.where(row == own, 1.0, 0.5)))
    for node in (source, target):
        pair = np.flatnonzero(at[node] >= 0)
        parts.append((place[at[node[pair]], at[node[pair]]], pair, np.full(len(pair), c / 2)))
    pair = np.flatnonzero((at[source] >= 0) & (at[target] >= 0))
    parts.append((place[at[source[pair]], at[target[pair]]], pair, np.full(len(pair), -c / 2)))
    rows, pairs, values = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sparse.csc_matrix((values, (rows, pairs)), shape=(len(program.C) * (len(program.C) + 1) // 2, len(source)))


def _clarabel(
    A: sparse.csc_matrix, b: np.ndarray, cost: np.ndarray, program: Program, limits: tuple[float, float]
) -> tuple:
    clarabel: Any = import_module("clarabel")  # its classes are made in Rust, without stubs
    tolerance, seconds = limits

    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.time_limit = seconds
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
    cones = [
        clarabel.ZeroConeT(program.steps + 1),
        clarabel.NonnegativeConeT(len(cost) - 1),
        clarabel.PSDTriangleConeT(len(program.C)),
    ]
    square = sparse.csc_matrix((len(cost), len(cost)))
    found = clarabel.DefaultSolver(square, cost, A, b, cones, settings).solve()
    return np.array(found.x), np.array(found.z), str(found.status), found.iterations


def _scs(A: sparse.csc_matrix, b: np.ndarray, cost: np.ndarray, program: Program, limits: tuple[float, float]) -> tuple:
    import scs

    tolerance, seconds = limits

    cone = {"z": program.steps + 1, "l": len(cost) - 1, "s": [len(program.C)]}
    settings = {
        "eps_abs": tolerance,
        "eps_rel": tolerance,
        "max_iters": 200_000,
        "verbose": False,
        "time_limit_secs": seconds,
    }
    found = scs.SCS({"A": A, "b": b, "c": cost}, cone, **settings).solve()
    return found["x"], found["y"], found["info"]["status"], found["info"]["iter"]
