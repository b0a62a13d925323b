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

from lemmata.flows.field import State, VectorField, Velocity, stacked
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

    `graph` keeps how the weights came about, for `pull`. `weights` are (steps, nodes, *shape), or (1, *shape) where all
    steps share one.
    """

    def __init__(
        self, field: VectorField, grid: Grid, method: Method, *,
        first: int, every: int, steps: int, pair: bool, graph: bool = False,
    ):  # fmt: skip
        self.steps, self.field = steps, field
        begin, h = grid.times[first : first + steps * every : every], grid.h * every
        at = begin[:, None] + h * torch.tensor(method.nodes, dtype=torch.float64)
        inside = (begin + h / 2)[:, None].expand_as(at)
        self.trained = [p for p in field.parameters() if p.requires_grad]
        with torch.set_grad_enabled(graph):
            stacks = stacked(field, at.reshape(-1), inside.reshape(-1))
            self.tied = [len(stack) == 1 < at.numel() for stack in stacks]
            self.stacks = tuple(
                stack if tied else stack.unflatten(0, at.shape) for stack, tied in zip(stacks, self.tied, strict=True)
            )
        self.weights = tuple(stack.detach() for stack in self.stacks)
        self.phi = step(field, method, h, pair)
        self.phis = vmap(self.phi, in_dims=(0, *(None if tied else 0 for tied in self.tied)))

    def weights_of(self, at: int | slice) -> tuple[Tensor, ...]:
        """The weights of a step, or of several, stacked, and those that all share."""
        return tuple(weight if tied else weight[at] for weight, tied in zip(self.weights, self.tied, strict=True))

    def one(self, j: int, x: Tensor) -> Tensor:
        """Take the j-th step from x."""
        self.applied += 1
        return self.phi(x, *self.weights_of(j))

    def _relax(self, i: int, m: int, x: Tensor) -> Tensor:
        return self.phis(x, *self.weights_of(slice(i, None, m)))

    def pull(self, cotangents: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
        """Give the gradient of the parameters that were trained when the steps were made, from that of the weights.

        Those that were frozen since have None.
        """
        wanted = [p for p in self.trained if p.requires_grad]
        moved = [(w, c) for w, c in zip(self.stacks, cotangents, strict=True) if w.requires_grad]
        if not (wanted and moved):
            return (None,) * len(self.trained)
        weights, back = zip(*moved, strict=True)
        found = iter(torch.autograd.grad(weights, wanted, back, allow_unused=True))
        return tuple(next(found) if p.requires_grad else None for p in self.trained)


def step(field: VectorField, method: Method, h: float, pair: bool) -> Callable[..., Tensor]:
    """Give one step as a pure function of a packed state and of weights (nodes, *shape) or (1, *shape)."""
    count = len(method.nodes)

    def phi(x: Tensor, *weights: Tensor) -> Tensor:
        at_nodes = (weight.expand(count, *weight.shape[1:]).unbind(0) for weight in weights)
        nodes = zip(*at_nodes, strict=True) if weights else [()] * count
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
        """Give the gradient of the weights, in their shapes.

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
                if part is not None and self.forward.tied[k]:
                    whole[k].add_(part)
                elif part is not None:
                    whole[k][i::m] = part
        return whole

    def _graph(self, i: int, m: int) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Linearise the i-th step of every chunk of m, or with m = 0 the i-th step alone."""
        if (i, m) not in self._graphs:
            at, phi = (slice(i, None, m), self.forward.phis) if m else (i, self.forward.phi)
            start = self.points[at].detach().requires_grad_()
            weights = tuple(
                part.detach().requires_grad_(stack.requires_grad)
                for part, stack in zip(self.forward.weights_of(at), self.forward.stacks, strict=True)
            )
            with torch.enable_grad():
                self._graphs[i, m] = phi(start, *weights), start, weights
        return self._graphs[i, m]
