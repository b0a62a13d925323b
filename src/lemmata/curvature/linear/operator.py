"""Operators of an objective on flat vectors: sums over batches of linear maps, or maps stacked batch by batch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lemmata.curvature.linear.products import Products, Way
from lemmata.linalg.operator import LinearOperator
from lemmata.objective import Objective

Part = str | Sequence[str] | Sequence[int] | Tensor | slice


class CurvatureOperator(LinearOperator):
    """A linear operator of an objective; rows and columns are its parameters laid out by `Objective.vector`.

    `way` says how its products are done and why. `block` takes indices as every operator does, or names of parameters
    or modules: then only what the block needs is computed.
    """

    def __init__(
        self,
        objective: Objective,
        apply: Callable[[Tensor], Tensor],
        shape: tuple[int, int],
        *,
        way: Way,
        cost: float,
        adjoint: Callable[[Tensor], Tensor] | None = None,
        symmetric: bool = False,
        named: Callable[[Sequence[str], Sequence[str]], LinearOperator] | None = None,
    ):
        super().__init__(
            apply,
            shape,
            adjoint=adjoint,
            symmetric=symmetric,
            dtype=objective.dtype,
            device=objective.device,
            cost=cost,
        )
        self.objective, self.way, self._named = objective, way, named

    def block(self, rows: Part, columns: Part) -> LinearOperator:  # type: ignore[override]
        """The submatrix of these rows and columns: indices, or names (or lists of them) of parameters or modules."""
        some, others = _names(rows), _names(columns)
        if self._named is not None and some and others:
            return self._named(some, others)
        return super().block(rows, columns)  # type: ignore[arg-type]


def summed(objective: Objective, products: Products, shapes: Sequence[torch.Size], sizes: Sequence[int]) -> Callable:
    """Apply sum_b (n_b / n) A_b to columns (P, k), where A_b takes tangents of these shapes and gives these sizes."""

    def apply(V: Tensor) -> Tensor:
        tangents = parted(V.T if V.stride(0) == 1 else V.T.contiguous(), shapes)
        total = None
        for batch, (_, y) in enumerate(objective.batches):
            part, weight = products.columns(products.batch(batch), tangents, sizes), len(y) / objective.n
            if total is None:
                total = part if weight == 1 else part.mul_(weight)
            else:
                total.add_(part, alpha=weight)
        assert total is not None
        return total.T

    return apply


def parted(V: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
    """Cut rows (k, P) into tensors (k, *shape)."""
    parts = V.split([shape.numel() for shape in shapes], 1)
    return [part.unflatten(1, shape) if shape else part[:, 0] for part, shape in zip(parts, shapes, strict=True)]


def _names(part: Part) -> list[str]:
    """The names in a part; none if it is of indices."""
    if isinstance(part, str):
        return [part]
    listed = list(part) if isinstance(part, list | tuple) else []
    return [name for name in listed if isinstance(name, str)]
