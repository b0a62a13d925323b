"""The semidefinite program whose solutions are certificates, as Clarabel takes it: sparse, built directly.

    minimise eps  over lam (pairs of iterates), gam (all pairs (i, j) with j an iterate), eps
    subject to    the flows (a) and (b) of `verify`,
                  lam >= 0,  lam + Delta gam >= 0,  gam >= 0 in the row of x*,
                  [[S + t eps, m(gam)^T], [m(gam), M(lam)]] >= 0  and the same with M(lam + Delta gam).

eps is left free: it cannot fall below 0, and asking for that as well would leave the program without interior, where an
interior-point solver loses its last digits. The unknowns are lam and gam, not lam and lam + Delta gam, whose
difference over a small Delta would be m(gam). Size: 2 t^2 + 4 t unknowns, two matrices of order t + 2; the solver's
linear systems make it 0.1 s for t = 15, 1.5 s for t = 31, and minutes for t = 63.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class Program:
    """The program for the steps (t,), float64, and one Delta. Points: 0 is x*, k + 1 is x_k."""

    steps: np.ndarray
    Delta: float

    @property
    def n(self) -> int:
        """The number of points, t + 2."""
        return len(self.steps) + 2

    @cached_property
    def pairs(self) -> np.ndarray:
        """The pairs (i, j), i != j, with j an iterate (p, 2); those with i = x* come first."""
        i, j = np.indices((self.n, self.n)).reshape(2, -1)
        return np.stack([i, j], axis=1)[(j > 0) & (i != j)]

    @property
    def inner(self) -> int:
        """How many pairs are of iterates: they are the last ones."""
        return len(self.pairs) - (self.n - 1)

    @cached_property
    def forms(self) -> sparse.csr_matrix:
        """The map from multipliers of the pairs to svec Z, (n (n + 1) / 2, p)."""
        return forms(self.steps, self.pairs)

    @cached_property
    def flow(self) -> sparse.csr_matrix:
        """The map from multipliers of the pairs to the flows of the iterates, (n - 1, p)."""
        return flow(self.n, self.pairs)

    def data(self) -> tuple[sparse.csc_matrix, np.ndarray, np.ndarray, tuple[int, int]]:
        """A, b, q of: minimise q x, b - A x in (zero, non-negative, two semidefinite) cones; the first two' sizes."""
        t, p, inner = len(self.steps), len(self.pairs), self.inner
        star = p - inner
        lam = sparse.vstack([sparse.csr_matrix((star, inner)), sparse.identity(inner)]).tocsr()  # lam among all pairs
        everything = sparse.identity(p, format="csr")
        wanted = np.zeros(2 * (t + 1))
        wanted[0], wanted[t], wanted[t + 1] = -1.0, wanted[t] + 1.0, 2 * self.steps.sum()
        equal = sparse.block_array([[self.flow @ lam, None, None], [None, self.flow, sparse.csr_matrix((t + 1, 1))]])
        positive = sparse.block_array(
            [
                [sparse.identity(inner), None, None],
                [sparse.identity(inner), self.Delta * everything[star:], None],
                [None, everything[:star], sparse.csr_matrix((star, 1))],
            ]
        )
        first, rest = _parts(self.n)
        m, M = first @ self.forms, rest @ self.forms
        corner = sparse.csr_matrix(([float(t)], ([0], [0])), shape=(M.shape[0], 1))
        blocks = [sparse.hstack([M @ lam, m + scale * M, corner]) for scale in (0.0, self.Delta)]
        constant = np.zeros(M.shape[0])
        constant[0] = self.steps.sum()
        A = sparse.vstack([equal, -positive, *(-block for block in blocks)]).tocsc()
        b = np.concatenate([wanted, np.zeros(positive.shape[0]), constant, constant])
        q = np.zeros(A.shape[1])
        q[-1] = 1.0
        return A, b, q, (equal.shape[0], positive.shape[0])


def forms(steps: np.ndarray, pairs: np.ndarray) -> sparse.csr_matrix:
    """The map from multipliers of `pairs` (p, 2) to the upper triangle of Z by columns, off-diagonals times sqrt 2.

    Column k has sym(e_j (x_i - x_j)^T) + (e_i - e_j)(e_i - e_j)^T / 2, as in `conditions`.
    """
    n, p = len(steps) + 2, len(pairs)
    X = np.triu(np.broadcast_to(-np.concatenate([[0.0], steps, [0.0]])[:, None], (n, n)), 1)
    X[0, 1:], X[:, 0] = 1.0, 0.0
    i, j = pairs.T
    difference = np.where(j > 0, X[:, i] - X[:, j], 0.0)  # (n, p)
    row, k = np.nonzero(difference)
    every, real = np.arange(p), i > 0
    both = real & (j > 0)
    a = np.concatenate([row, i[real], j[j > 0], i[both]])
    b = np.concatenate([j[k], i[real], j[j > 0], j[both]])
    columns = np.concatenate([k, every[real], every[j > 0], every[both]])
    halves = np.full(real.sum() + (j > 0).sum(), 0.5)
    values = np.concatenate([difference[row, k], halves, np.full(both.sum(), -1.0)])
    values = np.where(a == b, values, values / np.sqrt(2))  # v / 2 in either triangle, times sqrt 2
    low, high = np.minimum(a, b), np.maximum(a, b)
    return sparse.csr_matrix((values, (high * (high + 1) // 2 + low, columns)), shape=(n * (n + 1) // 2, p))


def flow(n: int, pairs: np.ndarray) -> sparse.csr_matrix:
    """The map from multipliers of `pairs` to what flows into each iterate less what flows out, (n - 1, p)."""
    i, j = pairs.T
    k = np.arange(len(pairs))
    into = sparse.csr_matrix((np.ones((j > 0).sum()), (j[j > 0] - 1, k[j > 0])), shape=(n - 1, len(pairs)))
    out = sparse.csr_matrix((np.ones((i > 0).sum()), (i[i > 0] - 1, k[i > 0])), shape=(n - 1, len(pairs)))
    return into - out


def _parts(n: int) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Projections of svec Z onto m = Z[0, 1:] and onto M = Z[1:, 1:], each left at its place."""
    column = np.repeat(np.arange(n), np.arange(1, n + 1))
    row = np.concatenate([np.arange(b + 1) for b in range(n)])
    kept = [((row == 0) & (column > 0)).astype(float), (row > 0).astype(float)]
    places = np.arange(len(row))
    first, rest = (sparse.csr_matrix((values, (places, places))) for values in kept)
    return first, rest
