"""The Hessian of the loss as an operator that is linearised once and applied many times.

    H v = d/dt grad L(theta + t v) at t = 0                                              (Pearlmutter, 1994)

The derivative of the gradient is taken once, by tracing it or by autograd, and kept with the values it needs, so that a
product is only the linear map itself: 2 gradients' flops, and none for the loss and the gradient at theta. Never by
finite differences, which are meaningless where a kink lies within the step.

Cost: a product 2 gradients by flops; measured, 1.05 on a dense network and 1.4 on a ResNet-20. Memory: about what two
backward passes keep, for as many batches as the budget allows; each other batch costs one or two gradients more a
product. Fails: where the loss has no second derivative (refused), and at the kinks of a piecewise linear network it is
the Hessian of the piece that autograd takes.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lemmata.curvature.linear.choice import choose, fitted
from lemmata.curvature.linear.graph import Forward
from lemmata.curvature.linear.operator import CurvatureOperator, summed
from lemmata.curvature.linear.target import Recorded
from lemmata.curvature.linear.ways import finite
from lemmata.objective import Objective, Subject


def hessian(
    subject: Subject, *, products: int | None = None, memory: int = 2**30, way: str = "auto"
) -> CurvatureOperator:
    """The Hessian of the loss at the model's own parameters: a symmetric operator on flat vectors (size,).

    `products` is how many are wanted, which decides how much of a set-up pays; `memory` bounds the bytes kept from one
    to the next. `way` is ``"double backward"``, ``"linearize"``, or ``"auto"``: chosen by measuring. All agree to
    rounding; ``operator.way`` says which was taken and why. ``operator.block(["conv1"], ["output"])`` is the part of
    these rows and columns by itself.

    Nothing is random. Type and device are the objective's. Raises `InvalidInput` for a loss that is not finite on some
    batch or not twice differentiable, products < 1, and memory that does not do for one sample.

    >>> from torch import nn
    >>> x = torch.ones(2, 1)
    >>> H = hessian((nn.Linear(1, 1, bias=False), "mse", (x, x)))
    >>> H.dense(), H.way.name
    (tensor([[2.]]), 'double backward')
    """
    objective = fitted(Objective.of(subject), memory)
    return _between(objective, objective.names, objective.names, products=products, memory=memory, way=way)


def _between(
    objective: Objective, rows: Sequence[str], columns: Sequence[str], *, products: int | None, memory: int, way: str
) -> CurvatureOperator:
    """The block of the Hessian of these rows and columns, by full names."""
    ready = choose(Slope(objective, rows, columns), products=products, memory=memory, way=way)
    shapes = {name: p.shape for name, p in objective.parameters.items()}
    sizes = [shapes[name].numel() for name in rows]
    symmetric = list(rows) == list(columns)
    options = {"products": products, "memory": memory, "way": way}

    def back(U: Tensor) -> Tensor:
        return _between(objective, columns, rows, **options).apply(U)

    def named(some: Sequence[str], others: Sequence[str]) -> CurvatureOperator:
        chosen = [objective.restricted(part).names for part in (some, others)]
        return _between(objective, *chosen, **options)

    return CurvatureOperator(
        objective,
        summed(objective, ready, [shapes[name] for name in columns], sizes),
        (sum(sizes), sum(shapes[name].numel() for name in columns)),
        adjoint=None if symmetric else back,
        symmetric=symmetric,
        way=ready.way,
        cost=2.0,
        named=named if symmetric else None,
    )


class Slope:
    """The gradient by the parameters `rows` as a function of the parameters `columns`."""

    repeated = 0

    def __init__(self, objective: Objective, rows: Sequence[str], columns: Sequence[str]):
        self.objective, self.rows, self.columns = objective, list(rows), list(columns)
        self.names = [*columns, *(name for name in objective.names if name not in columns)]

    def values(self, batch: int) -> tuple[list[Tensor], list[Tensor]]:
        """The columns' parameters; the others', and x and y."""
        own, k = self.objective.parameters, len(self.columns)
        return [own[n] for n in self.names[:k]], [*(own[n] for n in self.names[k:]), *self.objective.batches[batch]]

    def inputs(self, batch: int) -> Tensor:
        """The inputs of a batch."""
        return self.objective.batches[batch][0]

    def function(self, forward: Forward) -> Callable[..., Sequence[Tensor]]:
        """Loss and gradient."""

        def slope(*values: Tensor) -> list[Tensor]:
            *parameters, x, y = values
            theta = dict(zip(self.names, parameters, strict=True))
            leaves = [theta[name].requires_grad_() for name in self.rows]
            with torch.enable_grad():
                loss = self.objective.loss(forward(theta, x), y)
            return [loss, *_gradient(loss, leaves)]

        return slope

    def recorded(self, batch: int) -> tuple[Recorded, Recorded]:
        """The gradient by the columns, pulled back to the rows: the Hessian is symmetric."""
        theta = {name: p.requires_grad_() for name, p in self.objective.parameters.items()}
        x, y = self.objective.batches[batch]
        loss = self.objective.loss(self.objective.outputs(theta, x), y)
        finite(loss.detach(), batch)
        slope = _gradient(loss, [theta[name] for name in self.columns], create_graph=True)
        return pulled(slope, [theta[name] for name in self.rows])


def pulled(outputs: Sequence[Tensor], leaves: Sequence[Tensor]) -> tuple[Recorded, Recorded]:
    """The transposed derivative of outputs by leaves, from one recorded graph: on one vector, and on many."""
    moving = [i for i, output in enumerate(outputs) if output.requires_grad]

    def pull(tangents: Sequence[Tensor], many: bool) -> Sequence[Tensor | None]:
        if not moving:
            return [None] * len(leaves)
        return torch.autograd.grad(
            [outputs[i] for i in moving],
            leaves,
            [tangents[i] for i in moving],
            retain_graph=True,
            allow_unused=True,
            is_grads_batched=many,
        )

    return lambda tangents: pull(tangents, False), lambda tangents: pull(tangents, True)


def _gradient(loss: Tensor, leaves: Sequence[Tensor], create_graph: bool = False) -> Sequence[Tensor]:
    """The gradient, zero by what the loss does not depend on."""
    if not loss.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    return torch.autograd.grad(loss, leaves, create_graph=create_graph, materialize_grads=True)
