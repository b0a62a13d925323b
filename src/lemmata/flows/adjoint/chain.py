"""The steps of a flow as pure functions of a state and of stacked weights, so that each can be taken again.

A state is a tuple of its parts here, (y,) or (q, p). Weights come as `stacks`: (N * nodes, *shape) each, step after
step, or (1, *shape) where all steps share one. Under `torch.vmap` a chain is that of all members at once: `levels` says
which tensors have an axis of members, innermost first, and a step of the chain is the vmap of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import vjp

from lemmata.flows.field import State, VectorField, Velocity, stacked
from lemmata.flows.grid import Grid
from lemmata.flows.methods import Method

Parts = tuple[Tensor, ...]
Level = tuple[int | None, ...]


def stacked_weights(field: VectorField, grid: Grid, nodes: tuple[float, ...]) -> Parts:
    """Give the weights at all nodes of all steps, each once if the steps share it."""
    return stacked(field, *grid.nodes(nodes))


@dataclass(frozen=True, eq=False)
class Chain:
    """A field, a method and a grid; weights are held at `nodes` of each step, a state has `parts` tensors."""

    field: VectorField
    method: Method
    grid: Grid
    parts: int
    nodes: tuple[float, ...]
    levels: tuple[Level, ...] = ()

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return self.grid.steps

    def held(self, rows: Sequence[Tensor]) -> list[Velocity]:
        """Hold the field at the nodes of one step, given the weights there: (nodes, *shape) each, or (1, *shape)."""
        width = len(self.nodes)
        at_nodes = [row.expand(width, *row.shape[1:]).unbind(0) for row in rows]
        return [Velocity(self.field, tuple(node[i] for node in at_nodes)) for i in range(width)]

    def at(self, nodes: Sequence[float], rows: Sequence[Tensor]) -> list[Velocity]:
        """Hold the field at some of the nodes of one step."""
        held = self.held(rows)
        return [held[self.index(node)] for node in nodes]

    def index(self, node: float) -> int:
        """The number of a node."""
        return min(range(len(self.nodes)), key=lambda i: abs(self.nodes[i] - node))

    def axis(self, stack: int) -> int:
        """The axis of a stack along which the steps lie: behind those of the members."""
        return sum(level[self.parts + stack] is not None for level in self.levels)

    def shared(self, stack: int) -> list[int]:
        """The axes of members, outermost first, that a stack does not have."""
        return [at for at, level in enumerate(reversed(self.levels)) if level[self.parts + stack] is None]

    def rows(self, n: int, stacks: Sequence[Tensor]) -> Parts:
        """Give the weights of step n (from 0), as views."""
        width = len(self.nodes)
        return tuple(
            stack.narrow(self.axis(i), n * width, width) if self.whole(i, stack) else stack
            for i, stack in enumerate(stacks)
        )

    def whole(self, i: int, stack: Tensor) -> bool:
        """Whether each step has weights of its own in this stack."""
        return stack.shape[self.axis(i)] == self.steps * len(self.nodes)

    def step(self, n: int, state: Parts, stacks: Sequence[Tensor]) -> Parts:
        """Give the state after step n."""
        return self.mapped(self._step)(*state, *self.rows(n, stacks))

    def back(self, n: int, state: Parts, stacks: Sequence[Tensor]) -> Parts:
        """Give the state before step n of a reversible method."""
        return self.mapped(self._back)(*state, *self.rows(n, stacks))

    def run(self, first: int, last: int, state: Parts, stacks: Sequence[Tensor]) -> Parts:
        """Take the steps first, ..., last - 1."""
        for n in range(first, last):
            state = self.step(n, state, stacks)
        return state

    def pull(self, n: int, state: Parts, stacks: Sequence[Tensor], gradient: Parts, into: Gradients) -> Parts:
        """Give the gradient by the state before step n from that by the state after; add that by the weights."""
        rows = self.rows(n, stacks)
        moved = self.mapped(self._step)

        def step(*free: Tensor) -> Parts:
            return moved(*into.filled(free, (*state, *rows)))

        pulled = vjp(step, *into.free((*state, *rows)))[1](gradient)
        into.add(n, pulled[self.parts :])
        return pulled[: self.parts]

    def mapped(self, function: Callable[..., Parts], states: int = 1) -> Callable[..., Parts]:
        """Give a function of the parts of one or more states and of rows for all members at once."""
        for level in self.levels:
            function = torch.vmap(function, in_dims=(*level[: self.parts] * (states - 1), *level))
        return function

    def state(self, parts: Parts) -> State:
        """Give the state as methods take it."""
        return parts if self.parts > 1 else parts[0]

    def as_parts(self, state: State) -> Parts:
        """Give a method's answer as a tuple."""
        return state if self.parts > 1 else (state,)

    def _step(self, *tensors: Tensor) -> Parts:
        state, rows = self.state(tensors[: self.parts]), tensors[self.parts :]
        return self.as_parts(self.method.step(self.at(self.method.nodes, rows), state, self.grid.h))

    def _back(self, *tensors: Tensor) -> Parts:
        state, rows = self.state(tensors[: self.parts]), tensors[self.parts :]
        return self.as_parts(self.method.back(self.at(self.method.nodes, rows), state, self.grid.h))


class Gradients:
    """The gradients by those stacks that want one, filled in step by step: buffers as large as the stacks."""

    def __init__(self, chain: Chain, stacks: Sequence[Tensor], wanted: Sequence[bool]):
        self.chain, self.wanted = chain, tuple(wanted)
        self.buffers = [torch.zeros_like(s) if want else None for s, want in zip(stacks, wanted, strict=True)]
        self.whole = [chain.whole(i, stack) for i, stack in enumerate(stacks)]

    def free(self, tensors: Parts) -> Parts:
        """Give the state's parts, and those of the rows that a gradient is wanted of."""
        want = (*[True] * self.chain.parts, *self.wanted)
        return tuple(tensor for tensor, one in zip(tensors, want, strict=True) if one)

    def filled(self, free: Parts, tensors: Parts) -> Parts:
        """Put such tensors in the places of those they stand for."""
        want, given = (*[True] * self.chain.parts, *self.wanted), iter(free)
        return tuple(next(given) if one else tensor for tensor, one in zip(tensors, want, strict=True))

    def add(self, n: int, found: Sequence[Tensor]) -> None:
        """Add the gradients by the rows of step n, for the stacks that want one."""
        width, given = len(self.chain.nodes), iter(found)
        for i, buffer in enumerate(self.buffers):
            if buffer is not None:
                rows = buffer.narrow(self.chain.axis(i), n * width, width) if self.whole[i] else buffer
                rows.add_(next(given))


def norm(parts: Parts) -> Any:
    """The Euclidean norm of all numbers of a state."""
    return torch.stack([torch.linalg.vector_norm(part.double()) for part in parts]).norm()
