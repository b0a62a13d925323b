"""Chains of steps x_{n+1} = Phi_n(x_n), any regular subset of which is taken in one batched call.

Forwards Phi_n is a step of a one-step method, backwards the transpose of its Jacobian at the state that it started
from: the adjoint. Both have the three moves of which multigrid in layers consists: one step, all steps at once, and the
i-th step of every chunk at once. States are packed: the pair (q, p) is one tensor with a leading axis of 2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import vmap

from lemmata.flows.field import State, VectorField, Velocity
from lemmata.flows.grid import Grid
from lemmata.flows.methods import Method


def packed(y: State) -> Tensor:
    """Give a pair (q, p) as one tensor (2, ...), a tensor as it is."""
    return torch.stack(y) if isinstance(y, tuple) else y


def unpacked(x: Tensor, pair: bool, axis: int = 0) -> State:
    """Give the pair back that was packed along `axis`."""
    return x.unbind(axis) if pair else x


class Chain(ABC):
    """`steps` maps; `applied` counts how many were applied so far."""

    steps: int
    applied: int = 0

    @abstractmethod
    def one(self, j: int, x: Tensor) -> Tensor:
        """Apply the j-th map to a state."""

    @abstractmethod
    def _relax(self, i: int, m: int, x: Tensor) -> Tensor: ...

    def relax(self, i: int, m: int, x: Tensor) -> Tensor:
        """Apply the maps i, i + m, i + 2m, ... to the states x (steps / m, ...), in one call."""
        self.applied += len(x)
        return self._relax(i, m, x)

    def each(self, x: Tensor) -> Tensor:
        """Apply the n-th map to x[n], for all n in one call."""
        return self.relax(0, 1, x)


class Steps(Chain):
    """`steps` steps of a method over `every` fine steps each, from the fine step `first` on.

    `graph` keeps how the weights came about, for `pull`.
    """

    def __init__(
        self, field: VectorField, grid: Grid, method: Method, *,
        first: int, every: int, steps: int, pair: bool, graph: bool = False,
    ):  # fmt: skip
        self.steps, self.field = steps, field
        begin, h = grid.times[first : first + steps * every : every], grid.h * every
        at = begin[:, None] + h * torch.tensor(method.nodes, dtype=torch.float64)
        inside = (begin + h / 2)[:, None].expand_as(at)
        with torch.set_grad_enabled(graph):
            stacks = field.weights_at(at.reshape(-1), inside.reshape(-1))
            self.stacks = tuple(stack.unflatten(0, at.shape) for stack in stacks)
        self.weights = tuple(stack.detach() for stack in self.stacks)
        self.phi = step(field, method, h, pair)
        self._each: list[tuple[Tensor, ...]] | None = None

    def weights_of(self, at: int | slice) -> tuple[Tensor, ...]:
        """The weights of a step, or of several, stacked."""
        return tuple(weight[at] for weight in self.weights)

    def one(self, j: int, x: Tensor) -> Tensor:
        """Take the j-th step from x."""
        self.applied += 1
        return self.phi(x, *self.weights_of(j))

    def _relax(self, i: int, m: int, x: Tensor) -> Tensor:
        return vmap(self.phi)(x, *self.weights_of(slice(i, None, m)))

    def pull(self, cotangents: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
        """Give the gradient of the field's parameters from that of the weights (steps, nodes, *shape)."""
        parameters = [p for p in self.field.parameters() if p.requires_grad]
        moved = [(w, c) for w, c in zip(self.stacks, cotangents, strict=True) if w.requires_grad]
        if not (parameters and moved):
            return (None,) * len(parameters)
        weights, back = zip(*moved, strict=True)
        return torch.autograd.grad(weights, parameters, back, allow_unused=True)


def step(field: VectorField, method: Method, h: float, pair: bool) -> Callable[..., Tensor]:
    """Give one step as a pure function of a packed state and of weights (nodes, *shape)."""

    def phi(x: Tensor, *weights: Tensor) -> Tensor:
        nodes = zip(*(weight.unbind(0) for weight in weights), strict=True) if weights else [()] * len(method.nodes)
        f = [Velocity(field, tuple(held)) for held in nodes]
        return packed(method.step(f, unpacked(x, pair), h))

    return phi


class Transposed(Chain):
    """The adjoint of a chain of steps at given states, last step first: lambda_n = (d Phi_n / d y)^T lambda_{n+1}.

    `points` (steps, ...) are the states that the steps start from. A step is linearised when it is first asked for; its
    graph is kept, so that each further application costs a backward pass only.
    """

    def __init__(self, forward: Steps, points: Tensor):
        self.steps, self.forward, self.points = forward.steps, forward, points.detach()
        self._graphs: dict[tuple[int, int], tuple[Tensor, Tensor, tuple[Tensor, ...]]] = {}

    def one(self, j: int, x: Tensor) -> Tensor:
        """Take the j-th transposed step, counted from the last."""
        self.applied += 1
        end, start, _ = self._graph(self.steps - 1 - j, 0)
        return torch.autograd.grad(end, start, x, retain_graph=True)[0]

    def _relax(self, i: int, m: int, x: Tensor) -> Tensor:
        end, start, _ = self._graph(m - 1 - i, m)
        return torch.autograd.grad(end, start, x.flip(0), retain_graph=True)[0].flip(0)

    def cotangents(self, m: int, end: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Give the gradient of the weights (steps, nodes, *shape).

        `end[i]` (steps / m, ...) are the adjoint states at the ends of the i-th steps of all chunks, in time's order.
        """
        whole = tuple(torch.zeros_like(weight) for weight in self.forward.weights)
        if not any(stack.requires_grad for stack in self.forward.stacks):
            return whole
        for i in range(m):
            out, _, weights = self._graph(i, m)
            moved = [k for k, weight in enumerate(weights) if weight.requires_grad]
            found = torch.autograd.grad(out, [weights[k] for k in moved], end[i], retain_graph=True, allow_unused=True)
            for k, part in zip(moved, found, strict=True):
                if part is not None:
                    whole[k][i::m] = part
        return whole

    def _graph(self, i: int, m: int) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Linearise the i-th step of every chunk of m, or with m = 0 the i-th step alone."""
        if (i, m) not in self._graphs:
            at, phi = (slice(i, None, m), vmap(self.forward.phi)) if m else (i, self.forward.phi)
            start = self.points[at].detach().requires_grad_()
            weights = tuple(
                part.detach().requires_grad_(stack.requires_grad)
                for part, stack in zip(self.forward.weights_of(at), self.forward.stacks, strict=True)
            )
            with torch.enable_grad():
                self._graphs[i, m] = phi(start, *weights), start, weights
        return self._graphs[i, m]
