r"""Minimum-norm kernel interpolation: the smallest function of the kernel's space that takes the given values.

    f(x) = sum_i alpha_i k(x, x_i),      K alpha = y,  K_ij = k(x_i, x_j) = exp(-|x_i - x_j|^2 / (2 bandwidth^2))

There is nothing to tune but the bandwidth, no regulariser and no early stop: how well f does on new points is what the
data and the kernel's norm alone give.

K is solved directly, in one go. A Cholesky factor L, K = L L^T, is kept as its lower block columns only: n(n + b)/2
numbers instead of n^2, so that 60,000 points take 7.5 GB in float32 (15 GB in float64). The factorisation looks left:
a block column is computed from the points, corrected by the ones before it, and never touched again. Iterative
refinement, with residuals summed in float64, then brings K alpha to y as nearly as the entries of K are rounded.

References: Zhang, Bengio, Hardt, Recht, Vinyals (2017), arXiv:1611.03530, section 5; Golub, Van Loan (2013), Matrix
Computations, 4.2.9 (block Cholesky); Higham (2002), chapter 12 (refinement). Cost: n^3/3 flops. Fails when K is
numerically singular: equal points, or a bandwidth so wide that the rounding of the dtype hides the smallest eigenvalue.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput

BLOCK = 2048
INTERPOLATES = 1e-3


@dataclass(frozen=True, eq=False)
class KernelInterpolant:
    """f: the points `x` (n, d), `coefficients` (n, k) in float64, and the `bandwidth`.

    `residual` is the largest |f(x_i) - y_i| over points and outputs, as a share of the largest |y_i|.
    """

    x: Tensor
    coefficients: Tensor
    bandwidth: float
    residual: float

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluate f at x of shape (m, d): shape (m, k), float64; m rows are taken in blocks."""
        return torch.cat([_apply(part, self.x, self.coefficients, self.bandwidth) for part in x.split(BLOCK)])


def fit_gaussian_kernel(x: Tensor, y: Tensor, *, bandwidth: float, memory: int | None = None) -> KernelInterpolant:
    """Interpolate y (n, k) at the points x (n, d), in x's dtype and on its device; nothing is random.

    `memory` is the number of bytes that may be used, by default what is free on the device. Raises `InvalidInput`
    before anything is allocated if they do not suffice, and where K is numerically singular.

    >>> x, y = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[1.0], [-1.0], [1.0]])
    >>> f = fit_gaussian_kernel(x, y, bandwidth=1.0)
    >>> bool(torch.allclose(f(x), y.double(), atol=1e-6)), f.residual < 1e-6
    (True, True)
    """
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) == 0:
        raise InvalidInput(f"x of shape {tuple(x.shape)} and y of shape {tuple(y.shape)}; expected (n, d) and (n, k)")
    if not bandwidth > 0:
        raise InvalidInput(f"bandwidth = {bandwidth}; it must be positive")
    _refuse_what_does_not_fit(x, memory)
    factor = _cholesky(x, bandwidth)
    f = _refine(factor, x, y.double(), bandwidth)
    if not f.residual <= INTERPOLATES:
        raise InvalidInput(
            f"the kernel system of {len(x):,} points at bandwidth {bandwidth:g} was solved in {x.dtype} to a relative "
            f"residual of {f.residual:.1e} only, above {INTERPOLATES:g}; {_REMEDY}"
        )
    return f


def bytes_needed(n: int, d: int, *, itemsize: int) -> int:
    """Bytes that `fit_gaussian_kernel` takes for n points beside its arguments: the factor and the blocks in work.

    >>> f"{bytes_needed(60_000, 784, itemsize=4) / 1e9:.1f} GB"
    '9.8 GB'
    """
    b = min(BLOCK, n)
    factor = sum((n - start) * min(b, n - start) for start in range(0, n, b)) * itemsize
    panel = 2 * n * b * itemsize + n * b * 8  # distances and kernel of a block; the same in float64 for residuals
    return factor + panel + 8 * n * (d + 4)


