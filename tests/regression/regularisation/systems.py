"""Small random systems that several tests share."""

import torch

F64 = torch.float64


def random_system(m=12, n=7, *, columns=None, seed=0, decay=0.0):
    """A (m, n) with singular values 10^(-decay i), and b (m,) or (m, columns), not in A's range."""
    draw = torch.Generator().manual_seed(seed)
    A = torch.randn(m, n, generator=draw, dtype=F64)
    U, _, Vh = torch.linalg.svd(A, full_matrices=False)
    A = A if decay == 0 else U @ torch.diag(10.0 ** (-decay * torch.arange(min(m, n)).double())) @ Vh
    shape = (m,) if columns is None else (m, columns)
    return A, torch.randn(shape, generator=draw, dtype=F64)


def normal_equations(A, b, lam, L):
    """(A'A + lam L'L)^-1 A'b by the definition."""
    return torch.linalg.solve(A.T @ A + lam * L.T @ L, A.T @ b)
