"""Integrals along the trajectories of a flow: states that are longer by what is summed up.

The state (y, c) with y' = f(t, y), c' = q(f, y) is taken through the flow's own steps, so that c(T) = int q dt is as
accurate as y(T), and both can be differentiated: regularisation of a flow is a loss of c(T).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.flows.field import Partitioned, State, VectorField, asked, refusing, shape_of
from lemmata.flows.flow import Flow, require_flow
from lemmata.flows.integrate import march, require_finite_way
from lemmata.flows.regularised.quantities import Quantity
from lemmata.flows.required import require_kind, require_list, require_rows
from lemmata.given import require_callable, require_model, require_number, require_tensor
from lemmata.training.losses import Loss, check_loss, losses_of


class Extended(VectorField):
    """A field whose states (n, width + k) have k columns behind for the integrals of k quantities."""

    def __init__(self, field: VectorField, quantities: Sequence[Quantity]):
        super().__init__()
        if isinstance(field, Partitioned):
            raise InvalidInput(
                f"{type(field).__name__} moves pairs (q, p); integrals along are of fields of one tensor"
            )
        self.field, self.T = field, field.T
        self.quantities = require_quantities(quantities)

    def weights_at(self, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
        """Give the field's own."""
        return self.field.weights_at(times, inside)

    def velocity(self, y: State, *weights: Tensor) -> State:
        """Give the velocity of the states, and beside it the quantities."""
        rows = y[:, : y.shape[1] - len(self.quantities)]

        def rule(z: Tensor) -> Tensor:
            return asked(self.field, self.field.velocity, z, weights)

        columns = [self._of(quantity, rule, rows, weights)[:, None] for quantity in self.quantities]
        return torch.cat([rule(rows), *columns], 1)

    def _of(self, quantity: Quantity, rule: Callable[[Tensor], Tensor], rows: Tensor, weights: Any) -> Tensor:
        """A quantity of the velocity, or one that knows the field itself, as its potential."""
        own = getattr(quantity, "of_field", None)
        found = quantity(rule, rows) if own is None else own(self.field, rows, weights)
        if not isinstance(found, Tensor) or found.shape != rows.shape[:1] or found.dtype != rows.dtype:
            given = f"{tuple(found.shape)} in {found.dtype}" if isinstance(found, Tensor) else type(found).__name__
            raise InvalidInput(
                f"quantity {getattr(quantity, '__name__', type(quantity).__name__)} gave {given} for states "
                f"{tuple(rows.shape)} in {rows.dtype}; it must give one number a sample, in the states' dtype"
            )
        return found


def integrals(flow: Flow, x: Tensor, quantities: Sequence[Quantity]) -> tuple[Tensor, Tensor]:
    """Give y(T), (n, width), and the integrals (n, k) of the quantities along the way from y(0) = x, (n, width).

    >>> from lemmata import flows
    >>> from lemmata.flows.regularised import kinetic
    >>> class Drift(nn.Module):
    ...     def forward(self, t, y):
    ...         return torch.ones_like(y)
    >>> integrals(flows.Flow(Drift(), steps=4, T=2.0), torch.zeros(1, 2), [kinetic])
    (tensor([[2., 2.]]), tensor([[2.]]))
    """
    field = Extended(require_flow(flow).field, quantities)
    require_rows(x, "x")
    state = start = torch.cat([x, x.new_zeros(len(x), len(field.quantities))], 1)
    for moved in march(field, start, flow.grid, flow.method):
        state = moved
    if flow.check:
        require_finite_way(field, start, state, flow.grid, flow.method)
    return state[:, : x.shape[1]], state[:, x.shape[1] :]


def require_quantities(quantities: object) -> list[Quantity]:
    """Give functions (velocity, rows) -> (n,) back."""
    return [
        require_callable(quantity, "quantities") for quantity in require_list(quantities, "quantities", "[kinetic]")
    ]


class Costed(nn.Module):
    """A flow whose answer has the integrals of its quantities as last columns: what `train` can weigh in a loss.

    `head` sees y(T) alone. With `costed_loss` it trains under any of the penalties:

    >>> from lemmata import flows, training
    >>> from lemmata.flows.regularised import kinetic
    >>> net = Costed(flows.Flow(flows.Plain(2, flows.PiecewiseConstant(4)), steps=4), {"kinetic": kinetic})
    >>> x, y = torch.eye(2), torch.tensor([0, 1])
    >>> loss = costed_loss("cross_entropy", [0.1])
    >>> run = training.train([net], x, y, loss=loss, optimiser=training.GD(lr=0.1), epochs=2)
    >>> run.model(0)(x).shape
    torch.Size([2, 3])
    """

    def __init__(self, flow: Flow, quantities: Mapping[str, Quantity], *, head: nn.Module | None = None):
        super().__init__()
        require_kind(quantities, Mapping, "quantities", "{'kinetic': kinetic}")
        self.flow, self.head = require_flow(flow), nn.Identity() if head is None else require_model(head)
        self.names, self.quantities = list(quantities), require_quantities(quantities.values())

    def forward(self, x: Tensor) -> Tensor:
        """Give the outputs, and behind them the integrals in the order of the names."""
        final, costs = integrals(self.flow, x, self.quantities)
        with refusing(
            f"head {type(self.head).__name__} does not take what the flow gives, {shape_of(final)}",
            "give one that fits",
        ):
            outputs = self.head(final)
        if not isinstance(outputs, Tensor) or outputs.ndim != 2 or len(outputs) != len(costs):
            raise InvalidInput(
                f"head {type(self.head).__name__} gave {shape_of(outputs)} for {len(costs)} samples; it must give a "
                f"tensor (samples, outputs), behind which the integrals come"
            )
        return torch.cat([outputs, costs], 1)


def costed_loss(loss: Loss, factors: Sequence[float]) -> Callable[[Tensor, Tensor], Tensor]:
    """Give the loss of a `Costed` net: `loss` of its outputs + sum_k factors[k] mean_i cost_ik."""
    check_loss(loss)
    weights = torch.tensor([_factor(factor) for factor in require_list(factors, "factors", "[0.1]")])
    count = len(weights)

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        if require_tensor(outputs, "outputs").ndim != 2 or outputs.shape[1] < count:
            raise InvalidInput(f"outputs {tuple(outputs.shape)} for {count} factors; give those of a Costed net")
        own, costs = outputs[:, : outputs.shape[1] - count], outputs[:, outputs.shape[1] - count :]
        plain = losses_of(own[None], targets[None], loss)[0]
        return plain + (costs.mean(0) * weights.to(costs)).sum()

    return total


def _factor(value: object) -> float:
    factor = require_number(value, "factors")
    if not math.isfinite(factor):
        raise InvalidInput(f"factors: {factor}; a cost's factor is a finite number")
    return factor
