"""The Gram matrix of a wide two-layer ReLU network of which only the first layer is trained.

    H_ij = E_w[x_i . x_j 1{w.x_i >= 0} 1{w.x_j >= 0}] = x_i . x_j (pi - theta_ij) / (2 pi),   w ~ N(0, I)

with theta_ij the angle between x_i and x_j: the tangent kernel of f(x) = sum_r a_r relu(w_r . x) / sqrt(m), a_r = +-1,
as m grows. It is positive definite if no two points are parallel. Two positive multiples of one point make it singular;
so do more than d pairs x, -x in d dimensions, since relu'(w.x) x - relu'(-w.x)(-x) = x almost surely, and only d such
constant features are independent.

theta is computed as 2 asin(|a - b| / 2) from unit vectors a, b, with |a - b| from products where it is large, and from
differences where it is small, so that nothing cancels: from arccos of a rounded cosine angles below 1e-8 are lost in
float64 (3e-4 in float32), and with them the smallest eigenvalues. Computed in float64, rounded once to the dtype of x.

Sources: Du, Zhai, Poczos, Singh (2019), arXiv:1810.02054, definition 3.1 and theorem 3.1; Arora, Du, Hu, Li, Wang
(2019), arXiv:1901.08584, equation 4; Cho, Saul (2009). Cost: n^2 d flops and n^2 arcsines.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_tensor
from lemmata.kernels.kernel_matrix import KernelMatrix
from lemmata.kernels.regression.elementary import squared_distances
from lemmata.kernels.regression.entries import blocks


def two_layer_gram(x: Tensor, z: Tensor | None = None) -> KernelMatrix:
    """H between x (n, d) and z (m, d), or x itself: values (n, m) in the dtype of x. Nothing is random.

    Points need not be normalised (the papers' are). Raises `InvalidInput` for points that are not finite or zero, which
    have no angle, and for shapes that do not go together.

    >>> two_layer_gram(torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])).values
    tensor([[0.5000, 0.3750, 0.0000],
            [0.3750, 1.0000, 0.7500],
            [0.0000, 0.7500, 2.0000]])
    """
    _require_points(x, "x")
    if z is not None:
        _require_points(z, "z")
        if z.shape[1] != x.shape[1] or z.dtype != x.dtype:
            raise InvalidInput(
                f"x of shape {tuple(x.shape)} in {x.dtype}, z of {tuple(z.shape)} in {z.dtype}; they must go together"
            )
    a, r = _unit(x)
    b, s = (a, r) if z is None else _unit(z)
    values = torch.empty(len(a), len(b), dtype=x.dtype, device=x.device)
    for rows in blocks(len(a)):
        for columns in blocks(rows.stop if z is None else len(b)):
            same = z is None and rows == columns
            part = _gram(a[rows], None if same else b[columns]) * r[rows, None] * s[columns]
            values[rows, columns] = (part.tril() + part.tril(-1).mT if same else part).to(x.dtype)
            if z is None and not same:
                values[columns, rows] = part.mT.to(x.dtype)
    flops = float(len(a)) * len(b) * a.shape[1] * (1 if z is None else 2)
    return KernelMatrix(values, name="two-layer ReLU Gram", symmetric=z is None, flops=flops)


def _gram(a: Tensor, b: Tensor | None) -> Tensor:
    """C (pi - theta) / (2 pi) of unit vectors, c = 1 - |a - b|^2 / 2."""
    D = squared_distances(a, b).clamp_(0.0, 4.0)
    theta = 2 * torch.asin(D.sqrt() / 2)
    # beyond a right angle 1 - D / 2 and pi - theta cancel in turn; there |a + b| is the small one
    far = D > 2.0
    if bool(far.any()):
        opposite = squared_distances(-a, a if b is None else b).clamp_(0.0, 4.0)
        left = torch.where(far, 2 * torch.asin(opposite.sqrt() / 2), math.pi - theta)
        cosine = torch.where(far, opposite / 2 - 1, 1 - D / 2)
    else:
        left, cosine = math.pi - theta, 1 - D / 2
    return cosine * left / (2 * math.pi)


def _unit(x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.detach().double()
    norms = x.norm(dim=1)
    return x / norms[:, None], norms


def _require_points(x: Tensor, name: str) -> None:
    require_tensor(x, f"points {name}")
    if x.ndim != 2 or not x.numel() or not x.is_floating_point():
        raise InvalidInput(f"{name} of shape {tuple(x.shape)} and {x.dtype}; expected floating-point points (n, d)")
    if not bool(x.isfinite().all()):
        raise InvalidInput(f"{name} has entries that are not finite")
    zero = (x == 0).all(1).nonzero()
    if len(zero):
        raise InvalidInput(f"point {int(zero[0])} of {name} is zero and has no angle; leave it out")
