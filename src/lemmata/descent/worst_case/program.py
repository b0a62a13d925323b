"""The semidefinite program whose value is the worst case of a method with fixed steps.

Over all f that are mu-strongly convex with L-Lipschitz gradient, the points, gradients and values (x_i, g_i, f_i)
that a run can meet are known exactly: those with, for every two nodes i and j of {*, 0, ..., N},

    f_i >= f_j + <g_j, x_i - x_j> + (c/2) |g_i - g_j|^2,       c = 1/(1 - mu/L)                                (1)

in units where L = 1, and after mu/2 |x - x*|^2 has been taken from f, so that f is convex and (L - mu)-smooth
(Taylor, Hendrickx, Glineur, 2017, theorem 4). x_k is linear in x_0 - x* and the gradients, and (1) is linear in their
Gram matrix G and in the values, whence the worst case is a semidefinite program. Its dual, which bounds the method, is

    least tau  with  S = tau T - C + sum lam_ij A_ij >= 0,  lam >= 0,  sum_i lam_ij - sum_i lam_ji + tau w_j = v_j   (2)

where <A_ij, G> + f_j - f_i is (1), <C, G> + v.f what is asked for, and <T, G> + w.f what is given. Each lam_ij is the
weight with which an inequality enters a proof of the bound tau.

Coordinates: 0 is x_0 - x*, and 1 + j is g_j. Where f_0 - f* is given and mu = 0, nothing bounds |x_0 - x*|, and the
coordinate falls away with all inequalities (*, j). Nodes are counted from * at 0: node 1 + k is x_k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lemmata.descent.method import Given, Measure


@dataclass(frozen=True, eq=False)
class Program:
    """Problem (2) for N steps in n coordinates, in units of L = 1; `kappa` is mu/L.

    `x` and `g` (n, N + 2) hold the nodes' points and gradients in coordinates, those of * being zero. `C`, `T` (n, n)
    and `v`, `w` (N + 1,) say what is asked for and what is given. `anchored` tells whether x_0 - x* is a coordinate.

    >>> program = Program.of(np.array([[1.5]]), kappa=0.0, of="gap", given="distance")
    >>> program.x.T.tolist()                                   # *, x_0 and x_1 = x_0 - 1.5 g_0
    [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, -1.5, 0.0]]
    """

    H: np.ndarray
    kappa: float
    measure: Measure
    given: Given
    x: np.ndarray
    g: np.ndarray
    C: np.ndarray
    T: np.ndarray
    v: np.ndarray
    w: np.ndarray

    @classmethod
    def of(cls, H: np.ndarray, *, kappa: float, of: Measure, given: Given) -> Program:
        """State the program for the matrix H (N, N) of a method, lower triangular."""
        steps, anchored = len(H), given == "distance" or kappa > 0
        x, g = coordinates(H, kappa)
        gradient = g[:, -1] + kappa * x[:, -1]
        first, last = np.eye(steps + 1)[0], np.eye(steps + 1)[-1]
        C = kappa / 2 * np.outer(x[:, -1], x[:, -1]) if of == "gap" else np.outer(gradient, gradient)
        T = np.zeros_like(C)
        T[0, 0] = 1.0 if given == "distance" else kappa / 2
        v = last if of == "gap" else np.zeros(steps + 1)
        w = first if given == "gap" else np.zeros(steps + 1)
        if not anchored:
            x, g, C, T = x[1:], g[1:], C[1:, 1:], T[1:, 1:]
        return cls(H, kappa, of, given, x, g, C, T, v, w)

    @property
    def anchored(self) -> bool:
        """Whether x_0 - x* is a coordinate: not where f_0 - f* is given and mu = 0."""
        return self.given == "distance" or self.kappa > 0

    @property
    def steps(self) -> int:
        """N."""
        return len(self.H)

    @property
    def c(self) -> float:
        """1/(1 - mu/L)."""
        return 1 / (1 - self.kappa)

    @property
    def z(self) -> np.ndarray:
        """X - c g (n, N + 2), by which (1) is f_i - c/2 |g_i|^2 >= f_j - c/2 |g_j|^2 + <g_j, z_i - z_j>."""
        return self.x - self.c * self.g

    def admissible(self) -> np.ndarray:
        """Which ordered pairs of nodes have an inequality (N + 2, N + 2)."""
        pairs = ~np.eye(self.steps + 2, dtype=bool)
        if not self.anchored:
            pairs[0] = False
        return pairs

    def slacks(self, gram: np.ndarray, f: np.ndarray) -> np.ndarray:
        """Left side less right side of (1) for a Gram matrix (n, n) and values f (N + 1,): (N + 2, N + 2).

        They are the reduced costs of the multipliers; infinite for pairs without an inequality.
        """
        values = np.append(0.0, f)
        g_x, g_g = self.g.T @ gram @ self.x, self.g.T @ gram @ self.g
        square = np.diag(g_g)
        inner = g_x.T - np.diag(g_x)[None]
        distance = square[:, None] + square[None] - 2 * g_g
        slack = values[:, None] - values[None] - inner - self.c / 2 * distance
        return np.where(self.admissible(), slack, np.inf)

    def asked(self, gram: np.ndarray, f: np.ndarray) -> float:
        """What is asked for: <C, G> + v.f."""
        return float(np.sum(self.C * gram) + self.v @ f)

    def granted(self, gram: np.ndarray, f: np.ndarray) -> float:
        """What is given: <T, G> + w.f."""
        return float(np.sum(self.T * gram) + self.w @ f)

    def certificate(self, tau: float, multipliers: np.ndarray) -> np.ndarray:
        """S (n, n) of (2) for tau and multipliers (N + 2, N + 2)."""
        into, out = multipliers.sum(0), multipliers.sum(1)
        S = self.g @ (multipliers.T - np.diag(into)) @ self.x.T
        S += self.c / 2 * self.g @ (np.diag(into + out) - 2 * multipliers) @ self.g.T
        return tau * self.T - self.C + (S + S.T) / 2

    def imbalance(self, tau: float, multipliers: np.ndarray) -> np.ndarray:
        """How far the flow of multipliers is from what (2) asks for, node by node: (N + 1,)."""
        return (multipliers.sum(0) - multipliers.sum(1))[1:] + tau * self.w - self.v


def coordinates(H: np.ndarray, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    """The nodes' points and gradients (N + 2, N + 2) each, a column a node, in x_0 - x* and the gradients.

    With mu = kappa the gradient that the method sees is g_j + kappa x_j, x_j counted from x*.
    """
    steps = len(H)
    x, g = np.zeros((steps + 2, steps + 2), H.dtype), np.eye(steps + 2, dtype=H.dtype)
    g[0, 0] = 0
    x[0, 1] = 1
    seen = np.zeros((steps + 2, steps), H.dtype)
    for k in range(steps):
        seen[:, k] = g[:, 1 + k] + kappa * x[:, 1 + k]
        x[:, 2 + k] = x[:, 1] - seen[:, : k + 1] @ H[k, : k + 1]
    return x, g
