"""Preconditioned conjugate gradients for several right-hand sides at once, on a kernel matrix known by blocks.

    A = K + ridge I,   a step for all k outputs: one product with K, of n^2 / 2 kernel values

Products are computed in the kernel's dtype, everything else in float64. Each output has its own steps; one that has
reached the tolerance stands still. Cost: n^2 / 2 kernel values a step, none where they are kept, and 2 n^2 k flops.
Sources: Hestenes, Stiefel (1952); Saad (2003), Iterative methods for sparse linear systems, algorithm 9.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.kernels.regression.entries import Entries, blocks


class SymmetricProduct:
    """V -> (K + ridge I) V, float64 (n, k), from the lower blocks of K; `keep` stores them after the first product.

    >>> A = SymmetricProduct(Entries(torch.tensor([[2.0, 1.0], [1.0, 2.0]]), None), ridge=1.0, keep=False)
    >>> A(torch.eye(2, dtype=torch.float64))
    tensor([[3., 1.],
            [1., 3.]], dtype=torch.float64)
    """

    def __init__(self, entries: Entries, *, ridge: float, keep: bool):
        self.entries, self.ridge = entries, ridge
        self.keep = keep and entries.values is None
        self._kept: dict[tuple[int, int], Tensor] = {}
        self.count = 0

    def __call__(self, V: Tensor) -> Tensor:
        """(K + ridge I) V."""
        self.count += 1
        low, out = V.to(self.entries.dtype), self.ridge * V
        for rows in blocks(self.entries.n):
            for columns in blocks(rows.stop):
                K = self._block(rows, columns)
                out[rows] += K @ low[columns]
                if columns.start < rows.start:
                    out[columns] += K.mT @ low[rows]
        return out

    def _block(self, rows: slice, columns: slice) -> Tensor:
        place = rows.start, columns.start
        if place in self._kept:
            return self._kept[place]
        found = self.entries.block(rows, columns)
        if self.keep:
            self._kept[place] = found
        return found


@dataclass(frozen=True, eq=False)
class Descent:
    """The solution x (n, k), and the largest entry of the recursion's residual after every step, from the start on."""

    x: Tensor
    residuals: list[float]


def conjugate_gradients(
    A: Callable[[Tensor], Tensor],
    b: Tensor,
    *,
    preconditioner: Callable[[Tensor], Tensor],
    target: float,
    max_steps: int,
) -> Descent:
    """Run from x = 0 until no entry of b - A x, by the recursion, is above `target`, or for `max_steps` steps.

    b is (n, k) in float64. Raises `InvalidInput` where a direction of curvature <= 0 is met.

    >>> A = torch.diag(torch.tensor([1.0, 10.0], dtype=torch.float64))
    >>> b = torch.ones(2, 1, dtype=torch.float64)
    >>> conjugate_gradients(lambda v: A @ v, b, preconditioner=lambda v: v, target=1e-9, max_steps=9).x.T
    tensor([[1.0000, 0.1000]], dtype=torch.float64)
    """
    x, r = torch.zeros_like(b), b.clone()
    p = z = preconditioner(r)
    rz = (r * z).sum(0)
    sizes = [float(r.abs().max())]
    while len(sizes) <= max_steps and sizes[-1] > target:
        running = r.abs().amax(0) > target
        Ap = A(p)
        curvature = (p * Ap).sum(0)
        bad = running & ~(curvature > 0)
        if bool(bad.any()):
            found = float((curvature / p.square().sum(0))[bad][0])
            raise InvalidInput(
                f"conjugate gradients met curvature {found:.3g} <= 0: the kernel matrix is not positive definite, or "
                "not beyond rounding; add a ridge, or use float64"
            )
        alpha = torch.where(running, rz / curvature, 0.0)
        x = x + alpha * p
        r = r - alpha * Ap
        z = preconditioner(r)
        before, rz = rz, (r * z).sum(0)
        p = z + torch.where(running, rz / before, 0.0) * p
        sizes.append(float(r.abs().max()))
    return Descent(x, sizes)