def free_bytes(device: torch.device) -> int:
    """Bytes that can be had on a device now: free GPU memory, or what Linux calls available.

    >>> free_bytes(torch.device("cpu")) > 0
    True
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo") as file:  # noqa: PTH123
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


_REMEDY = "use float64, a smaller bandwidth, or drop repeated points"


def _refuse_what_does_not_fit(x: Tensor, memory: int | None) -> None:
    (n, d), there = x.shape, free_bytes(x.device) if memory is None else memory
    needed = bytes_needed(n, d, itemsize=x.element_size())
    if needed > there:
        less = " or float32" if x.element_size() > 4 else ""
        raise InvalidInput(
            f"the kernel system of {n:,} points in {x.dtype} needs {needed / 1e9:.1f} GB and {there / 1e9:.1f} GB are "
            f"free on {x.device}; use fewer points{less}, or free memory"
        )


def _kernel(a: Tensor, b: Tensor, bandwidth: float) -> Tensor:
    """exp(-|a_i - b_j|^2 / (2 bandwidth^2)), shape (len(a), len(b)), computed in one buffer."""
    out = torch.addmm(b.square().sum(1)[None], a, b.mT, alpha=-2).add_(a.square().sum(1)[:, None])
    return out.clamp_(min=0).mul_(-0.5 / bandwidth**2).exp_()


def _refine(factor: list[Tensor], x: Tensor, y: Tensor, bandwidth: float) -> KernelInterpolant:
    """Solve, and solve again for the residual, for as long as that at least halves it: as far as rounding allows."""
    coefficients, residual, scale = torch.zeros_like(y), y, float(y.abs().max()) or 1.0
    best = KernelInterpolant(x, coefficients, bandwidth, float("inf"))
    while True:
        coefficients = coefficients + _solve(factor, residual.to(x.dtype)).double()
        residual = y - torch.cat([_apply(part, x, coefficients, bandwidth) for part in x.split(BLOCK)])
        f = KernelInterpolant(x, coefficients, bandwidth, float(residual.abs().max()) / scale)
        if not f.residual < best.residual / 2:
            return min(best, f, key=lambda f: f.residual)
        best = f


def _apply(part: Tensor, x: Tensor, coefficients: Tensor, bandwidth: float) -> Tensor:
    return _kernel(part, x, bandwidth).double() @ coefficients


def _cholesky(x: Tensor, bandwidth: float) -> list[Tensor]:
    """The lower block columns of L: the one that starts at row s has shape (n - s, b), its first b rows triangular."""
    columns: list[Tensor] = []
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK]
        b = len(block)
        panel = _kernel(x[start:], block, bandwidth)
        for place, column in enumerate(columns):
            left = column[start - place * BLOCK :]
            panel.addmm_(left, left[:b].mT, alpha=-1)
        triangle, failed = torch.linalg.cholesky_ex(panel[:b])
        if failed:
            raise InvalidInput(
                f"the kernel matrix of {len(x):,} points at bandwidth {bandwidth:g} is not positive definite in "
                f"{x.dtype} (at row {start + int(failed):,}); {_REMEDY}"
            )
        panel[:b] = triangle
        for part in panel[b:].split(BLOCK):
            part.copy_(torch.linalg.solve_triangular(triangle.mT, part, upper=True, left=False))
        columns.append(panel)
    return columns


def _solve(columns: list[Tensor], y: Tensor) -> Tensor:
    """Solve L L^T alpha = y: forward, then backward."""
    z = y.clone()
    for place, column in enumerate(columns):
        head, tail = _rows_of(z, column, place)
        head.copy_(torch.linalg.solve_triangular(column[: len(head)], head, upper=False))
        tail.sub_(column[len(head) :] @ head)
    for place, column in reversed(list(enumerate(columns))):
        head, tail = _rows_of(z, column, place)
        head.sub_(column[len(head) :].mT @ tail)
        head.copy_(torch.linalg.solve_triangular(column[: len(head)].mT, head, upper=True))
    return z


def _rows_of(z: Tensor, column: Tensor, place: int) -> tuple[Tensor, Tensor]:
    """The rows of z that a block column's diagonal block meets, and those below."""
    start, b = place * BLOCK, column.shape[1]
    return z[start : start + b], z[start + b :]
