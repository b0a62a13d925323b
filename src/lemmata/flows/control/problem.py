"""Training as optimal control: states, controls, what is minimised.

    min_theta  J = 1/n sum_i Phi(y_i(T)) + int L(theta(t)) dt,    y_i' = f(y_i, theta(t)),  y_i(0) = x_i

as a method with steps of length h sees it: y_{n+1} = y_n + h f_h(y_n, theta_n), where f_h is the mean velocity over the
step (f itself, for forward Euler). Everything here is exact for this discrete problem. Networks of one architecture are
members of one problem, with samples of their own, and are computed together.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad, vjp, vmap

from lemmata.errors import InvalidInput, LemmataError
from lemmata.flows.control.penalty import TimePenalty, rows_of
from lemmata.flows.field import UNFITTING, Velocity, shape_of
from lemmata.flows.flow import Flow
from lemmata.flows.layers import Residual
from lemmata.flows.required import require_kind, require_list
from lemmata.flows.state import packed, require_state, unpacked
from lemmata.given import require_callable, require_flag, require_tensor
from lemmata.training.losses import Loss, check_loss, losses_of

Weights = tuple[Tensor, ...]  # each (N, nodes, *shape): the weights of every node of every step


class Problem:
    """M flows of one architecture, their samples, and what they are to minimise.

    x is (n, ...) or, if each member has its own samples, (M, n, ...); targets likewise. `loss` is a name or callable as
    `lemmata.training.train` takes it, of what `head` makes of the final states (n, ...), which are themselves what the
    loss sees if there is no head. The head is held: only the flow is a control, all its coefficients, frozen or not.

    States are handled as rows (n, width), q before p where they are pairs. Raises `InvalidInput` for flows whose
    weights are not coefficients in a basis, and for what does not fit.
    """

    def __init__(
        self,
        flows: Flow | Sequence[Flow],
        x: Tensor,
        y: Tensor,
        *,
        loss: Loss = "mse",
        head: Callable[[Any], Tensor] | None = None,
        penalty: TimePenalty | None = None,
        own_data: bool = False,
    ):
        self.flows = [flows] if isinstance(flows, Flow) else require_list(flows, "flows", "[flow]")
        if isinstance(flows, nn.Sequential):
            raise InvalidInput("flows: a Sequential, which is a network; give its flows.Flow, and what follows as head")
        if not self.flows or not all(isinstance(flow, Flow) for flow in self.flows):
            raise InvalidInput("give a flows.Flow, or a sequence of at least one")
        first, members = self.flows[0], len(self.flows)
        if not isinstance(first.field, Residual):
            raise InvalidInput(
                f"{type(first.field).__name__} has no weights in a basis of time; give a residual layer, as flows.Plain"
            )
        self.field: Residual = first.field
        self.method, self.grid = first.method, first.grid
        if not all(_alike(flow, first) for flow in self.flows):
            raise InvalidInput("the flows differ in architecture; members are of one field, basis, method and grid")
        if first.grid.T != first.field.basis.T:
            raise InvalidInput(
                f"the flow runs to T = {first.grid.T:g}, its weights are functions on [0, {first.field.basis.T:g}]; "
                f"give both one end of time"
            )
        check_loss(loss)
        self.loss, self.head = loss, None if head is None else require_callable(head, "head")
        example = "control.TimePenalty(tikhonov=1e-3)"
        self.penalty = TimePenalty() if penalty is None else require_kind(penalty, TimePenalty, "penalty", example)
        require_flag(own_data, "own_data")
        x, y = require_tensor(x, "samples x"), require_tensor(y, "targets y")
        if not x.ndim > own_data or not y.ndim > own_data or not x.numel() or not y.numel():
            raise InvalidInput(f"x {tuple(x.shape)}, y {tuple(y.shape)}; give (n, ...), or (M, n, ...) with own_data")
        if own_data and not len(x) == len(y) == members:
            raise InvalidInput(f"x has {len(x)} and y {len(y)} members; there are {members} flows")
        self.x, self.y = (part if own_data else part.expand(members, *part.shape) for part in (x, y))
        if self.x.shape[1] != self.y.shape[1]:
            raise InvalidInput(f"{self.x.shape[1]} samples but {self.y.shape[1]} targets; give one target a sample")
        require_state(self.start, self.field, "x")
        self._require_loss()

    def _require_loss(self) -> None:
        """Refuse a head or a loss that do not fit states and targets, tried on those of the first member at time 0."""
        try:
            with torch.no_grad():
                value = self.terminal(packed(self.start), self.y[0])
        except LemmataError:
            raise
        except UNFITTING as failed:
            raise InvalidInput(
                f"head {self.head!r:.80} and loss {self.loss!r:.80} give nothing of states {tuple(self.x.shape[1:])} "
                f"and targets {tuple(self.y.shape[1:])} in {self.y.dtype}: {failed}; give those that fit"
            ) from failed
        if not isinstance(value, Tensor) or value.shape or not value.is_floating_point():
            raise InvalidInput(f"loss {self.loss!r:.80} gave {shape_of(value)}; it must give one number a member")

    @property
    def h(self) -> float:
        """The length of a step."""
        return self.grid.h

    @property
    def coefficients(self) -> dict[str, Tensor]:
        """The weights' coefficients, each (M, size, *shape); copies."""
        names = self.field.coefficients
        return {name: torch.stack([flow.field.coefficients[name].detach() for flow in self.flows]) for name in names}  # type: ignore[union-attr]

    @cached_property
    def start(self) -> Any:
        """One member's state at time 0, as the flow takes it: what rows are shaped like."""
        return self.flows[0].start(self.x[0])

    @cached_property
    def rows(self) -> Tensor:
        """The states at time 0 as rows: (M, n, width)."""
        return vmap(lambda x: packed(self.flows[0].start(x)))(self.x)

    def nodes(self, coefficients: dict[str, Tensor]) -> Weights:
        """Give one member's weights at the nodes of all steps, each (N, nodes, *shape)."""
        times, inside = self.grid.nodes(self.method.nodes)
        split = (self.grid.steps, len(self.method.nodes))
        stacks = (self.field.basis.evaluate(theta, times, inside) for theta in coefficients.values())
        return tuple(stack.unflatten(0, split) for stack in stacks)

    def step(self, rows: Tensor, weights: Weights) -> Tensor:
        """Give the rows (n, width) one step on, with the weights at its nodes, each (nodes, *shape)."""
        held = [Velocity(self.field, node) for node in zip(*(w.unbind(0) for w in weights), strict=True)]
        return packed(self.method.step(held, unpacked(rows, self.start), self.h))

    def velocity(self, rows: Tensor, weights: Weights) -> Tensor:
        """Give f_h, the mean velocity over the step: (n, width)."""
        return (self.step(rows, weights) - rows) / self.h

    def terminal(self, rows: Tensor, y: Tensor) -> Tensor:
        """Give the mean loss of one member's final rows: ()."""
        final = unpacked(rows, self.start)
        final = final[0] if isinstance(final, tuple) else final  # as a flow answers
        outputs = final if self.head is None else self.head(final)
        if not isinstance(outputs, Tensor):
            raise InvalidInput(f"head {self.head!r:.80} gave a {type(outputs).__name__}; it must give one tensor")
        return losses_of(outputs[None], y[None], self.loss)[0]

    def states(self, weights: Weights) -> Tensor:
        """Give the states at all times, (M, N + 1, n, width), of weights (M, N, nodes, *shape)."""
        rows = [self.rows]
        for n in range(self.grid.steps):
            rows.append(vmap(self.step)(rows[-1], tuple(w[:, n] for w in weights)))
        return torch.stack(rows, 1)

    def losses(self, final: Tensor) -> Tensor:
        """Give the members' mean losses of their final rows (M, n, width): (M,)."""
        return vmap(self.terminal)(final, self.y)

    def costates(self, states: Tensor, weights: Weights) -> Tensor:
        """Give p_n = p_{n+1} + h grad_y (p_{n+1} . f_h), p_N = -grad Phi, of single samples' losses: as `states`.

        They are -n times the derivatives of the mean loss by the states.
        """

        def back(rows: Tensor, weights: Weights, p: Tensor) -> Tensor:
            return vjp(lambda r: self.step(r, weights), rows)[1](p)[0]

        samples = states.shape[2]
        p = [-samples * vmap(grad(self.terminal))(states[:, -1], self.y)]
        for n in reversed(range(self.grid.steps)):
            p.append(vmap(back)(states[:, n], tuple(w[:, n] for w in weights), p[-1]))
        return torch.stack(p[::-1], 1)

    def penalties(self, coefficients: dict[str, Tensor]) -> Tensor:
        """Give what the members' weights cost over time: (M,)."""
        values = [self.penalty.of(self.field.basis, rows_of(theta)) for theta in coefficients.values()]
        return torch.stack(values).sum(0)


def _alike(flow: Flow, other: Flow) -> bool:
    """Whether two flows differ in nothing but their weights."""
    mine, its = dict(flow.named_buffers()), dict(other.named_buffers())
    return (str(flow), flow.grid, flow.method.name) == (str(other), other.grid, other.method.name) and all(
        name in its and torch.equal(buffer, its[name]) for name, buffer in mine.items()
    )


def installed(problem: Problem, coefficients: dict[str, Tensor]) -> list[Flow]:
    """Give copies of the problem's flows with these coefficients (M, size, *shape)."""
    flows = [copy.deepcopy(flow) for flow in problem.flows]
    for m, flow in enumerate(flows):
        for name, theta in coefficients.items():
            parameter = flow.field.coefficients[name]  # type: ignore[union-attr]
            assert isinstance(parameter, nn.Parameter)
            parameter.data = theta[m].clone()
    return flows


def require_problem(problem: object) -> Problem:
    """Give a problem back."""
    return require_kind(problem, Problem, "problem", "control.Problem(flow, x, y)")
