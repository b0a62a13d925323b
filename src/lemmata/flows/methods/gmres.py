"""GMRES for many systems at once, each row its own (Saad and Schultz, 1986), restarted; no branch but on convergence.

    x_k minimises ||b - A x|| over the Krylov space of A, r = b - A x_0 after each restart.

Cost: KRYLOV + 1 products a restart, at most RESTARTS of them; memory KRYLOV + 1 vectors. Fails where A is far from the
identity in many directions; a system of which more than ROUGH of b is left is answered by NaN, as a short step that
solves nothing would pass for convergence.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lemmata.flows.state import known

KRYLOV, RESTARTS = 24, 10
ROUGH = 0.5  # power of the rounding: the share of b that may be left


def gmres(A: Callable[[Tensor], Tensor], b: Tensor) -> Tensor:
    """Give x with A x = b for rows b (systems, width), from 0, to some tens of roundings of b; NaN where it fails."""
    x, size, eps = torch.zeros_like(b), torch.linalg.vector_norm(b, dim=1), torch.finfo(b.dtype).eps
    enough = 30 * eps * size
    for _ in range(RESTARTS):
        residual = b - A(x)
        norm = torch.linalg.vector_norm(residual, dim=1)
        if known((norm <= enough).all()):
            return x
        x = x + _correction(A, residual, norm)
    solved = torch.linalg.vector_norm(b - A(x), dim=1) <= eps**ROUGH * size
    return torch.where(solved[:, None], x, torch.nan)


def _correction(A: Callable[[Tensor], Tensor], residual: Tensor, norm: Tensor) -> Tensor:
    """The best correction within one Krylov space, by Arnoldi's method with two Gram-Schmidt passes."""
    tiny = torch.finfo(residual.dtype).tiny
    basis, columns = [residual / norm.clamp_min(tiny)[:, None]], []
    dimension = min(KRYLOV, residual.shape[1])
    for _ in range(dimension):
        image, before = A(basis[-1]), torch.stack(basis, 1)
        size = torch.linalg.vector_norm(image, dim=1)
        first = torch.einsum("skw,sw->sk", before, image)
        image = image - torch.einsum("skw,sk->sw", before, first)
        second = torch.einsum("skw,sw->sk", before, image)
        image = image - torch.einsum("skw,sk->sw", before, second)
        left = torch.linalg.vector_norm(image, dim=1)
        left = torch.where(left > 10 * torch.finfo(left.dtype).eps * size, left, 0.0)  # below: the space is complete
        unit = torch.where((left > 0)[:, None], image / left.clamp_min(tiny)[:, None], 0.0)
        columns.append(torch.cat([first + second, left[:, None]], 1))
        basis.append(unit)
    hessenberg = torch.stack(
        [torch.nn.functional.pad(column, (0, dimension + 1 - column.shape[1])) for column in columns], 2
    )
    target = torch.zeros_like(hessenberg[:, :, 0]) + norm[:, None] * torch.eye(
        1, dimension + 1, dtype=norm.dtype, device=norm.device
    )
    eps = torch.finfo(norm.dtype).eps
    finite = hessenberg.nan_to_num(0.0, 0.0, 0.0)  # LAPACK takes no other; the rows concerned stay NaN by their basis
    coefficients = torch.linalg.pinv(finite, rtol=10 * eps) @ target[..., None]
    return torch.einsum("skw,sk->sw", torch.stack(basis[:-1], 1), coefficients[..., 0])
