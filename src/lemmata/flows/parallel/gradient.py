"""Gradients by multigrid in layers: states forwards, adjoint states backwards, then all layers' weights at once.

Backwards the equations are lambda_n = (d Phi_n / d y)^T lambda_{n+1}, from lambda_N = dL/dy_N: the adjoint of the
discrete problem, linearised at the states that the forward solve found, so that it is exact where both are solved
exactly (discretise, then optimise). Stopped early, either leaves an error in the gradient of its residual's order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lemmata.errors import InvalidInput
from lemmata.flows.field import Partitioned, State, VectorField
from lemmata.flows.flow import Flow, require_flow
from lemmata.flows.parallel.chain import packed
from lemmata.flows.parallel.scheme import Multigrid, Stop, scheme_of
from lemmata.flows.parallel.solution import Solution
from lemmata.flows.parallel.solve import Layers, packed_states, team_of
from lemmata.flows.required import loss_at
from lemmata.flows.state import require_state
from lemmata.given import require_callable, require_flag, require_tensor


@dataclass(frozen=True, eq=False)
class Gradient:
    """A loss, its gradient, and the two solves that it came from.

    Attributes:
        value: The loss at the states found.
        parameters: The gradient of each of the field's parameters that is trained, by name.
        y0: The gradient of the first state.
        forward: The solve for the states.
        adjoint: The solve for the adjoint states.
    """

    value: float
    parameters: Mapping[str, Tensor]
    y0: State
    forward: Solution
    adjoint: Solution

    def error(self, exact: Mapping[str, Tensor]) -> float:
        """Give the relative error in norm over all parameters, against the gradient by `serial_gradient`, say."""
        if not isinstance(exact, Mapping) or set(exact) != set(self.parameters):
            given = sorted(exact) if isinstance(exact, Mapping) else type(exact).__name__
            raise InvalidInput(f"exact has {given}, this gradient {sorted(self.parameters)}")
        for name, g in self.parameters.items():
            if require_tensor(exact[name], f"exact[{name!r}]").shape != g.shape:
                raise InvalidInput(f"exact[{name!r}] is {tuple(exact[name].shape)}; the gradient is {tuple(g.shape)}")
        off = sum(float((g - exact[name]).double().square().sum()) for name, g in self.parameters.items())
        size = sum(float(g.double().square().sum()) for g in exact.values())
        return float((off / size) ** 0.5) if size else float(off > 0)


def gradient(
    flow: Flow, loss: Callable[[Any], Tensor], y0: State, *, scheme: Multigrid | None = None,
    tol: float | None = 1e-6, iterations: int | None = None,
    adjoint_tol: float | None = None, adjoint_iterations: int | None = None, team: Any = None,
) -> Gradient:  # fmt: skip
    """Give loss(flow(y0)) and its gradient, all layers at once in either direction.

    `loss` takes what the flow gives and returns a scalar. `tol` and `iterations` are as for `mgrit`; the adjoint has
    the same unless it is given its own. Parameters of `loss` get no gradient here; `LayerParallel` is for a network.
    Cost: that of `mgrit` forwards; backwards one linearisation of N layers and a backward pass a relaxation.
    Raises `InvalidInput` and `NotConverged` as `mgrit` does, and `InvalidInput` for a loss that is no finite scalar.

    >>> from lemmata import flows
    >>> flow = flows.Flow(flows.Plain(2, flows.PiecewiseConstant(16)), steps=16)
    >>> found = gradient(flow, lambda y: y.square().sum(), torch.ones(3, 2), scheme=Multigrid(m=4))
    >>> found.error(serial_gradient(flow, lambda y: y.square().sum(), torch.ones(3, 2))) < 1e-4
    True
    """
    require_callable(loss, "loss")
    state, alone = started(flow, y0)
    stop = Stop(tol, iterations)
    back = stop if adjoint_tol is None and adjoint_iterations is None else Stop(adjoint_tol, adjoint_iterations)
    layers = Layers(flow.field, flow.grid, flow.method, scheme_of(scheme), team)
    forward = layers.forwards(state, stop, graph=True)
    final = tuple(part.requires_grad_() for part in parts(forward.final))
    with torch.enable_grad():
        value = loss_at(loss, final[0] if alone or len(final) == 1 else final)
        end = torch.autograd.grad(value, final, allow_unused=True)
    start = joined([torch.zeros_like(p) if g is None else g for p, g in zip(final, end, strict=True)])
    adjoint = layers.backwards(start, back)
    named = [(name, p) for name, p in flow.field.named_parameters() if p.requires_grad]
    found = layers.fine.gradient()
    gradients = {
        name: torch.zeros_like(p) if g is None else g for (name, p), g in zip(named, found, strict=True)
    }  # fmt: skip
    first = adjoint.final[0] if alone else adjoint.final
    return Gradient(value.item(), gradients, first, forward, adjoint)


def serial_gradient(flow: Flow, loss: Callable[[Any], Tensor], y0: State) -> dict[str, Tensor]:
    """Give the gradient by running the layers one after the other and backpropagation, as a reference."""
    require_callable(loss, "loss")
    named = {name: p for name, p in require_flow(flow).field.named_parameters() if p.requires_grad}
    with torch.enable_grad():
        value = loss_at(loss, flow(y0))
        found = torch.autograd.grad(value, list(named.values()), allow_unused=True)
    return {
        name: torch.zeros_like(p) if g is None else g for (name, p), g in zip(named.items(), found, strict=True)
    }  # fmt: skip


class LayerParallel(nn.Module):
    """A `Flow` whose layers are solved all at once in either direction: a module for any network and optimiser.

    `iterations` of multigrid forwards and `adjoint_iterations` backwards (or to `tol` and `adjoint_tol`) in each pass;
    few of them give inexact gradients, which is often enough for training. With `warm` each solve starts from the
    states of the last one, if of the same shape: for full batches, where the solve and the training then converge
    together. `forward_solution` and `adjoint_solution` are those of the last pass. The parameters are the flow's.
    With a `team` of processes a pass must go backwards before the next one goes forwards, and always before weights are
    changed in place: backwards it is linearised at those that it had.

    >>> from lemmata import flows
    >>> flow = flows.Flow(flows.Plain(2, flows.PiecewiseConstant(16)), steps=16)
    >>> layers = LayerParallel(flow, scheme=Multigrid(m=4), iterations=2)
    >>> layers(torch.ones(3, 2)).sum().backward()
    >>> layers.adjoint_solution.iterations
    2
    """

    def __init__(
        self, flow: Flow, *, scheme: Multigrid | None = None, tol: float | None = None, iterations: int | None = 2,
        adjoint_tol: float | None = None, adjoint_iterations: int | None = None, warm: bool = False, team: Any = None,
    ):  # fmt: skip
        super().__init__()
        self.flow, self.scheme, self.warm = require_flow(flow), scheme_of(scheme), require_flag(warm, "warm")
        self.scheme.sizes(flow.grid.steps)
        self.ahead = self.back = Stop(tol, iterations)
        if adjoint_tol is not None or adjoint_iterations is not None:
            self.back = Stop(adjoint_tol, adjoint_iterations)
        self._team = team_of(team)
        self.forward_solution: Solution | None = None
        self.adjoint_solution: Solution | None = None

    def forward(self, y: State) -> State:
        """Give y(T)."""
        state, alone = started(self.flow, y)
        trained = [p for p in self.flow.field.parameters() if p.requires_grad]
        given = parts(state)
        found = _Solve.apply(self, len(given), *given, *trained)
        return found[0] if alone or not isinstance(state, tuple) else found

    def guess(self, last: Solution | None, state: State) -> Tensor | None:
        """The states of the last solve, where they are wanted and fit."""
        if not self.warm or last is None:
            return None
        states, first = packed_states(last.states), packed(state)
        return states if states.shape[1:] == first.shape and bool(torch.isfinite(states).all()) else None


class _Solve(torch.autograd.Function):
    """The solve as an operation: states and parameters in, y(T) out; backwards by the adjoint solve."""

    @staticmethod
    def forward(ctx: Any, module: LayerParallel, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        state, flow = joined(tensors[:count]), module.flow
        layers = Layers(flow.field, flow.grid, flow.method, module.scheme, module._team)
        guess = module.guess(module.forward_solution, state)
        module.forward_solution = layers.forwards(state, module.ahead, guess=guess, graph=any(ctx.needs_input_grad))
        ctx.module, ctx.layers, ctx.ticket = module, layers, getattr(module._team, "ticket", None)
        ctx.versions = _versions(flow.field)
        return parts(module.forward_solution.final)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *end: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        module, layers = ctx.module, ctx.layers
        if ctx.ticket != getattr(module._team, "ticket", None):
            raise InvalidInput(
                "the team has gone forwards again since; go backwards first, or take a team for each pass"
            )
        changed = [name for name, version in _versions(module.flow.field).items() if version != ctx.versions.get(name)]
        if changed:
            raise InvalidInput(
                f"{', '.join(changed)} changed in place since this pass went forwards, and its gradient would be of "
                f"neither; go backwards before the optimiser's step"
            )
        state = joined([part.contiguous() for part in end])
        guess = module.guess(module.adjoint_solution, state)
        module.adjoint_solution = layers.backwards(state, module.back, guess=guess)
        return None, None, *parts(module.adjoint_solution.final), *layers.fine.gradient()


def _versions(field: VectorField) -> dict[str, tuple[int, int]]:
    """Which tensors a field's weights are, and how often each was written to; inference tensors do not count."""
    tensors = (*field.named_parameters(), *field.named_buffers())
    return {name: (id(tensor), 0 if tensor.is_inference() else tensor._version) for name, tensor in tensors}


def started(flow: Flow, y: State) -> tuple[State, bool]:
    """Give the state that the flow starts from, and whether q alone was given and is wanted back."""
    alone = isinstance(require_flow(flow).field, Partitioned) and isinstance(y, Tensor)
    state: State = (y, torch.zeros_like(y)) if alone else y  # type: ignore[arg-type]
    require_state(state, flow.field)
    return state, alone


def parts(state: State) -> tuple[Tensor, ...]:
    """Give a state's tensors."""
    return tuple(state) if isinstance(state, tuple) else (state,)


def joined(tensors: Any) -> State:
    """Give the state of these tensors."""
    return tuple(tensors) if len(tensors) > 1 else tensors[0]
