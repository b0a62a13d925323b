"""The entries of a kernel's matrix on n samples, a block at a time: computed from points, or read from a matrix.

What solves a kernel system asks for blocks of at most `BLOCK` rows and columns, so that a kernel that is a function is
never evaluated on more than that at once, and the matrix need not exist. A block on the diagonal is asked for with
z = None, which promises symmetry; one beside it as k(x[i], x[j]).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_kernel, require_tensor
from lemmata.kernels.kernel_matrix import Kernel, KernelMatrix

BLOCK = 2048  # 2048^2 numbers are 33 MB in float64, and a product of such blocks runs at full speed


class Entries:
    """The symmetric matrix K_ij = k(x_i, x_j), by blocks.

    `kernel` is a function of points x (n, d, ...), or K itself (n, n), a tensor or a symmetric `KernelMatrix`.

    >>> entries = Entries(lambda x, z: x @ (x if z is None else z).T, torch.tensor([[1.0], [2.0]]))
    >>> entries.block(slice(0, 1), slice(1, 2)), entries.diagonal()
    (tensor([[2.]]), tensor([1., 4.]))
    """

    def __init__(self, kernel: Kernel | KernelMatrix | Tensor, x: Tensor | None):
        values = kernel.values if isinstance(kernel, KernelMatrix) else kernel
        if not isinstance(values, Tensor) and not callable(values):
            raise InvalidInput(
                f"a kernel of type {type(kernel).__name__}; give a function k(x, z), the matrix of the samples as a "
                f"tensor (n, n), or a KernelMatrix (an EmpiricalNTK has it as .matrix)"
            )
        if isinstance(values, Tensor):
            self.kernel, self.x, self.values = None, None, values.detach()
            _require_matrix(self.values, x)
        else:
            self.kernel, self.values, self.x = require_kernel(values), None, _points(x)
        about = self.x if self.values is None else self.values
        assert about is not None
        self.n, self.dtype, self.device = len(about), about.dtype, about.device

    def block(self, rows: slice, columns: slice) -> Tensor:
        """K[rows, columns], to be read only."""
        if self.values is not None:
            return self.values[rows, columns]
        assert self.x is not None
        return self._evaluated(self.x[rows], None if rows == columns else self.x[columns])

    def columns(self, chosen: Tensor) -> Tensor:
        """K[:, chosen] (n, b) for indices chosen (b,), in float64."""
        if self.values is not None:
            return self.values[:, chosen].double()
        assert self.x is not None
        z = self.x[chosen]
        return torch.cat([self._evaluated(part, z).double() for part in self.x.split(BLOCK)])

    def diagonal(self) -> Tensor:
        """K_ii (n,), from blocks on the diagonal of 64 points."""
        if self.values is not None:
            return self.values.diagonal()
        return torch.cat([self.block(part, part).diagonal() for part in blocks(self.n, 64)])

    def at(self, new: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
        """k(new, x), block by block: which rows of new, which samples, and the values.

        `new` are points (m, d, ...), or, where K was given as a matrix, k(new, x) (m, n) itself.
        """
        for rows in blocks(len(new)):
            for columns in blocks(self.n):
                if self.x is None:
                    yield rows, columns, new[rows, columns]
                else:
                    yield rows, columns, self._evaluated(new[rows], self.x[columns])

    def training_rows(self) -> Tensor:
        """What `at` takes for the samples themselves."""
        found = self.x if self.values is None else self.values
        assert found is not None
        return found

    def _evaluated(self, x: Tensor, z: Tensor | None) -> Tensor:
        assert self.kernel is not None
        with torch.no_grad():
            found = self.kernel(x, z)
        values = require_tensor(found.values if isinstance(found, KernelMatrix) else found, "the kernel's values")
        expected = (len(x), len(x if z is None else z))
        if tuple(values.shape) != expected:
            raise InvalidInput(
                f"the kernel gave values of shape {tuple(values.shape)} for {expected[0]} and {expected[1]} points; "
                f"it must give {expected}"
            )
        return values


def blocks(n: int, size: int | None = None) -> list[slice]:
    """Slices of at most `size` indices that cover 0 to n - 1.

    >>> blocks(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    size = BLOCK if size is None else size
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def product(entries: Entries, new: Tensor, coefficients: Tensor) -> Tensor:
    """sum_j k(new_i, x_j) coefficients_j (m, k), in float64."""
    out = coefficients.new_zeros(len(new), coefficients.shape[1])
    for rows, columns, values in entries.at(new):
        out[rows] += values.double() @ coefficients[columns]
    return out


def _points(x: Tensor | None) -> Tensor:
    if x is None:
        raise InvalidInput("a kernel that is a function needs the points x = (n, d) to be evaluated at")
    require_tensor(x, "points x")
    if x.ndim < 2 or not x.numel():
        raise InvalidInput(f"x of shape {tuple(x.shape)}; expected points (n, d), at least one")
    if not x.is_floating_point():
        raise InvalidInput(f"x of dtype {x.dtype}; give floating-point numbers, in which the kernel is computed")
    if not bool(x.isfinite().all()):
        raise InvalidInput("x has entries that are not finite")
    return x.detach()


def _require_matrix(values: Tensor, x: Tensor | None) -> None:
    if x is not None:
        raise InvalidInput("the kernel is a matrix already, so that points x are not used; leave them out")
    require_tensor(values, "the kernel matrix")
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not values.numel():
        raise InvalidInput(f"a kernel matrix of shape {tuple(values.shape)}; expected (n, n), at least one sample")
    if not values.is_floating_point():
        raise InvalidInput(f"a kernel matrix of dtype {values.dtype}; give floating-point numbers")
    largest = off = 0.0
    for rows in blocks(len(values)):
        for columns in blocks(rows.stop):
            block = values[rows, columns]
            if not bool(block.isfinite().all()):
                raise InvalidInput("the kernel matrix has entries that are not finite")
            largest = max(largest, float(block.abs().max()))
            off = max(off, float((block - values[columns, rows].mT).abs().max()))
    allowed = 64 * torch.finfo(values.dtype).eps * largest
    if off > allowed:
        raise InvalidInput(
            f"the kernel matrix is not symmetric: entries differ from their mirror images by up to {off:.3g}, which "
            f"rounding in {values.dtype} does not explain (largest entry {largest:.3g}); give (K + K^T) / 2"
        )
