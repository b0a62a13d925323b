"""The output weights as a linear least-squares problem, and what is left of a vector beside their columns.

    min_W  1/(2n) |Z W - Y|^2 + ridge/2 |W|^2,     S W = Z' Y / n,     S = Z' Z / n + ridge I = L L'

Z = [H 1] is (n, M). S is factorised by Cholesky and W refined once with the residual of Z W itself (the corrected
seminormal equations: as accurate as a QR factorisation while eps cond(S) is below 1, for half its operations; Bjorck,
1996, Numerical Methods for Least Squares Problems, section 6.6.5). Where S is singular to rounding the solution of
least norm is taken from its eigenvectors.

Cost: 2 n M^2 operations for S, of which a symmetric product would take half; M^3/3; 8 n M k.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

EPS = torch.finfo(torch.float64).eps


@dataclass
class Projected:
    """The best weights for one Z, and the least-squares loss around them.

    `weights` (M, k); `value` is the minimum; `slope` (n, k) the derivative of the data term by the outputs Z W.
    """

    Z: Tensor
    weights: Tensor
    value: float
    slope: Tensor
    root: Tensor  # of the inverse of S: `root' root`, or L itself
    triangular: bool

    @property
    def constant(self) -> float:
        """The second derivative of the data term by any output: 1 / n."""
        return 1 / len(self.Z)

    def bend(self, T: Tensor, rows: slice = slice(None)) -> Tensor:
        """The second derivative of the data term by the outputs of these samples, applied to T (rows, k[, q])."""
        return T / len(self.Z)

    def whiten(self, C: Tensor) -> Tensor:
        """B with B' B = C' S^-1 C for C (M, k, q): (rank k, q)."""
        flat = C.flatten(1)
        B = torch.linalg.solve_triangular(self.root, flat, upper=False) if self.triangular else self.root @ flat
        return B.reshape(-1, C.shape[2])

    def solve(self, C: Tensor) -> Tensor:
        """S^-1 C for C (M, k)."""
        return _solve(self.root, self.triangular, C)


@dataclass(frozen=True)
class LeastSquares:
    """The inner problem of targets Y (n, k) and a ridge on the weights."""

    y: Tensor
    ridge: float
    direct: ClassVar[bool] = True  # solved without a start

    @property
    def outputs(self) -> int:
        """The number k of outputs."""
        return self.y.shape[1]

    def best(self, Z: Tensor) -> Projected:
        """Solve for the weights."""
        n = len(Z)
        S = Z.T @ Z / n
        S.diagonal().add_(self.ridge)
        root, triangular = _root(S)
        W = _solve(root, triangular, Z.T @ self.y / n)
        residual = self.y - Z @ W
        W = W + _solve(root, triangular, Z.T @ residual / n - self.ridge * W)
        residual = Z @ W - self.y
        value = float(residual.square().sum() / (2 * n) + self.ridge / 2 * W.square().sum())
        return Projected(Z, W, value, residual / n, root, triangular)

    def loss(self, Z: Tensor, W: Tensor) -> tuple[float, Tensor]:
        """The data term at any weights, and its derivative by the outputs."""
        residual = Z @ W - self.y
        return float(residual.square().sum() / (2 * len(Z))), residual / len(Z)


def _root(S: Tensor) -> tuple[Tensor, bool]:
    """L of S = L L' where S is definite to rounding; else a root of its pseudo-inverse, (rank, M)."""
    L, failed = torch.linalg.cholesky_ex(S)
    if not failed:
        diagonal = L.diagonal()
        if float(diagonal.min() / diagonal.max()) ** 2 > len(S) * EPS:
            return L, True
    values, vectors = torch.linalg.eigh(S)
    kept = values > len(S) * EPS * values[-1]
    return (vectors[:, kept] * values[kept].rsqrt()).T, False


def _solve(root: Tensor, triangular: bool, C: Tensor) -> Tensor:
    return torch.cholesky_solve(C, root) if triangular else root.T @ (root @ C)
