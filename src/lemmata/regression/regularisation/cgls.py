"""Conjugate gradients for min |A x - b|^2 + lam |L x|^2 by products with A, A', L, L' only (CGLS), step by step.

The normal equations are never formed: the residual r = b - A x is carried along, and s = A' r - lam L' L x is computed
from it at every step, so that no accuracy is lost to the squared condition number (Hestenes and Stiefel, 1952; Bjorck,
Elfving and Strakos, 1998). From x = 0, for every column of b at once, each with steps of its own.

    |x_k - x*|_E <= 2 ((sqrt c - 1) / (sqrt c + 1))^k |x*|_E,   E = A'A + lam L'L,  c its condition number

Cost: a product with each of A, A', L, L' a step. Where rounding has cost the gradients their orthogonality, convergence
is delayed, not spoiled; but at which step something happens then hangs on rounding. `reorthogonalise` takes from every
gradient its parts along the earlier ones, twice, for 4 n k operations more at step k and their memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.linalg.operator import LinearOperator
from lemmata.regression.regularisation.linear_system import require_tensor


class Step(NamedTuple):
    """After a step: x (n, k), r = b - A x (m, k), the squared norm of the gradient s (k,), and alpha, beta (k,).

    alpha is the length of the step that led here, beta the weight of the old direction in the next.
    """

    x: Tensor
    r: Tensor
    gradient2: Tensor
    alpha: Tensor
    beta: Tensor


def operator(A: Tensor | LinearOperator, name: str = "A") -> LinearOperator:
    """A as an operator with an adjoint, or a refusal."""
    if not isinstance(A, LinearOperator):
        require_tensor(A, name)
    found = A if isinstance(A, LinearOperator) else LinearOperator.of(A)
    if found.adjoint is None:
        raise InvalidInput(f"{name} has no adjoint; construct the operator with adjoint=...")
    return found


def steps(
    A: LinearOperator, b: Tensor, *, lam: float = 0.0, L: LinearOperator | None = None, reorthogonalise: bool = False
) -> Iterator[Step]:  # fmt: skip
    """The iterates of b (m, k), from x = 0, for ever: a column that is solved exactly stands still.

    Raises `InvalidInput` at a direction that A and L both annihilate.

    >>> A = LinearOperator.of(torch.diag(torch.tensor([2.0, 1.0])))
    >>> iterates = steps(A, torch.tensor([[2.0], [3.0]]))
    >>> _ = next(iterates)
    >>> next(iterates).x.T
    tensor([[1., 3.]])
    """
    x, r = b.new_zeros(A.shape[1], b.shape[1]), b.clone()
    s = A.T @ r
    p, gamma = s, s.square().sum(0)
    before_now = [_unit(s)] if reorthogonalise else []
    while True:
        q = A @ p
        energy = q.square().sum(0)
        if lam:
            Lp = p if L is None else L @ p
            energy = energy + lam * Lp.square().sum(0)
        moving = gamma > 0
        if (moving & ~(energy > 0)).any():
            raise InvalidInput("A and L annihilate a common direction, so that x is not determined; add rows to L")
        alpha = torch.where(moving, gamma / torch.where(moving, energy, 1), 0)
        x, r = x + alpha * p, r - alpha * q
        s = A.T @ r
        if lam:
            s = s - lam * (x if L is None else L.T @ (L @ x))
        if reorthogonalise:
            s = _without(s, before_now)
            before_now.append(_unit(s))
        before, gamma = gamma, s.square().sum(0)
        beta = torch.where(moving, gamma / torch.where(moving, before, 1), 0)
        p = s + beta * p
        yield Step(x, r, gamma, alpha, beta)


def _unit(s: Tensor) -> Tensor:
    """The columns at length 1; a zero column stays."""
    length = s.norm(dim=0)
    return s / torch.where(length > 0, length, 1)


def _without(s: Tensor, earlier: list[Tensor]) -> Tensor:
    """The columns less their parts along the earlier unit vectors, column by column; once is not enough."""
    basis = torch.stack(earlier)
    for _ in range(2):
        s = s - torch.einsum("jnk,jk->nk", basis, torch.einsum("jnk,nk->jk", basis, s))
    return s
