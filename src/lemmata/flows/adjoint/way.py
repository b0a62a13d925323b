"""The way back: how a flow's gradient is taken, which decides what is held in memory between forward and backward.

================  ===========================  ====================================  ===============================
way               memory                       work of the backward pass             gradient
================  ===========================  ====================================  ===============================
``"store"``       all that autograd saves      2 forward passes                      exact
``"reversible"``  two states                   4 forward passes                      exact
``"checkpoint"``  some states, and one step's  3 forward passes and the steps again  exact
``"continuous"``  one state                    about 4 forward passes                that of the continuous problem
================  ===========================  ====================================  ===============================

All but the first are one torch.autograd.Function of the state and the stacked weights; autograd goes on from there to
whatever the weights are made of. They work under `torch.vmap` and `torch.func.grad` in any order, and are
differentiated once, backwards: for second derivatives and forward mode take "store". A step that is taken again must be
the step it was: fields that draw random numbers, as dropout does in training, are refused.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.flows.adjoint.chain import Chain, Gradients, Level, Parts, stacked_weights
from lemmata.flows.field import State, VectorField
from lemmata.flows.grid import Grid
from lemmata.flows.integrate import march
from lemmata.flows.methods import Method


class Way(ABC):
    """A way back."""

    name: str

    def suit(self, field: VectorField, method: Method) -> None:  # noqa: B027 (most ways take all)
        """Refuse a field or a method that cannot be gone back this way."""

    @abstractmethod
    def flow(self, field: VectorField, y: State, grid: Grid, method: Method) -> State:
        """Give y(T), differentiable by y and by the field's weights."""


class Store(Way):
    """Autograd's own: every step's intermediate results are kept."""

    name = "store"

    def flow(self, field: VectorField, y: State, grid: Grid, method: Method) -> State:
        """Give y(T)."""
        for moved in march(field, y, grid, method):
            y = moved
        return y


@dataclass(frozen=True, eq=False)
class Passed:
    """What a forward pass began with, ended with and kept on the way."""

    start: Parts
    stacks: Parts
    final: Parts
    kept: Parts

    @classmethod
    def of(cls, chain: Chain, stacks: int, tensors: Sequence[Tensor]) -> Self:
        """Take it apart from one row of tensors."""
        ends = [0, chain.parts, chain.parts + stacks, 2 * chain.parts + stacks, len(tensors)]
        return cls(*(tuple(tensors[first:last]) for first, last in pairwise(ends)))


class Recomputing(Way):
    """A way that keeps a few states and computes the others again."""

    def nodes(self, method: Method) -> tuple[float, ...]:
        """Where in a step the weights are asked for."""
        return method.nodes

    @abstractmethod
    def forward(self, chain: Chain, state: Parts, stacks: Parts) -> tuple[Parts, Parts]:
        """Give the state at T, and the states to keep besides the first and the last."""

    @abstractmethod
    def backward(self, chain: Chain, passed: Passed, gradient: Parts, into: Gradients) -> Parts:
        """Give the gradient by the state at 0 from that by the state at T; put those by the weights into `into`."""

    def flow(self, field: VectorField, y: State, grid: Grid, method: Method) -> State:
        """Give y(T)."""
        method.suit(field)
        parts = y if isinstance(y, tuple) else (y,)
        chain = Chain(field, method, grid, len(parts), self.nodes(method))
        before = _random_state(parts[0])
        found = Pass.apply(self, chain, *parts, *stacked_weights(field, grid, chain.nodes))
        if torch.is_grad_enabled() and not torch.equal(_random_state(parts[0]), before):
            raise InvalidInput(
                f"the field draws random numbers, as dropout does in training, and backward={self.name!r} would draw "
                f"others when it takes the steps again; take backward='store', or the field's eval()"
            )
        return chain.state(found[: chain.parts])


