"""Cholesky by block columns, of which only those below the diagonal are kept.

    A = K + ridge I = L L^T

The factor is a list of lower block columns: n (n + b) / 2 numbers instead of n^2. The factorisation looks left: a block
column is computed from the kernel, corrected by the ones before it, and never touched again.

    inverse diagonal   (A^-1)_ii = |L^-1 e_i|^2

Cost: n^3 / 3 flops for the factor, 2 n^2 a right-hand side, n^3 / 3 for the diagonal of the inverse. Fails where A is
numerically singular in the dtype: equal points without a ridge, or a kernel so smooth that rounding hides its smallest
eigenvalue. Source: Golub, Van Loan (2013), Matrix Computations, 4.2.9.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.kernels.regression.entries import BLOCK, Entries, blocks

REMEDY = "use float64, a ridge, a narrower kernel, or drop repeated points"


def factorise(entries: Entries, ridge: float = 0.0) -> list[Tensor]:
    """The lower block columns of L: the one that starts at row s has shape (n - s, b), its first b rows triangular.

    In the dtype of the entries. Raises `InvalidInput` where K + ridge I is not positive definite in it, with the row.

    >>> [column] = factorise(Entries(torch.tensor([[4.0, 2.0], [2.0, 2.0]]), None))
    >>> column
    tensor([[2., 0.],
            [1., 1.]])
    """
    columns: list[Tensor] = []
    for part in blocks(entries.n):
        panel = _panel(entries, part, ridge)
        b = part.stop - part.start
        start = 0
        for column in columns:
            left = column[part.start - start :]
            panel.addmm_(left, left[:b].mT, alpha=-1)
            start += column.shape[1]
        triangle, failed = torch.linalg.cholesky_ex(panel[:b])
        if failed:
            raise InvalidInput(
                f"the kernel matrix of {entries.n:,} points{_with(ridge)} is not positive definite in {entries.dtype} "
                f"(at row {part.start + int(failed):,}); {REMEDY}"
            )
        panel[:b] = triangle
        for below in panel[b:].split(BLOCK):
            below.copy_(torch.linalg.solve_triangular(triangle.mT, below, upper=True, left=False))
        columns.append(panel)
    return columns


def solve(columns: list[Tensor], y: Tensor) -> Tensor:
    """Solve L L^T alpha = y (n, k): forward, then backward.

    >>> solve([torch.tensor([[2.0, 0.0], [1.0, 1.0]])], torch.tensor([[4.0], [2.0]])).T
    tensor([[1., 0.]])
    """
    z = y.clone()
    for start, column in _placed(columns):
        b = column.shape[1]
        head, tail = z[start : start + b], z[start + b :]
        head.copy_(torch.linalg.solve_triangular(column[:b], head, upper=False))
        tail.sub_(column[b:] @ head)
    for start, column in reversed(_placed(columns)):
        b = column.shape[1]
        head, tail = z[start : start + b], z[start + b :]
        head.sub_(column[b:].mT @ tail)
        head.copy_(torch.linalg.solve_triangular(column[:b].mT, head, upper=True))
    return z


def inverse_diagonal(columns: list[Tensor]) -> Tensor:
    """The diagonal of (L L^T)^-1 (n,), float64; a block of columns of L^-1 at a time, n b numbers.

    >>> inverse_diagonal([torch.tensor([[2.0, 0.0], [1.0, 1.0]])])
    tensor([0.5000, 1.0000], dtype=torch.float64)
    """
    placed, n = _placed(columns), len(columns[0])
    diagonal = torch.zeros(n, dtype=torch.float64, device=columns[0].device)
    for first, (start, column) in enumerate(placed):
        b = column.shape[1]
        z = column.new_zeros(n - start, b)
        z[:b].fill_diagonal_(1.0)
        for place, below in placed[first:]:
            c, at = below.shape[1], place - start
            head = torch.linalg.solve_triangular(below[:c], z[at : at + c], upper=False)
            diagonal[start : start + b] += head.double().square().sum(0)
            z[at + c :].addmm_(below[c:], head, alpha=-1)
    return diagonal


def _panel(entries: Entries, part: slice, ridge: float) -> Tensor:
    """The lower block column of K + ridge I that starts at a block, in a buffer of its own."""
    b = part.stop - part.start
    panel = torch.empty(entries.n - part.start, b, dtype=entries.dtype, device=entries.device)
    for below in blocks(entries.n):
        if below.start < part.start:
            continue
        values = entries.block(below, part)
        if not bool(values.isfinite().all()):
            row, column = (int(i) for i in (~values.isfinite()).nonzero()[0])
            raise InvalidInput(
                f"the kernel of samples {below.start + row} and {part.start + column} is {float(values[row, column])}"
            )
        panel[below.start - part.start : below.stop - part.start] = values
    panel[:b].diagonal().add_(ridge)
    return panel


def _placed(columns: list[Tensor]) -> list[tuple[int, Tensor]]:
    """Each block column with the row at which it starts."""
    return [(len(columns[0]) - len(column), column) for column in columns]


def _with(ridge: float) -> str:
    return f" with ridge {ridge:g}" if ridge else ""
