"""What weights cost over time: int (tau/2 |theta|^2 + beta/2 |theta'|^2) dt, and training with it.

The second term is that of Haber and Ruthotto (2017): weights that change slowly from layer to layer keep a
deep network a discretisation of something. For weights that are constant on layers it is beta/2 sum_j |theta_{j+1} -
theta_j|^2 / h. Both are exact for every basis, as quadratic forms in the coefficients, at `size` products a weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.flows.basis import Basis, require_basis
from lemmata.flows.layers import Residual
from lemmata.given import require_model, require_number, require_tensor
from lemmata.training.ensemble import Ensemble
from lemmata.training.losses import losses_of
from lemmata.training.probes import Samples
from lemmata.training.recipe import Batch, Selecting


@dataclass(frozen=True)
class TimePenalty:
    """int (tikhonov/2 |theta|^2 + smoothness/2 |theta'|^2) dt over all weights of the fields of a model.

    It is a recipe of `lemmata.training.train`, which then minimises loss + penalty: `recipe=TimePenalty(...)`. The
    running loss of the training includes it, the training loss does not.

    >>> from lemmata import flows
    >>> field = flows.Plain(2, flows.PiecewiseConstant(4, T=2.0), gain=0.0)
    >>> _ = field.coefficients["b"].data.fill_(1.0)
    >>> [penalty(field).item() for penalty in (TimePenalty(tikhonov=1.0), TimePenalty(smoothness=1.0))]
    [2.0, 0.0]
    """

    tikhonov: float = 0.0
    smoothness: float = 0.0

    def __post_init__(self):
        for name in ("tikhonov", "smoothness"):
            value = require_number(getattr(self, name), name)
            if not (math.isfinite(value) and value >= 0):
                raise InvalidInput(f"{name} = {value}; a penalty's factor is a finite number, 0 or more")
            object.__setattr__(self, name, value)

    def matrix(self, basis: Basis) -> Tensor:
        """Give Q such that the penalty of coefficients theta in this basis is theta^T Q theta / 2: float64."""
        require_basis(basis)
        return self.tikhonov * basis.gram() + self.smoothness * basis.derivative_gram()

    def of(self, basis: Basis, coefficients: Tensor) -> Tensor:
        """Give the penalty of coefficients (..., size, shape) of `shape` axes flattened into one: (...)."""
        shape = tuple(require_tensor(coefficients, "coefficients").shape)
        if len(shape) < 2 or shape[-2] != require_basis(basis).size or not coefficients.is_floating_point():
            raise InvalidInput(
                f"coefficients {shape} in {coefficients.dtype} for {basis}; give floating (..., size, P)"
            )
        Q = self.matrix(basis).to(coefficients)
        return ((Q @ coefficients) * coefficients).sum((-2, -1)) / 2

    def __call__(self, model: nn.Module) -> Tensor:
        """Give the penalty of a model, which can be differentiated: ()."""
        parameters = {name: value[None] for name, value in require_model(model).named_parameters()}
        return self._total(fields_of(model), parameters)[0]

    def start(self, ensemble: Ensemble, samples: Samples, seeds: Sequence[int]) -> _Course:
        """Begin a training with this penalty."""
        return _Course(self, fields_of(ensemble.template))

    def _total(self, fields: Mapping[str, Residual], parameters: Mapping[str, Tensor]) -> Tensor:
        """The penalty of parameters (M, *shape), for each member: (M,)."""
        values = [
            self.of(field.basis, rows_of(parameters[f"{prefix}coefficients.{name}"]))
            for prefix, field in fields.items()
            for name in field.coefficients
        ]
        return torch.stack(values).sum(0)


class _Course(Selecting):
    """A training of members under a penalty; nothing is kept from batch to batch."""

    def __init__(self, penalty: TimePenalty, fields: Mapping[str, Residual]):
        self.penalty, self.fields = penalty, fields

    def batch(self, ensemble: Ensemble, x: Tensor, y: Tensor, *, epoch: int) -> Batch:
        """Leave the samples as they are, and add the penalty to the loss."""

        def loss(outputs: Tensor, targets: Tensor) -> Tensor:
            return losses_of(outputs, targets, ensemble.loss) + self.penalty._total(self.fields, ensemble.parameters)

        return Batch(x, y, loss)


def rows_of(coefficients: Tensor) -> Tensor:
    """Give coefficients (M, size, *shape) as (M, size, numbers)."""
    return coefficients.reshape(*coefficients.shape[:2], -1)


def fields_of(model: nn.Module) -> dict[str, Residual]:
    """Give the residual fields of a model by the prefix of their parameters' names.

    Raises `InvalidInput` where there are none.
    """
    fields = {f"{name}." if name else "": module for name, module in model.named_modules()}
    found = {prefix: module for prefix, module in fields.items() if isinstance(module, Residual)}
    if not found:
        raise InvalidInput(
            f"{type(model).__name__} holds no field with weights in a basis of time; give one, as flows.Plain"
        )
    return found
