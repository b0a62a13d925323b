"""A primal-dual interior-point method for the eliminated program, by Mehrotra's predictor and corrector.

With X >= 0 the Gram matrix, z and t the slacks of the inequalities (1) of `program`, all products of complementary
quantities are driven to sigma nu together:

    M*(X) + (z, 0) + B^T t = (0, 1),    S = S(u),  s = s(u),    X S = sigma nu I,  z_k x_k = t_j s_j = sigma nu.

Newton's direction of Helmberg, Rendl, Vanderbei, Wolkowicz (1996), Kojima, Shindoh, Hara (1997) and Monteiro (1997)
needs one symmetric matrix over the multipliers, H_kl = <M_k, X M_l S^-1> + diagonal. As M_k = sym(p_k r_k^T) is of rank
two and its vectors belong to nodes,

    H_kl = (1/4) [ r_k X p_l . p_k Y r_l + p_k X r_l . r_k Y p_l + r_k X r_l . p_k Y p_l + p_k X p_l . r_k Y r_l ],

Y = S^-1, where every factor is an entry, or a difference of entries, of g^T X g, g^T X z, z^T X z and the same with Y:
O(K^2) to form for K multipliers, K^3/3 to factorise, n^3 for everything else.

It fails where rounding leaves no direction that makes progress; the state says so, and has the best point met. The
`deep` point, a feasible one far from the boundary, is what a bound is made rigorous with.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtrs

from lemmata.descent.worst_case.elimination import Eliminated

FEASIBLE = 1e-10
SHORTEST_STEP = 1e-6
EXACT = 1e-13
CAUTIOUS = 0.1  # the least sigma while S is not S(u): what is cut short now is not made good later
DEEP = 0.1
STALLED = 5


@dataclass(frozen=True, eq=False)
class Point:
    """An iterate: u = (x, tau), S, s and the Gram matrix X with slacks z (K,) and t (N + 1,)."""

    x: np.ndarray
    tau: float
    S: np.ndarray
    s: np.ndarray
    X: np.ndarray
    z: np.ndarray
    t: np.ndarray


@dataclass(frozen=True, eq=False)
class Solved:
    """Where the iteration ended.

    `dual` has the least tau of the iterates whose multipliers meet (2), `deep` is one well inside; `primal` has the
    best Gram matrix, which meets the inequalities to `violation`, and `gap` is (tau - its value)/tau.
    """

    dual: Point
    deep: Point
    primal: Point
    gap: float
    violation: float
    iterations: int


def solve(
    problem: Eliminated, *, tolerance: float = 1e-9, iterations: int = 100, until: float = np.inf
) -> Solved | None:
    """Solve until complementarity is below `tolerance` tau; None where no feasible multipliers were met.

    It stops where it is when the processor time reaches `until`. Cost: 15 to 50 factorisations of (K + 1, K + 1).
    """
    point = _start(problem)
    dual, deep, primal, error, count, stalled, least = None, None, None, np.inf, 0, 0, np.inf
    size = float(np.abs(point.S).max())
    while count < iterations and stalled < STALLED and time.process_time() < until:
        count += 1
        try:
            system = _System.at(problem, point, size)
            state = system.state()
            if state.infeasible < FEASIBLE:
                dual = point if dual is None or point.tau < dual.tau else dual
                deep = point if deep is None and state.left < DEEP else deep
            if max(state.gap, state.violation) < error:
                primal, error = (point, state), max(state.gap, state.violation)
            if state.infeasible < FEASIBLE and state.left < tolerance:
                break
            if state.infeasible < FEASIBLE:
                stalled = 0 if system.nu < 0.9 * least else stalled + 1
                least = min(least, system.nu)
            point = _step(system)
        except LinAlgError:
            break
    if dual is None or primal is None:
        return None
    gap = (dual.tau - primal[1].value) / dual.tau
    return Solved(dual, deep or dual, primal[0], gap, primal[1].violation, count)


def _start(problem: Eliminated) -> Point:
    """A flow along the chain, S made diagonally dominant, X diagonal, and all products of one size."""
    count, steps = len(problem.source), problem.program.steps
    x, tau = np.full(count, 0.1 / steps), 1.0
    chain = (problem.target == problem.source + 1) & (problem.source > 0)
    x[chain] += problem.source[chain] / (steps + 1)
    S = problem.base + problem.matrix(x, tau)
    diagonal = np.diag(S)
    S = S + np.diag(np.maximum(np.abs(S).sum(1) - np.abs(diagonal) - diagonal, 0.0))
    S += max(0.0, 1e-3 - 1.1 * float(np.linalg.eigvalsh(S)[0])) * np.eye(len(S))
    s = np.maximum(problem.eliminated(x, tau), 0.1 / steps)
    size = S[0, 0]
    return Point(x, tau, S, s, np.diag(size / np.diag(S)), np.full(count, size), np.full(steps + 1, size))


@dataclass(frozen=True)
class _State:
    """How far a point is from optimal: `gap`, `left` and `violation`, of X, over tau; `infeasible` over S and s."""

    value: float
    gap: float
    left: float
    infeasible: float
    violation: float


@dataclass(frozen=True, eq=False)
class _System:
    """What Newton's equations at a point need."""

    problem: Eliminated
    point: Point
    Y: np.ndarray
    factors: tuple[np.ndarray, np.ndarray]  # Cholesky's of S and of X
    off: tuple[np.ndarray, np.ndarray, np.ndarray]  # S(u) - S, s(u) - s, and of the equation of X
    nu: float
    off_dual: float  # S(u) - S and s(u) - s over the size of S, or of the first S: at the end it may vanish

    @classmethod
    def at(cls, problem: Eliminated, point: Point, size: float) -> _System:
        n, (x, tau, X) = len(point.S), (point.x, point.tau, point.X)
        factor = np.linalg.cholesky(point.S)
        Y = _solved(factor, np.eye(n))
        off_X = -problem.products(X)
        off_X[:-1] -= point.z + problem.incidence.T @ point.t
        off_X[-1] += 1 - problem.rate @ point.t
        off = (problem.base + problem.matrix(x, tau) - point.S, problem.eliminated(x, tau) - point.s, off_X)
        nu = _complementarity(point) / (n + len(x) + len(point.s))
        off_dual = float(max(np.abs(off[0]).max(), np.abs(off[1]).max()) / max(size, np.abs(point.S).max()))
        return cls(problem, point, (Y + Y.T) / 2, (factor, np.linalg.cholesky(X)), off, nu, off_dual)

    def state(self) -> _State:
        point, off_X = self.point, self.off[2]
        value = -float(np.sum(self.problem.base * point.X) + self.problem.start @ point.t)
        scale = max(abs(point.tau), np.finfo(float).tiny)
        left = _complementarity(point) / scale
        return _State(value, abs(point.tau - value) / scale, left, self.off_dual, float(np.abs(off_X).max()) / scale)


