"""Whether an exact trace or diagonal is to be had, and worth its cost; and the operator to estimate from where not."""

from typing import Literal, TypeAlias

import torch

from lemmata.curvature.gauss_newton import ggn
from lemmata.curvature.hessian import hessian
from lemmata.curvature.not_exact import NotExact
from lemmata.curvature.output_curvature import largest_rank
from lemmata.curvature.piecewise_linear import nonlinearity
from lemmata.errors import UnknownName
from lemmata.linalg import LinearOperator
from lemmata.objective import Objective

Matrix: TypeAlias = Literal["hessian", "ggn"]
MATRICES = ("hessian", "ggn")


def check_exact(objective: Objective, matrix: Matrix) -> None:
    """Raise `NotExact` where the Hessian's diagonal need not be that of the Gauss-Newton matrix."""
    if matrix == "hessian" and (found := nonlinearity(objective)) is not None:
        raise NotExact(
            f"{found}, so that the diagonals of the Hessian and the Gauss-Newton matrix differ; take method='auto' for "
            "an estimate, operator='ggn', or an objective of parameters behind this operation"
        )


def exact_cost(objective: Objective) -> float:
    """About the cost in gradients of the exact answer: a forward pass, and a pass with squares for each column.

    >>> from lemmata import nets
    >>> x, y = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    >>> exact_cost(Objective(nets.mlp(3, [5], 2, seed=0), data=(x, y)))
    1.0
    """
    with torch.no_grad():
        outputs = objective.outputs(objective.parameters, objective.batches[0][0][:2])
    return (1 + 2 * largest_rank(objective, outputs.shape[1:])) / 3


def operator_of(objective: Objective, matrix: Matrix, *, products: int, memory: int) -> LinearOperator:
    """The matrix by its products, of which `products` are wanted."""
    return (hessian if matrix == "hessian" else ggn)(objective, products=products, memory=memory)


def check_choice(method: str, methods: tuple[str, ...], matrix: str) -> None:
    """Refuse names that are not offered."""
    if method not in methods:
        raise UnknownName("method", method, methods)
    if matrix not in MATRICES:
        raise UnknownName("operator", matrix, MATRICES)
