"""The Jacobian of the outputs by the parameters as an operator with its transpose.

    J = d f / d theta,   of shape (n C, P): the outputs of sample 1, those of sample 2, ...

J v says how the outputs move when the parameters move by v, J^T u is the gradient of <u, f>; J J^T is the empirical
neural tangent kernel, J^T J the Gauss-Newton matrix of the squared error. Both are linearised once, each for itself and
J^T when it is first wanted.

Cost: a product with J or J^T 2/3 of a gradient. Memory and ways as for the Hessian (`hessian`).
"""

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

from lemmata.curvature.gauss_newton import pulled_to, pushed
from lemmata.curvature.hessian import pulled
from lemmata.curvature.linear.choice import choose, fitted
from lemmata.curvature.linear.graph import Forward
from lemmata.curvature.linear.operator import CurvatureOperator, parted
from lemmata.curvature.linear.products import Products
from lemmata.curvature.linear.target import Recorded
from lemmata.curvature.linear.ways import finite
from lemmata.objective import Objective, Subject


def jacobian(
    subject: Subject, *, products: int | None = None, memory: int = 2**30, way: str = "auto"
) -> CurvatureOperator:
    """The Jacobian of all outputs at the model's own parameters: an operator (n C, size) with ``.T``.

    Rows run over the samples in the order of the data, and over a sample's outputs within. Options and errors are those
    of `hessian` (for J and J^T each). Nothing is random; the loss is not used.

    >>> from torch import nn
    >>> x = torch.tensor([[2.0], [3.0]])
    >>> J = jacobian((nn.Linear(1, 1, bias=False), "mse", (x, x)))
    >>> J.dense().T, J.T @ torch.ones(2)
    (tensor([[2., 3.]]), tensor([5.]))
    """
    objective = fitted(Objective.of(subject), memory)
    shapes = _output_shapes(objective)
    rows = [shape.numel() for shape in shapes]
    own = [p.shape for p in objective.parameters.values()]
    sizes = [shape.numel() for shape in own]
    ready = choose(Outputs(objective), products=products, memory=memory, way=way)

    def push(V: Tensor) -> Tensor:
        tangents = parted(V.T.contiguous(), own)
        parts = [ready.columns(ready.batch(b), tangents, [count]) for b, count in enumerate(rows)]
        return torch.cat(parts, 1).T

    @cache
    def backward() -> Products:
        return choose(Pull(objective, shapes), products=products, memory=memory, way=way)

    def pull(U: Tensor) -> Tensor:
        parts = U.T.split(rows, 1)
        total = U.new_zeros(U.shape[1], sum(sizes))
        for batch, (part, shape) in enumerate(zip(parts, shapes, strict=True)):
            tangents = [part.reshape(-1, *shape)]
            total += backward().columns(backward().batch(batch), tangents, sizes)
        return total.T

    return CurvatureOperator(objective, push, (sum(rows), sum(sizes)), adjoint=pull, way=ready.way, cost=2 / 3)


def _output_shapes(objective: Objective) -> list[torch.Size]:
    """The shapes of the outputs of each batch; batches of like inputs have like outputs."""
    known: dict[torch.Size, torch.Size] = {}
    with torch.no_grad():
        for x, _ in objective.batches:
            if x.shape not in known:
                known[x.shape] = objective.outputs(objective.parameters, x).shape
    return [known[x.shape] for x, _ in objective.batches]


class Outputs:
    """The outputs as a function of the parameters."""

    repeated = 0

    def __init__(self, objective: Objective):
        self.objective = objective

    def values(self, batch: int) -> tuple[list[Tensor], list[Tensor]]:
        """The parameters; x."""
        return list(self.objective.parameters.values()), [self.inputs(batch)]

    def inputs(self, batch: int) -> Tensor:
        """The inputs of a batch."""
        return self.objective.batches[batch][0]

    def function(self, forward: Forward) -> Callable[..., Sequence[Tensor]]:
        """Outputs, to be checked and to be differentiated."""
        names = self.objective.names

        def outputs(*values: Tensor) -> list[Tensor]:
            z = forward(dict(zip(names, values[:-1], strict=True)), values[-1])
            return [z, z]

        return outputs

    def recorded(self, batch: int) -> tuple[Recorded, Recorded]:
        """J v by the derivative of J^T u."""
        theta = {name: p.requires_grad_() for name, p in self.objective.parameters.items()}
        z = self.objective.outputs(theta, self.inputs(batch))
        finite(z.detach(), batch)
        return pushed(z, list(theta.values()))


class Pull:
    """J^T u as a function of u."""

    repeated = 0

    def __init__(self, objective: Objective, shapes: Sequence[torch.Size]):
        self.objective, self.shapes = objective, shapes

    def values(self, batch: int) -> tuple[list[Tensor], list[Tensor]]:
        """Any u, the function being linear; the parameters and x."""
        own = list(self.objective.parameters.values())
        return [own[0].new_ones(self.shapes[batch])], [*own, self.inputs(batch)]

    def inputs(self, batch: int) -> Tensor:
        """The inputs of a batch."""
        return self.objective.batches[batch][0]

    def function(self, forward: Forward) -> Callable[..., Sequence[Tensor]]:
        """Outputs, and J^T u."""
        names = self.objective.names

        def pull(u: Tensor, *values: Tensor) -> list[Tensor]:
            leaves = [value.requires_grad_() for value in values[:-1]]
            with torch.enable_grad():
                z = forward(dict(zip(names, leaves, strict=True)), values[-1])
            return [z, *pulled_to(z, leaves, u)]

        return pull

    def recorded(self, batch: int) -> tuple[Recorded, Recorded]:
        """J^T u from the graph of the outputs."""
        theta = {name: p.requires_grad_() for name, p in self.objective.parameters.items()}
        z = self.objective.outputs(theta, self.inputs(batch))
        finite(z.detach(), batch)
        return pulled([z], list(theta.values()))