def _random_state(part: Tensor) -> Tensor:
    """The state of torch's generator on the device of a tensor."""
    if part.device.type == "cpu":
        return torch.get_rng_state()
    return torch.get_device_module(part.device).get_rng_state(part.device)


class Pass(torch.autograd.Function):
    """A forward pass that keeps what its way asks for."""

    @staticmethod
    def forward(way: Recomputing, chain: Chain, *tensors: Tensor) -> Parts:  # type: ignore[override]
        """Give the state at T and what is kept, from the state at 0 and the stacked weights."""
        final, kept = way.forward(chain, tensors[: chain.parts], tensors[chain.parts :])
        return *final, *kept

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Parts) -> None:
        """Keep both ends, the weights, and what the way keeps."""
        ctx.way, ctx.chain, *tensors = inputs
        ctx.save_for_backward(*tensors, *output)
        ctx.mark_non_differentiable(*output[ctx.chain.parts :])

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Any, ...]:
        """Give the gradients by the state at 0 and by the weights."""
        chain = ctx.chain
        wanted = ctx.needs_input_grad[2 + chain.parts :]
        found = Back.apply(ctx.way, chain, wanted, *gradient[: chain.parts], *ctx.saved_tensors)
        by_weights = iter(found[chain.parts :])
        return None, None, *found[: chain.parts], *(next(by_weights) if one else None for one in wanted)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        """Refuse forward mode."""
        raise InvalidInput(f"backward={ctx.way.name!r} knows no derivatives forward; take backward='store'")

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[int | None], way: Recomputing, chain: Chain, *tensors: Tensor) -> Any:
        """Take all members' steps at once; weights that they share stay one."""
        shared = [axis is None and i >= chain.parts for i, axis in enumerate(in_dims[2:])]
        level, moved = _members(info.batch_size, tensors, in_dims[2:], shared)
        found = Pass.apply(way, replace(chain, levels=(*chain.levels, level)), *moved)
        return found, (0,) * len(found)


class Back(torch.autograd.Function):
    """The way back of a pass: by the state, and by those weights that want a gradient."""

    @staticmethod
    def forward(way: Recomputing, chain: Chain, wanted: Sequence[bool], *tensors: Tensor) -> Parts:  # type: ignore[override]
        """Give the gradients from the gradient by the state at T and what passed."""
        passed = Passed.of(chain, len(wanted), tensors[chain.parts :])
        into = Gradients(chain, passed.stacks, wanted)
        by_state = way.backward(chain, passed, tensors[: chain.parts], into)
        return *by_state, *(buffer for buffer in into.buffers if buffer is not None)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Parts) -> None:
        """Remember the way's name."""
        ctx.way = inputs[0]

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Any, ...]:
        """Refuse second derivatives."""
        raise InvalidInput(f"backward={ctx.way.name!r} is differentiated once; for more take backward='store'")

    @staticmethod
    def vmap(
        info: Any, in_dims: Sequence[int | None], way: Recomputing, chain: Chain, wanted: Sequence[bool],
        *tensors: Tensor,
    ) -> Any:  # fmt: skip
        """Go back for all members at once: each has its own gradient by weights that it shares with others."""
        moved = _members(info.batch_size, tensors, in_dims[3:], [False] * len(tensors))[1]
        level = (0,) * (chain.parts + len(wanted))
        found = Back.apply(way, replace(chain, levels=(*chain.levels, level)), wanted, *moved)
        return found, (0,) * len(found)


def _members(
    count: int, tensors: Sequence[Tensor], axes: Sequence[int | None], shared: Sequence[bool]
) -> tuple[Level, list[Tensor]]:
    """Bring the axis of members to the front, or make one where there is none and it is not shared."""
    moved = [
        tensor if one else tensor.expand(count, *tensor.shape) if axis is None else tensor.movedim(axis, 0)
        for tensor, axis, one in zip(tensors, axes, shared, strict=True)
    ]
    return tuple(None if one else 0 for one in shared), moved
