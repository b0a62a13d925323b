"""The one door to Clarabel, the interior-point solver: a linear objective, sparse constraints, three kinds of cones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse


def minimise(
    q: np.ndarray,
    A: sparse.csc_matrix,
    b: np.ndarray,
    *,
    zero: int = 0,
    positive: int = 0,
    semidefinite: Sequence[int] = (),
    iterations: int,
    tolerance: float,
) -> tuple[np.ndarray, str]:
    """Minimise q x with b - A x in the cones, rows in this order: zeros, non-negative, svec of semidefinite matrices.

    svec is the upper triangle by columns, off-diagonals times sqrt 2. Gives x where the solver stopped, zeros for what
    is not finite, and what it says of it. One thread, so that a machine repeats itself.
    """
    import clarabel

    solver: Any = clarabel  # its names are those of a compiled module, which type checkers do not see
    settings = solver.DefaultSettings()
    settings.verbose, settings.max_iter, settings.max_threads = False, iterations, 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
    cones = [solver.ZeroConeT(zero)] if zero else []
    cones += [solver.NonnegativeConeT(positive)] if positive else []
    cones += [solver.PSDTriangleConeT(order) for order in semidefinite]
    no_quadratic = sparse.csc_matrix((len(q), len(q)))
    solution = solver.DefaultSolver(no_quadratic, q, A, b, cones, settings).solve()
    return np.nan_to_num(np.array(solution.x), posinf=0.0, neginf=0.0), str(solution.status)
