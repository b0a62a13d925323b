"""The program with its flows eliminated: no equalities are left, and every multiplier enters by a matrix of rank two.

The flow equations of (2) in `program` fix one multiplier a node. Take those from *, lam_*j = v_j - tau w_j - in_j +
out_j with in and out summed over the others; then a unit of lam_ij brings one of (*, i) and takes one of (*, j), and

    A_ij + A_*i - A_*j = sym((g_j - g_i) z_i^T),        z_i = x_i - c g_i,    sym(M) = (M + M^T)/2

of rank two where A_ij has three. Where there is no (*, j), those to * are taken, and A_ij + A_j* - A_i* =
sym(g_j (z_i - z_j)^T). Either way (2) becomes, over u = (x, tau), x the free multipliers,

    least tau  with  S(u) = S_0 + tau T_1 + sum_k x_k sym(p_k r_k^T) >= 0,    x >= 0,    s(u) = s_0 + B x + tau b >= 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lemmata.descent.worst_case.program import Program


@dataclass(frozen=True, eq=False)
class Eliminated:
    """The program on K free multipliers, `source` and `target` (K,) their nodes; see the module's formulas.

    p_k = g[:, p_plus] - g[:, p_minus] and r_k = z[:, r_plus] - z[:, r_minus], indices of nodes, of which * has zeros.
    """

    program: Program
    source: np.ndarray
    target: np.ndarray
    p_plus: np.ndarray
    p_minus: np.ndarray
    r_plus: np.ndarray
    r_minus: np.ndarray
    base: np.ndarray
    slope: np.ndarray
    incidence: np.ndarray
    start: np.ndarray
    rate: np.ndarray

    @classmethod
    def of(cls, program: Program, mask: np.ndarray) -> Eliminated:
        """Eliminate on the pairs of a mask (N + 2, N + 2); the eliminated ones are always there."""
        nodes = program.steps + 2
        free = mask & program.admissible()
        free[0] = False
        if not program.anchored:
            free[:, 0] = False
        source, target = np.nonzero(free)
        null, sign = np.zeros_like(source), -1.0 if program.anchored else 1.0
        flow = np.zeros((nodes, len(source)))
        flow[target, np.arange(len(source))] = 1
        flow[source, np.arange(len(source))] -= 1
        start, rate = -sign * program.v, sign * program.w
        base = program.certificate(0.0, _at_star(program, start))
        slope = program.certificate(1.0, _at_star(program, rate)) + program.C
        chosen = (target, source, source, null) if program.anchored else (target, null, source, target)
        return cls(program, source, target, *chosen, base, slope, sign * flow[1:], start, rate)

    def matrix(self, x: np.ndarray, tau: float) -> np.ndarray:
        """S less S_0: tau T_1 + sum_k x_k sym(p_k r_k^T), (n, n)."""
        nodes = self.program.steps + 2
        weight = np.zeros(nodes * nodes)
        for p, r, sign in self._corners:
            weight += sign * np.bincount(p * nodes + r, x, nodes * nodes)
        S = self.program.g @ weight.reshape(nodes, nodes) @ self.program.z.T
        return tau * self.slope + (S + S.T) / 2

    def products(self, X: np.ndarray) -> np.ndarray:
        """<sym(p_k r_k^T), X> for all k and <T_1, X>: (K + 1,)."""
        between = self.program.g.T @ X @ self.program.z
        each = sum((sign * between[p, r] for p, r, sign in self._corners), np.zeros(len(self.source)))
        return np.append(each, np.sum(self.slope * X))

    def eliminated(self, x: np.ndarray, tau: float) -> np.ndarray:
        """s(u) (N + 1,): the multipliers from * (or to it)."""
        return self.start + self.incidence @ x + tau * self.rate

    def multipliers(self, x: np.ndarray, tau: float) -> np.ndarray:
        """All multipliers (N + 2, N + 2), zero where there is none."""
        lam = _at_star(self.program, self.eliminated(x, tau))
        lam[self.source, self.target] = x
        return lam

    def values(self, X: np.ndarray, slack: np.ndarray) -> np.ndarray:
        """The f (N + 1,) at which the inequalities of the eliminated multipliers have the slacks given."""
        g, x, c = self.program.g[:, 1:], self.program.x[:, 1:], self.program.c
        square = c / 2 * np.einsum("aj,ab,bj->j", g, X, g)
        if self.program.anchored:
            return np.einsum("aj,ab,bj->j", g, X, x) - square - slack
        return square + slack

    @cached_property
    def _corners(self) -> list[tuple[np.ndarray, np.ndarray, float]]:
        ends = [(self.p_plus, 1.0), (self.p_minus, -1.0)], [(self.r_plus, 1.0), (self.r_minus, -1.0)]
        return [(p, r, a * b) for p, a in ends[0] for r, b in ends[1] if p.any() and r.any()]


def _at_star(program: Program, values: np.ndarray) -> np.ndarray:
    """Multipliers that are `values` from * (or to it) and zero elsewhere."""
    lam = np.zeros((program.steps + 2, program.steps + 2))
    if program.anchored:
        lam[0, 1:] = values
    else:
        lam[1:, 0] = values
    return lam
