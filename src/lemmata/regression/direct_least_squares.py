"""Least squares by factorisation: Cholesky of the normal equations (refined), QR, and the singular value decomposition.

Cholesky squares the condition number, which one or two steps of refinement with the residual computed from A give back
as long as it is below the inverse rounding unit (Bjorck, 1996, section 2.9.3). QR does not square it. Both need
independent columns, or a ridge; the singular value decomposition does not, and gives the solution of least norm.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.regression.linear_problem import LinearProblem

REFINEMENTS = 2


@dataclass(frozen=True)
class Direct:
    """A solution x (p, k) by factorisation; singular values where they were computed, and the flops counted."""

    x: Tensor
    method: str
    unique: bool
    flops: float
    singular_values: Tensor | None = None


def cholesky(problem: LinearProblem) -> Direct:
    """By the smaller of A^T A + ridge I and A A^T + ridge I, with refinement; m p^2 + p^3 / 3 flops for m >= p.

    A wide A without a ridge is interpolated with the least norm, x = A^T (A A^T)^-1 b. Raises `InvalidInput` where the
    matrix is not positive definite to rounding.

    >>> cholesky(LinearProblem.of(torch.eye(2), torch.ones(2), 1.0, None)).x.flatten()
    tensor([0.5000, 0.5000])
    """
    A, b, ridge = _matrix(problem), problem.b, problem.ridge
    m, p = A.shape
    small, large = sorted((m, p))
    flops = large * small**2 + small**3 / 3 + (1 + REFINEMENTS) * 4 * m * p * problem.k
    if m >= p:
        L, x = _factor(A.T @ A, ridge), b.new_zeros(p, problem.k)
        for _ in range(1 + REFINEMENTS):
            x = x + torch.cholesky_solve(problem.normal(x)[1], L)
        return Direct(x, "cholesky", True, flops)
    L, y = _factor(A @ A.T, ridge), torch.zeros_like(b)  # x = A^T y with (A A^T + ridge I) y = b
    for _ in range(1 + REFINEMENTS):
        y = y + torch.cholesky_solve(b - A @ (A.T @ y) - ridge * y, L)
    return Direct(A.T @ y, "cholesky", ridge > 0, flops)


def qr(problem: LinearProblem) -> Direct:
    """By Q R of A with sqrt(ridge) I under it; 2 (m + p) p^2 flops.

    Raises `InvalidInput` where a diagonal entry of R is rounding: dependent columns, or a wide A without a ridge.

    >>> qr(LinearProblem.of(torch.eye(2), torch.ones(2), 1.0, None)).x.flatten()
    tensor([0.5000, 0.5000])
    """
    A, b = _matrix(problem), problem.b
    m, p = A.shape
    if problem.ridge > 0:
        A = torch.cat([A, math.sqrt(problem.ridge) * torch.eye(p, dtype=A.dtype, device=A.device)])
        b = torch.cat([b, b.new_zeros(p, problem.k)])
    elif m < p:
        raise InvalidInput(f"A is {m} x {p}: {_MANY}")
    Q, R = torch.linalg.qr(A)
    pivots = R.diagonal().abs()
    if not float(pivots.min()) > len(A) * torch.finfo(A.dtype).eps * float(pivots.max()):
        raise InvalidInput(f"A has dependent columns to rounding in {A.dtype}: {_MANY}")
    x = torch.linalg.solve_triangular(R, Q.T @ b, upper=True)
    return Direct(x, "qr", True, 2.0 * len(A) * p**2)


def svd(problem: LinearProblem) -> Direct:
    """By the singular value decomposition: the solution of least norm; some 6 m p^2 + 20 p^3 flops for m >= p.

    Singular values below max(m, p) units in the last place of the largest count as zero.

    >>> svd(LinearProblem.of(torch.ones(1, 2), torch.ones(1), 0.0, None)).x.flatten()
    tensor([0.5000, 0.5000])
    """
    A = _matrix(problem)
    U, S, Vh = torch.linalg.svd(A, full_matrices=False)
    there = max(A.shape) * torch.finfo(A.dtype).eps * S.max() < S
    filtered = torch.where(there, S / (S.square() + problem.ridge), torch.zeros_like(S))
    x = Vh.T @ (filtered[:, None] * (U.T @ problem.b))
    unique = problem.ridge > 0 or int(there.sum()) == A.shape[1]
    small, large = sorted(A.shape)
    return Direct(x, "svd", unique, 6.0 * large * small**2 + 20.0 * small**3, S)


def _matrix(problem: LinearProblem) -> Tensor:
    """A as a dense matrix: what was given, or made by p products."""
    return problem.operator.dense() if problem.matrix is None else problem.matrix


def _factor(gram: Tensor, ridge: float) -> Tensor:
    """The Cholesky factor of gram + ridge I, or a refusal where it is singular to rounding."""
    gram.diagonal().add_(ridge)
    L, failed = torch.linalg.cholesky_ex(gram)
    least, most = (float(pivot) ** 2 for pivot in L.diagonal().aminmax())
    if int(failed) or not least > 4 * len(gram) * torch.finfo(gram.dtype).eps * most:
        raise InvalidInput(
            f"the {len(gram)} x {len(gram)} normal equations are singular to rounding in {gram.dtype}: {_MANY}"
        )
    return L


_MANY = "many x are minimisers, or nearly; give a ridge, or take method='svd' for the one of least norm"
DIRECT: dict[str, Callable[[LinearProblem], Direct]] = {"cholesky": cholesky, "qr": qr, "svd": svd}
