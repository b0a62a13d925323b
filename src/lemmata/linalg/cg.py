"""Conjugate gradients for A x = b, A symmetric and positive definite (Hestenes and Stiefel, 1952).

After k steps x_k minimises the energy |x - x*|_A over the Krylov space; the error falls at least like
2 ((sqrt(c) - 1) / (sqrt(c) + 1))^k, c the condition number. The answer carries a certificate: the residual
|b - A x| / |b| is computed afresh, not taken from the recursion, which drifts in floating point.
Cost: one product a step, and one for the certificate. Fails where A is not positive definite, which it says.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.linalg.operator import LinearOperator


@dataclass(frozen=True)
class Solution:
    """The solution x (n,), its relative residual |b - A x| / |b|, and the number of products with A."""

    x: Tensor
    residual: float
    products: int


def cg(
    A: LinearOperator | Tensor,
    b: Tensor,
    *,
    tolerance: float = 1e-8,
    max_iterations: int | None = None,
    preconditioner: Callable[[Tensor], Tensor] | None = None,
) -> Solution:
    """Solve A x = b to the relative residual `tolerance`, from x = 0.

    b is (n,). `preconditioner` applies an approximate inverse of A to a vector. `max_iterations` defaults to 10 n.
    Raises `NotConverged` with the best x, and `InvalidInput` where a direction of non-positive curvature shows that
    A is not positive definite. Nothing is random.

    >>> solution = cg(torch.diag(torch.tensor([1.0, 10.0])), torch.tensor([1.0, 1.0]))
    >>> solution.x
    tensor([1.0000, 0.1000])
    """
    operator = A if isinstance(A, LinearOperator) else LinearOperator.of(A)
    limit = 10 * len(b) if max_iterations is None else max_iterations
    scale = float(b.norm())
    if scale == 0:
        return Solution(torch.zeros_like(b), 0.0, 0)
    x, r, products = torch.zeros_like(b), b.clone(), 0
    z = r if preconditioner is None else preconditioner(r)
    p, rz = z.clone(), r @ z
    while products < limit and float(r.norm()) > 0.5 * tolerance * scale:
        Ap = operator @ p
        products += 1
        curvature = float(p @ Ap)
        if not curvature > 0:
            raise InvalidInput(
                f"conjugate gradients met curvature {curvature / float(p @ p):.3g} <= 0: the operator is not positive "
                "definite; add a multiple of the identity"
            )
        alpha = rz / curvature
        x = x + alpha * p
        r = r - alpha * Ap
        z = r if preconditioner is None else preconditioner(r)
        rz, before = r @ z, rz
        p = z + (rz / before) * p
    residual = float((b - operator @ x).norm()) / scale
    solution = Solution(x, residual, products + 1)
    if not residual <= tolerance:
        raise NotConverged(
            "conjugate gradients",
            best=solution,
            residual=residual,
            tolerance=tolerance,
            remedy="allow more iterations, a larger tolerance or float64",
        )
    return solution
