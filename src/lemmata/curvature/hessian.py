"""The Hessian of the loss as an operator that is linearised once and applied many times.

    H v = d/dt grad L(theta + t v) at t = 0
"""

import torch
from torch import Tensor

from lemmata.linalg.operator import LinearOperator
from lemmata.objective import Objective, Subject


def hessian(subject: Subject, *, products: int | None = None, memory: int = 2**30) -> LinearOperator:
    """The Hessian of the loss at the model's own parameters: a symmetric operator on flat vectors (size,).

    >>> from torch import nn
    >>> x = torch.ones(2, 1)
    >>> hessian((nn.Linear(1, 1, bias=False), "mse", (x, x))).dense()
    tensor([[2.]])
    """
    objective = Objective.of(subject)
    kept = []
    for x, y in objective.batches:
        theta = {name: p.requires_grad_() for name, p in objective.parameters.items()}
        points = list(theta.values())
        with torch.enable_grad():
            loss = objective.loss(objective.outputs(theta, x), y)
            slope = torch.autograd.grad(loss, points, create_graph=True, materialize_grads=True)
        kept.append((points, slope, len(y) / objective.n))

    def apply(V: Tensor) -> Tensor:
        columns = []
        for v in V.T:
            total = torch.zeros_like(v)
            for points, slope, weight in kept:
                parts = [part.reshape(p.shape) for part, p in zip(v.split([p.numel() for p in points]), points)]
                used = [i for i, g in enumerate(slope) if g.requires_grad]
                product = torch.autograd.grad(
                    [slope[i] for i in used],
                    points,
                    [parts[i] for i in used],
                    retain_graph=True,
                    materialize_grads=True,
                )
                total += weight * torch.cat([part.reshape(-1) for part in product])
            columns.append(total)
        return torch.stack(columns, 1)

    size = objective.size
    return LinearOperator(
        apply, (size, size), symmetric=True, dtype=objective.dtype, device=objective.device, cost=2.0
    )
