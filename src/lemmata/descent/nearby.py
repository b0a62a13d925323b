"""How bad all steps near given ones are at least: by the function that is worst for the given ones.

Points, gradients and values that satisfy the interpolation inequalities belong to a convex function with Lipschitz
constant 1, which the semidefinite program finds for the steps c at a box's centre. With other steps h of the box, of
half-width r, the run on the same function drifts from that of c by at most e_n,

    e_0 = 0,    e_{k+1} = max(1, |1 - h_k|) e_k + r_k |g_k|

since x - h g(x) spreads two points by at most max(1, |1 - h|) (cocoercivity), and the result is at least

    f(x_n) >= f_n - |g_n| e_n        |g(x_n)| >= |g_n| - e_n.

A solver's answer satisfies the inequalities to its tolerance only. It is mixed with a little of a run on a quadratic,
which satisfies them strictly (both sets of data are a Gram matrix and values, in which the inequalities are linear),
until all hold with more to spare than rounding could take. So nothing is believed of the solver.

Cost: a semidefinite program of n + 2 coordinates for each box, some 3 ms for n = 3. Fails (bound 0) where the box is
wide.
"""

from __future__ import annotations

import numpy as np

from lemmata.descent.method import Measure
from lemmata.descent.worst_case import conic, support
from lemmata.descent.worst_case.program import Program

MIXED = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4)
ROUNDING = 1e-14
SECONDS = 10.0


def at_least_nearby(low: np.ndarray, high: np.ndarray, of: Measure) -> float:
    """Bound the worst case of all steps in the box low <= h <= high (n,) from below, rigorously; 0 if it cannot.

    Of the gap given the distance, or of the squared gradient norm given the gap.

    >>> point = np.array([1.5])
    >>> round(at_least_nearby(point, point, "gap"), 5)
    0.125
    """
    centre = (low + high) / 2
    data = _strict_data(centre, of)
    if data is None:
        return 0.0
    value, slopes = data
    radius = np.maximum(high - centre, centre - low) * (1 + 1e-15)
    spread = np.maximum(1.0, np.maximum(np.abs(1 - low), np.abs(1 - high)))
    drift = 0.0
    for k in range(len(centre)):
        drift = spread[k] * drift + radius[k] * slopes[k]
    reached = value - slopes[-1] * drift if of == "gap" else max(0.0, slopes[-1] - drift) ** 2
    return max(0.0, float(reached) - 1e-12)


def _strict_data(steps: np.ndarray, of: Measure) -> tuple[float, np.ndarray] | None:
    """f_n and |g_0|, ..., |g_n| of a function, with D = 1 or f_0 - f* = 1, that is nearly the worst for the steps."""
    n = len(steps)
    given = "distance" if of == "gap" else "gap"
    program = Program.of(np.tril(np.broadcast_to(steps, (n, n))), kappa=0.0, of=of, given=given)
    solved = conic.solve(program, support.full(n), solver="clarabel", tolerance=1e-9, seconds=SECONDS)
    if not np.isfinite(solved.gram).all():
        return None
    half = _root(solved.gram)
    strict, values = _on_a_quadratic(steps, program.anchored)
    size = max(1.0, float(np.abs(program.x).max())) ** 2 * (n + 2) ** 2
    for share in MIXED:
        vectors = np.concatenate([np.sqrt(1 - share) * half, np.sqrt(share) * strict])
        gram, f = vectors.T @ vectors, (1 - share) * solved.f + share * values
        spare = ROUNDING * size * max(1.0, float(np.abs(gram).max()), float(np.abs(f).max()))
        if program.slacks(gram, f).min() > spare:
            scale = program.granted(gram, f) * (1 + 1e-13)
            slopes = np.sqrt(np.diag(gram)[-(n + 1) :] / scale)
            return float(f[-1] / scale), slopes
    return None


def _root(gram: np.ndarray) -> np.ndarray:
    """V (n, n) with V^T V the nearest positive semidefinite matrix, but for rounding."""
    values, vectors = np.linalg.eigh((gram + gram.T) / 2)
    return np.sqrt(np.maximum(values, 0))[:, None] * vectors.T


def _on_a_quadratic(steps: np.ndarray, anchored: bool) -> tuple[np.ndarray, np.ndarray]:
    """The vectors x_0 - x*, g_0, ..., g_n (d, n + 2), and the values (n + 1,), of a run with curvatures inside (0, 1).

    The inequalities hold strictly, by (1/2) d^T (A - A^2) d, unless two of the points coincide.
    """
    curvature = np.array([0.15, 0.4, 0.65])
    x = [np.ones(3) / np.sqrt(3)]
    for h in steps:
        x.append(x[-1] - h * curvature * x[-1])
    points = np.array(x).T
    vectors = np.concatenate([points[:, :1], curvature[:, None] * points], 1)
    return vectors if anchored else vectors[:, 1:], (curvature[:, None] * points**2).sum(0) / 2
