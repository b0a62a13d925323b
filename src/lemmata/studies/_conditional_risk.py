"""The risk of least squares and ridge regression given X: its mean over the noise, exactly.

    y = X beta + noise of variance 1,     estimate = argmin |y - X b|^2 / n + ridge |b|^2  (of least norm at ridge = 0)

With X = U D V^T, d the eigenvalues of X X^T / n and f = d / (d + ridge) the filter, |S^(1/2) (estimate - beta)|^2 has
the mean

    |S^(1/2) (beta - V f V^T beta)|^2  +  sum_i f_i^2 / (n d_i) (V^T S V)_ii .

The smaller of X X^T and X^T X is decomposed once for all ridges, which squares the condition number: singular values
below 1e-7 of the largest are lost. Cost: 6 m^2 max(n, p) flops with m = min(n, p), less without the last term's product
for S = I; then O(m^2) a ridge.
"""

import torch
from torch import Tensor

F64 = torch.float64


class ConditionalRisk:
    """Of ridge regression on X (n, p), for the truths beta (p, k) and the covariance diag(v), v (p,); all float64.

    >>> x, v = torch.eye(2, dtype=F64), torch.ones(2, dtype=F64)
    >>> ConditionalRisk(x, torch.ones(2, 1, dtype=F64), v).total()
    2.0
    """

    def __init__(self, x: Tensor, beta: Tensor, v: Tensor):
        n, p = x.shape
        wide = p >= n
        self.d, basis = torch.linalg.eigh((x @ x.T if wide else x.T @ x) / n)
        right = x.T @ (basis / (n * self.d).sqrt()) if wide else basis  # V, (p, m)
        self.n, self.inside = n, right.T @ beta
        outside = beta - right @ self.inside
        self.outside = (v[:, None] * outside.square()).sum(0)
        self.isotropic = bool((v == 1).all())
        weighted = v[:, None] * right
        self.gram = torch.eye(len(self.d), dtype=F64) if self.isotropic else right.T @ weighted
        self.mixed = torch.zeros_like(self.inside) if self.isotropic else weighted.T @ outside

    def biases(self, ridge: float = 0.0) -> Tensor:
        """Of each truth (k,), without noise: |S^(1/2) (outside + V left)|^2."""
        left = (ridge / (self.d + ridge))[:, None] * self.inside
        return self.outside + (left * (self.gram @ left + 2 * self.mixed)).sum(0)

    def bias(self, ridge: float = 0.0) -> float:
        """The mean over truths."""
        return float(self.biases(ridge).mean())

    def variance(self, ridge: float = 0.0) -> float:
        """For noise of variance 1."""
        return float((self.d / (self.d + ridge) ** 2 * self.gram.diagonal()).sum()) / self.n

    def total(self, ridge: float = 0.0) -> float:
        """Bias and variance."""
        return self.bias(ridge) + self.variance(ridge)

    def over_ridges(self, ridges: Tensor) -> Tensor:
        """The risk at many ridges (R,) for S = I, where it is a sum over eigenvalues."""
        energy = self.inside.square().mean(1)
        terms = (ridges[:, None].square() * energy + self.d / self.n) / (self.d + ridges[:, None]).square()
        return self.outside.mean() + terms.sum(1)
