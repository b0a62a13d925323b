"""Alignment of a kernel with targets: the cosine between K and the kernel that knows the answer, y y^T.

    A(K, y) = <K, y y^T>_F / (|K|_F |y y^T|_F),    centred: with C K C and C y, C = I - 1 1^T / n

Sources: Cristianini, Shawe-Taylor, Elisseeff, Kandola (2001), definition 1; Cortes, Mohri, Rostamizadeh (2012),
Algorithms for learning kernels based on centered alignment, who show why to centre: a kernel with a large mean looks
aligned with unbalanced classes, or not, for no reason of its own. Cost: some n^2 flops, and 2 k n^2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.kernels.kernel_matrix import KernelMatrix
from lemmata.kernels.regression.entries import Entries
from lemmata.kernels.regression.kernel_ridge import require_targets
from lemmata.kernels.regression.ridge_path import whole


def target_alignment(kernel: KernelMatrix | Tensor, y: Tensor, *, centred: bool = True) -> float:
    """Between 0 and 1 for a positive semidefinite kernel matrix (n, n) and targets (n,) or (n, k).

    In float64. Raises `InvalidInput` for shapes that do not go together, values that are not finite, and where K or y
    is zero (after centring: constant).

    >>> target_alignment(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([1.0, -1.0]))
    1.0
    >>> round(target_alignment(torch.eye(2), torch.tensor([1.0, -1.0]), centred=False), 4)
    0.7071
    """
    entries = Entries(kernel, None)
    targets = require_targets(y, entries.n).to(entries.device).double()
    targets = targets[:, None] if targets.ndim == 1 else targets
    K = whole(entries)
    size, height = K.norm(), targets.norm()
    if centred:
        K = K - K.mean(0) - K.mean(1, keepdim=True) + K.mean()
        targets = targets - targets.mean(0)
    u = entries.n * torch.finfo(torch.float64).eps
    if not (float(K.norm()) > u * float(size) and float(targets.norm()) > u * float(height)):
        what = "constant" if centred else "zero"
        raise InvalidInput(f"a kernel or targets that are {what} have no alignment")
    return float((K @ targets).mul_(targets).sum() / (K.norm() * (targets.mT @ targets).norm()))
