"""Linear operators known by their products with vectors, such as the Hessian of a network."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lemmata.errors import InvalidInput

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator as ScipyOperator


class LinearOperator:
    """A real m x n matrix A, given by ``apply``: (n, k) -> (m, k), all k columns at once.

    ``A @ v`` takes (n,) or (n, k). `adjoint` applies the transpose; a symmetric operator needs none. `cost` is what one
    column costs in the unit of whoever made the operator: gradient evaluations for those of `lemmata.curvature`.

    >>> A = LinearOperator(lambda V: 2 * V, (3, 3), symmetric=True)
    >>> A @ torch.ones(3)
    tensor([2., 2., 2.])
    """

    def __init__(
        self,
        apply: Callable[[Tensor], Tensor],
        shape: tuple[int, int],
        *,
        adjoint: Callable[[Tensor], Tensor] | None = None,
        symmetric: bool = False,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        cost: float = 1.0,
    ):
        if symmetric and shape[0] != shape[1]:
            raise InvalidInput(f"an operator of shape {tuple(shape)} cannot be symmetric; it must be square")
        self.apply, self.adjoint = apply, apply if symmetric else adjoint
        self.shape, self.symmetric, self.dtype, self.device = tuple(shape), symmetric, dtype, torch.device(device)
        self.cost = cost

    def __repr__(self) -> str:
        symmetric = ", symmetric" if self.symmetric else ""
        return f"<{type(self).__name__} {self.shape[0]} x {self.shape[1]}, {self.dtype}{symmetric}>"

    @classmethod
    def of(cls, matrix: Tensor) -> "LinearOperator":
        """Wrap a dense matrix (m, n); it is symmetric if it equals its transpose to the rounding of an inner product.

        Processors that sum in blocks give X^T X with last digits that differ across the diagonal.

        >>> LinearOperator.of(torch.eye(2)).symmetric
        True
        """
        symmetric = matrix.shape[0] == matrix.shape[1] and _equals_transpose(matrix)
        return cls(
            lambda V: matrix @ V,
            (matrix.shape[0], matrix.shape[1]),
            adjoint=lambda U: matrix.T @ U,
            symmetric=symmetric,
            dtype=matrix.dtype,
            device=matrix.device,
        )

    def __matmul__(self, v: Tensor) -> Tensor:
        if v.ndim not in (1, 2) or v.shape[0] != self.shape[1]:
            raise InvalidInput(f"an operator of shape {self.shape} cannot be applied to a tensor {tuple(v.shape)}")
        return self.apply(v) if v.ndim == 2 else self.apply(v[:, None])[:, 0]

    @property
    def T(self) -> "LinearOperator":  # noqa: N802 - as in numpy and torch
        """The transpose; raises `InvalidInput` where no adjoint is known."""
        if self.adjoint is None:
            raise InvalidInput("this operator has no adjoint; construct it with adjoint=...")
        return LinearOperator(
            self.adjoint,
            (self.shape[1], self.shape[0]),
            adjoint=self.apply,
            symmetric=self.symmetric,
            dtype=self.dtype,
            device=self.device,
            cost=self.cost,
        )

    def block(self, rows: Sequence[int] | Tensor | slice, columns: Sequence[int] | Tensor | slice) -> "LinearOperator":
        """The submatrix A[rows, columns] as an operator; a product with it costs one with A.

        It is symmetric where A is and rows and columns are the same. Raises `InvalidInput` for indices outside A or
        met twice.

        >>> A = LinearOperator.of(torch.arange(9.0).reshape(3, 3))
        >>> A.block([0, 2], slice(1, 3)).dense()
        tensor([[1., 2.],
                [7., 8.]])
        """
        i, j = self._indices(rows, 0), self._indices(columns, 1)

        def part(apply: Callable[[Tensor], Tensor], size: int, into: Tensor, out: Tensor) -> Callable:
            def product(V: Tensor) -> Tensor:
                whole = V.new_zeros(size, V.shape[1])
                whole[into] = V
                return apply(whole)[out]

            return product

        return LinearOperator(
            part(self.apply, self.shape[1], j, i),
            (len(i), len(j)),
            adjoint=None if self.adjoint is None else part(self.adjoint, self.shape[0], i, j),
            symmetric=self.symmetric and torch.equal(i, j),
            dtype=self.dtype,
            device=self.device,
            cost=self.cost,
        )

    def _indices(self, chosen: Sequence[int] | Tensor | slice, axis: int) -> Tensor:
        """The chosen rows (axis 0) or columns (axis 1) as indices from 0."""
        size = self.shape[axis]
        if isinstance(chosen, slice):
            return torch.arange(size, device=self.device)[chosen]
        indices = torch.as_tensor(chosen, device=self.device)
        whole = not (indices.is_floating_point() or indices.dtype == torch.bool) and indices.ndim == 1
        if not whole or (len(indices) and not (int(indices.min()) >= 0 and int(indices.max()) < size)):
            raise InvalidInput(f"a block needs a list of whole numbers from 0 to {size - 1} or a slice, not {chosen!r}")
        if len(indices.unique()) < len(indices):
            raise InvalidInput("a block names an index twice; give each once")
        return indices.long()

    def dense(self) -> Tensor:
        """The matrix itself, (m, n): n products, so for small operators and tests."""
        return self @ torch.eye(self.shape[1], dtype=self.dtype, device=self.device)

    def to_scipy(self) -> "ScipyOperator":
        """The same operator for `scipy.sparse.linalg`, with numpy vectors on the CPU."""
        from scipy.sparse.linalg import LinearOperator as ScipyOperator

        def through(apply: Callable[[Tensor], Tensor]) -> Callable:
            def product(v):
                block = torch.as_tensor(v, dtype=self.dtype, device=self.device)
                return apply(block.reshape(len(block), -1)).reshape(-1, *block.shape[1:]).cpu().numpy()

            return product

        dtype = torch.empty(0, dtype=self.dtype).numpy().dtype
        rmatvec = None if self.adjoint is None else through(self.adjoint)
        return ScipyOperator(  # type: ignore[call-arg]
            self.shape, matvec=through(self.apply), matmat=through(self.apply), rmatvec=rmatvec, dtype=dtype
        )


def _equals_transpose(matrix: Tensor) -> bool:
    if torch.equal(matrix, matrix.T):
        return True
    if not matrix.is_floating_point():
        return False
    rounding = len(matrix) * torch.finfo(matrix.dtype).eps * matrix.abs().max()
    return bool((matrix - matrix.T).abs().max() <= rounding)