def _complementarity(point: Point) -> float:
    return float(np.sum(point.X * point.S) + point.z @ point.x + point.t @ point.s)


def _schur(system: _System) -> np.ndarray:
    """H (K + 1, K + 1), the last row and column belonging to tau."""
    problem, point, Y = system.problem, system.point, system.Y
    g, z = problem.program.g, problem.program.z
    p, r = (problem.p_plus, problem.p_minus), (problem.r_plus, problem.r_minus)
    count = len(point.x)
    H = np.empty((count + 1, count + 1))
    gX, zX, gY, zY = g.T @ point.X, z.T @ point.X, g.T @ Y, z.T @ Y
    block = _between(zX @ g, r, p)
    block *= _between(gY @ z, p, r)
    inner = block + block.T
    inner += np.multiply(_between(zX @ z, r, r), _between(gY @ g, p, p), out=block)
    inner += np.multiply(_between(gX @ g, p, p), _between(zY @ z, r, r), out=block)
    inner *= 0.25
    weighted = problem.incidence * np.sqrt(point.t / point.s)[:, None]
    inner += weighted.T @ weighted
    H[:-1, :-1] = inner
    middle = point.X @ problem.slope @ Y
    H[-1, :-1] = H[:-1, -1] = problem.products(middle + middle.T)[:-1] / 2 + problem.incidence.T @ (
        point.t / point.s * problem.rate
    )
    H[-1, -1] = np.sum(problem.slope * middle) + np.sum(point.t / point.s * problem.rate**2)
    diagonal = np.einsum("ii->i", H)
    diagonal[:-1] += point.z / point.x
    return H


def _between(nodes: np.ndarray, rows: tuple[np.ndarray, ...], columns: tuple[np.ndarray, ...]) -> np.ndarray:
    """Entries of a matrix over nodes at differences of nodes, for all pairs of multipliers: (K, K)."""
    part = nodes[rows[0]]
    if rows[1].any():
        part = part - nodes[rows[1]]
    out = np.take(part, columns[0], axis=1)
    if columns[1].any():
        out -= np.take(part, columns[1], axis=1)
    return out


