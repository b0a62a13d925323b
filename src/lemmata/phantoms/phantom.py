"""`Phantom`: a problem with its exact value, gradient and Hessian."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.nets.initialisations import generator_from
from lemmata.objective import Loss, Mode, Objective

F64 = torch.float64
Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class Phantom:
    """A problem (model, loss, data) with its value, gradient (P,) and Hessian (P, P) at the model's own parameters.

    The order of the P parameters is that of `Objective.vector`. `polynomial` says that the loss is a quadratic in the
    parameters everywhere, so that `surface` is exact.

    >>> from lemmata.phantoms import quadratic
    >>> phantom = quadratic([3.0, 1.0, -2.0], seed=0)
    >>> phantom.eigenvalues.round(decimals=6).tolist(), round(phantom.trace, 6)
    ([3.0, 1.0, -2.0], 2.0)
    """

    name: str
    model: nn.Module
    loss: Loss
    data: tuple[Tensor, Tensor]
    value: float
    gradient: Tensor
    hessian: Tensor
    polynomial: bool = False
    mode: Mode | None = None

    @property
    def objective(self) -> Objective:
        """The objective: a new one, with its own copies."""
        return Objective(self.model, loss=self.loss, data=self.data, mode=self.mode)

    @property
    def subject(self) -> tuple[nn.Module, Loss, tuple[Tensor, Tensor]]:
        """What the objective is made of, as instruments take it too."""
        return self.model, self.loss, self.data

    @property
    def size(self) -> int:
        """The number of parameters P."""
        return len(self.gradient)

    @property
    def eigenvalues(self) -> Tensor:
        """The spectrum of the Hessian (P,), the largest first."""
        return torch.linalg.eigvalsh(self.hessian).flip(0)

    @property
    def trace(self) -> float:
        """The trace of the Hessian."""
        return float(self.hessian.trace())

    @property
    def diagonal(self) -> Tensor:
        """The diagonal of the Hessian (P,)."""
        return self.hessian.diagonal().clone()

    def surface(self, displacement: Tensor) -> Tensor:
        """The loss at the parameters plus `displacement` (..., P): (...,), in closed form.

        Raises `InvalidInput` where the loss is no quadratic in the parameters.
        """
        if not self.polynomial:
            raise InvalidInput(f"the surface of {self.name!r} has no closed form; take quadratic or linear_regression")
        curved = ((displacement @ self.hessian) * displacement).sum(-1)
        return self.value + displacement @ self.gradient + curved / 2


def normals(seed: int | torch.Generator, *shapes: tuple[int, ...]) -> list[Tensor]:
    """Standard normal tensors of these shapes, drawn one after the other, float64."""
    generator = generator_from(seed)
    return [torch.randn(shape, generator=generator, dtype=F64) for shape in shapes]


def filled(model: Model, state: Mapping[str, Tensor]) -> Model:
    """The model with these values put into its own tensors."""
    model.load_state_dict({**model.state_dict(), **state})
    return model
