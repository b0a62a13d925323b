"""A preconditioner for K + ridge I from r columns of K.

    P = F F^T + delta I,    F F^T by randomly pivoted Cholesky,    delta = ridge + tr(K - F F^T) / n

The directions that F has found are solved for at once, and the rest is treated as a multiple of the identity, as the
mean of its eigenvalues. Since 0 <= K - F F^T <= e I, with e its largest eigenvalue, the eigenvalues of
P^-1 (K + ridge I) lie between min(ridge / delta, 1) and max((e + ridge) / delta, 1): with r such that e is of the order
of the ridge, a handful of steps of conjugate gradients do, whatever the condition of K. Without a ridge what F does not
reach decides.

P^-1 v = (v - F (F^T F + delta I)^-1 F^T v) / delta, in float64: the matrix inverted is formed from F as it is, so that
P is symmetric and positive definite to the rounding of float64 even where the kernel is known in float32 only. Cost:
4 n r^2 flops once, 4 n r a right-hand side.

Sources: Diaz, Epperly, Frangella, Tropp, Webber (2023), arXiv:2304.12465; Rudi, Carratino, Rosasco (2017),
arXiv:1705.10958 (Falkon); Ma, Belkin (2017), arXiv:1703.10622 (EigenPro, which takes eigenvectors of a subsample).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.kernels.regression.entries import Entries
from lemmata.kernels.regression.pivoted_cholesky import pivoted_cholesky

FLOOR = 1e-11  # delta over tr K: P^-1 v is a difference divided by delta, and rounding 1e-16 tr K / delta of it


class Preconditioner:
    """P as above; calling it applies P^-1 to (n, k) in float64. Random: the pivots.

    >>> K = torch.diag(torch.tensor([4.0, 1.0]))
    >>> P = Preconditioner(Entries(K, None), 2, ridge=1.0, generator=torch.Generator().manual_seed(0))
    >>> P(torch.ones(2, 1, dtype=torch.float64)).T
    tensor([[0.2000, 0.5000]], dtype=torch.float64)
    """

    def __init__(self, entries: Entries, rank: int, *, ridge: float, generator: torch.Generator):
        self.F, self.pivots, left = pivoted_cholesky(entries, rank, generator=generator)
        self.delta = ridge + max(float(left.mean()), FLOOR * float(self.F.square().sum()))
        self._triangle = torch.linalg.cholesky(
            (self.F.mT @ self.F).add_(self.delta * torch.eye(self.F.shape[1]).to(self.F))
        )

    def __call__(self, v: Tensor) -> Tensor:
        """P^-1 v."""
        inner = torch.cholesky_solve(self.F.mT @ v, self._triangle)
        return (v - self.F @ inner).div_(self.delta)
