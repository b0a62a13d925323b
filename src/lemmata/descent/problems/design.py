"""The largest and smallest eigenvalue of X'X / n for a design X (n, d), from above and from below: proven, not guessed.

The largest is found by Lanczos to a residual. A residual proves an eigenvalue nearby, not that it is the largest; so a
Cholesky factorisation of (1 + delta) theta I - X'X/n follows, whose success proves that none is larger. Rounding:
with the shift c = 4 (n + d) eps trace, success in floating point implies positive definiteness (Rump, 2006).
Cost: some 20 products with X, and n d^2 + d^3/3 flops for the proof where min(n, d) <= `DENSE`; beyond, the largest is
bounded by the Frobenius norm, which is loose by up to min(n, d), unless `proven` is switched off.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.linalg.lanczos import eigenpairs
from lemmata.linalg.operator import LinearOperator

DENSE = 4096  # rows of a Gram matrix that is formed: 134 MB in float64
MARGIN = 1e-9  # relative: what the bound may lie above the eigenvalue


def checked(x: Tensor, *, what: str) -> Tensor:
    """The design as a matrix of floats (n, d): images are flattened, float64 unless it is floating already."""
    require_tensor(x, what=f"{what}: x")
    if x.ndim < 2 or not x.numel():
        raise InvalidInput(f"{what}: x of shape {tuple(x.shape)} is no set of examples; give (n, d), neither zero")
    x = x.flatten(1)
    x = x if x.is_floating_point() else x.double()
    if not x.isfinite().all():
        raise InvalidInput(f"{what}: x holds NaN or infinity; remove or replace those examples")
    if not x.any():
        raise InvalidInput(f"{what}: x is zero everywhere, and the function constant")
    return x


def require_tensor(value: Any, *, what: str) -> None:
    """Refuse what is no tensor, as arrays and lists are not."""
    if not isinstance(value, Tensor):
        raise InvalidInput(f"{what} is a {type(value).__name__}; give a tensor, torch.as_tensor(...)")


def largest_eigenvalue(X: Tensor, *, seed: int | torch.Generator = 0) -> float:
    """A proven upper bound of the largest eigenvalue of X'X / n, within 1e-9 of it where min(n, d) <= `DENSE`.

    X is (n, d). The start of the iteration is random; the bound holds whatever it was. Raises `NotConverged` where
    even the iteration does not find an eigenvalue.

    >>> largest_eigenvalue(torch.diag(torch.tensor([2.0, 1.0]).double())) - 2.0 < 1e-8
    True
    """
    n = len(X)
    if min(X.shape) > DENSE:
        return float(X.double().square().sum()) / n
    A = gram(X)
    theta = float(eigenpairs(LinearOperator.of(A), 1, tolerance=1e-11, seed=seed).values[0]) if len(A) > 1 else A.item()
    return bound_near(A, theta, rows=sum(X.shape))


def bound_near(A: Tensor, theta: float, *, rows: int) -> float:
    """The least of theta (1 + m), m = 1e-9, 2e-9, 4e-9, ..., that is proven to lie below no eigenvalue of A (p, p).

    A is the Gram matrix of a design with `rows` rows and columns, whose sums it was computed by.

    >>> A = torch.diag(torch.tensor([1.0, 2.0]).double())
    >>> round(bound_near(A, 1.0, rows=4), 1)  # from a guess that is no bound
    2.1
    """
    rounding = 4 * rows * torch.finfo(A.dtype).eps * float(A.trace()) / theta
    margin = max(MARGIN, 2 * rounding)
    while not _proven(A, theta * (1 + margin - rounding)):
        margin *= 2  # an eigenvalue that the iteration missed
    return theta * (1 + margin)


def smallest_eigenvalue(X: Tensor) -> float:
    """The smallest eigenvalue of X'X / n less its rounding error, at least 0; 0 where n < d.

    X is (n, d) with d <= `DENSE`; O(n d^2 + d^3).

    >>> round(smallest_eigenvalue(torch.diag(torch.tensor([2.0, 1.0]).double())), 9)
    0.5
    """
    n, d = X.shape
    if n < d or d > DENSE:
        return 0.0
    values = torch.linalg.eigvalsh(gram(X))
    return max(0.0, float(values[0]) - 4 * (n + d) * torch.finfo(values.dtype).eps * float(values[-1]))


def gram(X: Tensor) -> Tensor:
    """X'X / n or, where it is the smaller one, X X' / n, which has the same nonzero eigenvalues; float64.

    Symmetric to the last bit, which a product is on some processors only.
    """
    n, X = len(X), X.double()
    A = X.T @ X if X.shape[1] <= n else X @ X.T
    return (A + A.T) / (2 * n)


def _proven(A: Tensor, bound: float) -> bool:
    shifted = bound * torch.eye(len(A), dtype=A.dtype, device=A.device) - A
    return int(torch.linalg.cholesky_ex(shifted).info) == 0