def _factorised(H: np.ndarray) -> np.ndarray:
    scale = np.abs(np.diag(H)).copy()
    for ridge in (0.0, 1e-15, 1e-13, 1e-11):
        factor, failed = dpotrf(H + np.diag(ridge * scale) if ridge else H, lower=1)
        if not failed:
            return factor
    raise LinAlgError("Newton's equations are singular to rounding")


def _solved(factor: np.ndarray, right: np.ndarray) -> np.ndarray:
    """What L L^T takes to `right`, L being the lower triangle of `factor`."""
    return dpotrs(factor, right, lower=1)[0]


def _step(system: _System) -> Point:
    H = _schur(system)
    factor = _factorised(H)
    ahead = _direction(system, H, factor, 0.0, None)
    reach, reach_X = _reach(system, ahead)
    trial = _moved(system.point, ahead, min(1.0, reach), min(1.0, reach_X))
    ratio = max(_complementarity(trial), 0.0) / _complementarity(system.point)
    sigma = min(1.0, max(1e-6 if system.off_dual < EXACT else CAUTIOUS, ratio**3))
    chosen = _direction(system, H, factor, sigma * system.nu, ahead)
    reach, reach_X = _reach(system, chosen)
    margin = 0.9 + 0.09 * min(reach, reach_X, 1.0)
    size, size_X = min(1.0, margin * reach), min(1.0, margin * reach_X)
    if max(size, size_X) < SHORTEST_STEP:
        raise LinAlgError("no step is left to take")
    return _moved(system.point, chosen, size, size_X)


@dataclass(frozen=True, eq=False)
class _Direction:
    x: np.ndarray
    tau: float
    S: np.ndarray
    s: np.ndarray
    X: np.ndarray
    z: np.ndarray
    t: np.ndarray


def _direction(
    system: _System, H: np.ndarray, factor: np.ndarray, target: float, ahead: _Direction | None
) -> _Direction:
    """Newton's direction towards complementarity `target`, corrected to second order by the direction `ahead`."""
    problem, point, Y = system.problem, system.point, system.Y
    off_S, off_s, off_X = system.off
    R, z, t = target * Y - point.X, target / point.x - point.z, target / point.s - point.t
    if ahead is not None:
        R = R - _sym(ahead.X @ ahead.S @ Y)
        z, t = z - ahead.z * ahead.x / point.x, t - ahead.t * ahead.s / point.s
    right = problem.products(R - _sym(point.X @ off_S @ Y)) - off_X
    weight = t - point.t / point.s * off_s
    right[:-1] += z + problem.incidence.T @ weight
    right[-1] += problem.rate @ weight
    u = _solved(factor, right)
    u += _solved(factor, right - H @ u)
    dx, dtau = u[:-1], float(u[-1])
    dS = problem.matrix(dx, dtau) + off_S
    ds = problem.incidence @ dx + dtau * problem.rate + off_s
    dX = R - _sym(point.X @ dS @ Y)
    return _Direction(dx, dtau, dS, ds, dX, z - point.z / point.x * dx, t - point.t / point.s * ds)


def _sym(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.T) / 2


def _reach(system: _System, direction: _Direction) -> tuple[float, float]:
    """How far one can go before a multiplier or S, and before a slack or X, leaves its cone."""
    point, (factor, factor_X) = system.point, system.factors
    dual = min(_to_zero(point.x, direction.x), _to_zero(point.s, direction.s), _to_edge(factor, direction.S))
    gram = min(_to_zero(point.z, direction.z), _to_zero(point.t, direction.t), _to_edge(factor_X, direction.X))
    return dual, gram


def _to_zero(value: np.ndarray, change: np.ndarray) -> float:
    falling = change < 0
    return float(np.min(-value[falling] / change[falling], initial=np.inf))


def _to_edge(factor: np.ndarray, change: np.ndarray) -> float:
    half = dtrtrs(factor, change, lower=1)[0]
    least = float(np.linalg.eigvalsh(_sym(dtrtrs(factor, half.T, lower=1)[0]))[0])
    return -1 / least if least < 0 else np.inf


def _moved(point: Point, by: _Direction, size: float, size_X: float) -> Point:
    return Point(
        point.x + size * by.x,
        point.tau + size * by.tau,
        _sym(point.S + size * by.S),
        point.s + size * by.s,
        _sym(point.X + size_X * by.X),
        point.z + size_X * by.z,
        point.t + size_X * by.t,
    )
