"""A loss as a function of flat vectors, at many points at once: values, gradients, Hessians and their products.

All in float64: gradient norms of 1e-12 and the signs of small eigenvalues are not to be had in float32, so a model and
data in single precision are copied into double precision (which changes nothing of the function but its rounding).
Points are taken as many at a time as fit a budget of bytes, judged by the graph that one of them keeps.
Cost, in gradients a point: gradient 1, product with the Hessian 2, Hessian 2 P.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad, jacrev, vmap

from lemmata.curvature.member_hessians import MemberHessians
from lemmata.errors import InvalidInput
from lemmata.objective import Objective, Subject


class Field:
    """The loss of `subject` on vectors (M, P) of float64; `gradients` counts what was spent, over all points.

    >>> x = torch.ones(1, 1, dtype=torch.float64)
    >>> model = torch.nn.Linear(1, 1, bias=False).double()
    >>> field = Field((model, "mse", (x, 2 * x)))
    >>> loss, slope = field.value_and_gradient(torch.tensor([[1.0], [3.0]], dtype=torch.float64))
    >>> loss.tolist(), slope.tolist(), field.hessians(torch.zeros(1, 1, dtype=torch.float64)).tolist()
    ([1.0, 1.0], [[-2.0], [2.0]], [[[2.0]]])
    """

    def __init__(self, subject: Subject, *, memory: int = 2**29, made: int = 64):
        self.made = made
        self.objective = in_double(Objective.of(subject))
        self.memory, self.gradients = memory, 0.0
        self.size, self.n = self.objective.size, self.objective.n
        own = self.objective.parameters
        if not all(p.isfinite().all() for p in own.values()):
            raise InvalidInput("the parameters hold NaN or infinity; the run that left them diverged")
        one = {name: p[None] for name, p in own.items()}
        self.at_once = MemberHessians(self.objective, one, memory=memory).group

    @property
    def own(self) -> Tensor:
        """The model's own parameters, (P,)."""
        return self.objective.vector(self.objective.parameters)

    def value(self, Y: Tensor) -> Tensor:
        """The loss at the rows of Y (M, P): (M,)."""
        self.gradients += len(Y) / 3
        return self._chunked(Y, self.at_once, lambda part: self.objective.value(self.objective.tree(part)))

    def gradient(self, Y: Tensor) -> Tensor:
        """The gradients, (M, P)."""
        return self.value_and_gradient(Y)[1]

    def value_and_gradient(self, Y: Tensor) -> tuple[Tensor, Tensor]:
        """The loss (M,) and its gradient (M, P)."""
        self.gradients += len(Y)
        found = [self._value_and_gradient(part) for part in Y.split(self.at_once)]
        return torch.cat([loss for loss, _ in found]), torch.cat([slope for _, slope in found])

    def products(self, Y: Tensor) -> "Products":
        """The Hessians at Y (M, P), to be multiplied with many vectors."""
        return Products(self, Y)

    def hessian_products(self, Y: Tensor, V: Tensor) -> Tensor:
        """H v at each row, once: (M, P). Costs 3 gradients each; `products` is for many."""
        self.gradients += 3 * len(Y)
        objective = self.objective
        parts = zip(Y.split(self.at_once), V.split(self.at_once), strict=True)
        return torch.cat([objective.vector(objective.hvp(objective.tree(v), objective.tree(y))) for y, v in parts])

    def hessians(self, Y: Tensor) -> Tensor:
        """The Hessians themselves, (M, P, P), as autograd gives them: symmetric to rounding."""
        self.gradients += 2 * self.size * len(Y)
        return self._chunked(Y, self._room(), self._hessians)

    def third(self, Y: Tensor, U: Tensor, V: Tensor) -> Tensor:
        """The third derivative applied to u and v, at each row: grad_y (u^T H(y) v), (M, P). Costs 6 gradients each."""
        self.gradients += 6 * len(Y)
        parts = zip(*(t.split(self.at_once) for t in (Y, U, V)), strict=True)
        return torch.cat([self._third(*part) for part in parts])

    def third_matrices(self, Y: Tensor, U: Tensor) -> Tensor:
        """The third derivative applied to u, at each row: (M, P, P), symmetric to rounding. Costs 4 P gradients."""
        self.gradients += 4 * self.size * len(Y)
        room = self._room()
        parts = zip(Y.split(room), U.split(room), strict=True)
        return torch.cat([self._third_matrices(*part) for part in parts])

    def _room(self) -> int:
        """How many matrices are made at a time."""
        return max(1, min(self.at_once // self.size, self.memory // (8 * self.size**2)))

    def _value_and_gradient(self, Y: Tensor) -> tuple[Tensor, Tensor]:
        loss, slope = self.objective.value_and_gradient(self.objective.tree(Y))
        return loss, self.objective.vector(slope)

    def _hessians(self, Y: Tensor) -> Tensor:
        def mapped(loss: Callable[[Tensor], Tensor]) -> Tensor:
            return vmap(jacrev(grad(loss)))(Y)

        return self._over_batches(mapped)

    def _third(self, Y: Tensor, U: Tensor, V: Tensor) -> Tensor:
        def bent(loss: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
            return grad(lambda y, u, v: grad(lambda z: grad(loss)(z) @ u)(y) @ v)

        return self._over_batches(lambda loss: vmap(bent(loss))(Y, U, V))

    def _third_matrices(self, Y: Tensor, U: Tensor) -> Tensor:
        def bent(loss: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
            return jacrev(grad(lambda y, u: grad(loss)(y) @ u))

        return self._over_batches(lambda loss: vmap(bent(loss))(Y, U))

    def _over_batches(self, derivative: Callable[[Callable[[Tensor], Tensor]], Tensor]) -> Tensor:
        """The mean over the data of a derivative of the loss, a batch at a time."""
        objective, total = self.objective, None
        for x, y in objective.batches:

            def loss(theta: Tensor, x: Tensor = x, y: Tensor = y) -> Tensor:
                return objective.loss(objective.outputs(objective.tree(theta), x), y)

            part = len(y) / objective.n * derivative(loss)
            total = part if total is None else total + part
        assert total is not None  # an objective has at least one batch
        return total.detach()

    @staticmethod
    def _chunked(Y: Tensor, room: int, function: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.cat([function(part) for part in Y.split(room)])


class Products:
    """Products with the Hessians at M points.

    Up to `made` parameters the matrices themselves are made, since MINRES takes about P products anyway and many small
    ones cost more than one large batch; beyond, the graphs of the gradients are kept as far as the budget goes.
    """

    def __init__(self, field: Field, Y: Tensor):
        self.field, self.count, self.matrices = field, len(Y), None
        if field.size <= field.made and 8 * len(Y) * field.size**2 <= field.memory:
            self.matrices = field.hessians(Y)
            return
        self.hessians = MemberHessians(field.objective, field.objective.tree(Y), memory=field.memory)

    def __call__(self, V: Tensor, rows: Tensor | None = None) -> Tensor:
        """Multiply V (m, P) by the Hessians of these rows (m,), increasing; of all M without."""
        if self.matrices is not None:
            H = self.matrices if rows is None or len(rows) == self.count else self.matrices[rows]
            return (H @ V[:, :, None])[..., 0]
        rows = torch.arange(self.count) if rows is None else rows.cpu()
        self.field.gradients += (2 if self.hessians.kept else 3) * len(rows)
        return self.hessians.product(V, rows)


def in_double(objective: Objective) -> Objective:
    """The same objective in float64: itself if it is that already, or a copy."""
    tensors = [*objective.model.parameters(), *objective.model.buffers()]
    floats = [t for t in tensors if t.is_floating_point()]
    floats += [t for batch in objective.batches for t in batch if t.is_floating_point()]
    if all(t.dtype == torch.float64 for t in floats):
        return objective
    double = copy.copy(objective)
    double.model = copy.deepcopy(objective.model).double()
    double.batches = [(_double(x), _double(y)) for x, y in objective.batches]
    return double


def _double(t: Tensor) -> Tensor:
    return t.double() if t.is_floating_point() else t
