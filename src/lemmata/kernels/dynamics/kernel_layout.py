"""Kernels as matrices on flat vectors of outputs: one for all outputs, or one that couples them; of one or M networks.

    (n, m)          the same for every output, outputs independent (the infinite-width limit)
    (n, m, C, C)    entry [i, j, a, b] couples output a of sample i with output b of sample j (the empirical kernel)

and each with a leading axis of M networks, which the number of axes tells apart. Errors of n samples with C outputs are
(M, n, C): a shared kernel acts on them as they are, with C right-hand sides; a full one on (M, n C, 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_tensor

F64 = torch.float64


@dataclass(frozen=True)
class Layout:
    """How a kernel acts on outputs (M, n, C): `full` couples them; `members` says that M networks were given."""

    full: bool
    members: bool
    outputs: int

    def flat(self, outputs: Tensor) -> Tensor:
        """Lay outputs (M, n, C) out as the columns that the kernel acts on: (M, n, C), or (M, n C, 1)."""
        return outputs.reshape(len(outputs), -1, 1) if self.full else outputs

    def shaped(self, flat: Tensor) -> Tensor:
        """Read (..., N, k) as outputs (..., n, C)."""
        return flat.reshape(*flat.shape[:-2], -1, self.outputs)


def kernel_layout(kernel: Any, outputs: int) -> tuple[Tensor, Layout]:
    """Read a kernel (a tensor, or a result that has `values`) as float64 (M, N, N'), with its layout.

    Raises `InvalidInput` for other shapes, outputs that do not match, and NaN.

    >>> values, layout = kernel_layout(torch.eye(3), 2)
    >>> values.shape, layout.full
    (torch.Size([1, 3, 3]), False)
    >>> kernel_layout(torch.zeros(3, 4, 2, 2), 2)[0].shape
    torch.Size([1, 6, 8])
    """
    values = kernel if isinstance(kernel, Tensor) else getattr(kernel, "values", None)
    if not isinstance(values, Tensor) or values.ndim not in (2, 3, 4, 5) or not values.numel():
        what = tuple(values.shape) if isinstance(values, Tensor) else type(kernel).__name__
        raise InvalidInput(f"a kernel of shape {what}; it must be (n, m) or (n, m, C, C), or M of them")
    if not bool(require_tensor(values, "a kernel").isfinite().all()):
        raise InvalidInput("the kernel holds NaN or infinity; find the samples that cause it")
    full, members = values.ndim >= 4, values.ndim in (3, 5)
    values = values.to(F64) if members else values.to(F64)[None]
    if full:
        if values.shape[-2:] != (outputs, outputs):
            raise InvalidInput(
                f"a kernel that couples {tuple(values.shape[-2:])} outputs, but the targets have {outputs}"
            )
        rows, columns = values.shape[1] * outputs, values.shape[2] * outputs
        values = values.permute(0, 1, 3, 2, 4).reshape(len(values), rows, columns)
    return values, Layout(full, members, outputs)


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenvalues (M, N), largest first and never negative, exactly 0 where rounding hides them; vectors (M, N, N)."""

    values: Tensor
    vectors: Tensor


def psd_eigenpairs(kernel: Tensor, precision: torch.dtype) -> Eigenpairs:
    """Decompose a symmetric positive semidefinite kernel (M, N, N), known to the rounding of `precision`.

    Eigenvalues within 4 sqrt(N) eps of zero, relative to the largest, are set to zero, and so are negative ones down
    to N eps. Raises `InvalidInput` for a kernel that is not square, not symmetric, or has an eigenvalue below that.
    Cost: about 10 N^3 flops a network.

    >>> psd_eigenpairs(torch.diag(torch.tensor([0.0, 2.0], dtype=F64))[None], F64).values
    tensor([[2., 0.]], dtype=torch.float64)
    """
    if kernel.shape[1] != kernel.shape[2]:
        raise InvalidInput(f"a training kernel on {kernel.shape[1]} x {kernel.shape[2]} outputs; it must be square")
    eps = torch.finfo(precision).eps if precision.is_floating_point else torch.finfo(torch.float32).eps
    size = kernel.abs().amax((1, 2))
    off = (kernel - kernel.mT).abs().amax((1, 2))
    if bool((off > 100 * eps * size).any()):
        raise InvalidInput(f"the training kernel is not symmetric: K and K^T differ by {float(off.max()):.3g}")
    values, vectors = torch.linalg.eigh((kernel + kernel.mT) / 2)
    N, largest = kernel.shape[1], values[:, -1:].clamp(min=0)
    if bool((values < -N * eps * largest).any()) or not bool((largest > 0).all()):
        raise InvalidInput(
            f"the training kernel is not positive semidefinite: its eigenvalues run from {float(values.min()):.3g} to "
            f"{float(values.max()):.3g}; compute it in float64, or see what made it so"
        )
    kept = torch.where(values > 4 * N**0.5 * eps * largest, values, 0.0)
    return Eigenpairs(kept.flip(1), vectors.flip(2))
