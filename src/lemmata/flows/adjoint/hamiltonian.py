"""The way back through dense Hamiltonian layers with tanh in closed form: the adjoint system is Hamiltonian again.

A kick p <- p - c K^T a, a = tanh(K q + b), has the pull-back (g_q, g_p) <- (g_q - c K^T (1 - a^2) (K g_p), g_p), and a
drift of q is the same with the parts exchanged and the other sign. So with rows of samples and

    S = [q; -g_p],    R = [g_q; p],    kick, backwards:   [x; g] = S K^T,   X = [c (1 - a^2) g; c a],   R <- R + X K
                                       drift, backwards:  [g; x] = R K^T,   X = [c a; c (1 - a^2) g],   S <- S - X K

where a = tanh(x + b), states and gradients move in the same two products of 2 n rows, and the third one is the gradient
by K: X^T S for a kick, X^T R for a drift. What a move adds is computed by itself and then added: a product that
accumulates would round the state once for each hidden unit. Moves of one part by the same weights that follow each
other are one, as two half kicks of Verlet's method are where all layers share their weights.

Narrow layers are swept through by compiled code (`sweep.py`), others by products of all samples. Cost, for n samples,
width d and h hidden units: 4 n d h operations a move forwards and 12 n d h backwards, where autograd takes 8 n d h and
the memory for 2 n (d + h) numbers a move; here it is 4 n d numbers in all, and 2 n (d + h) more for wide layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lemmata.flows.adjoint.chain import Chain, Gradients, Parts
from lemmata.flows.layers.activation import ACTIVATIONS
from lemmata.flows.layers.hamiltonian import Hamiltonian
from lemmata.flows.layers.maps import Dense
from lemmata.flows.methods import Splitting

WIDEST = 128**2
"""At most so many weights K have the layers that are swept through: beyond, products of all samples are as fast."""


def suits(chain: Chain, state: Parts) -> bool:
    """Whether the chain is one of dense Hamiltonian layers with tanh, moved by moves of q and p in turn."""
    field = chain.field
    return (
        type(field) is Hamiltonian
        and type(field.linear) is Dense
        and field.activation is ACTIVATIONS["tanh"]
        and type(chain.method) is Splitting
        and chain.parts == 2
    )


def forward(chain: Chain, state: Parts, stacks: Parts) -> Parts:
    """Give (q, p) at T."""
    lined = Lines(chain, state, stacks)
    q, p = (lined.flat(part).clone(memory_format=torch.contiguous_format) for part in state)
    if lined.narrow:
        from lemmata.flows.adjoint import sweep  # numba takes half a second to load

        sweep.forward(lined.moves, (q, p), lined.lined)
    else:
        a, step = q.new_empty(*q.shape[:2], lined.hidden), torch.empty_like(q)
        for kick, c, n in lined.moves:
            K, b = lined.rows(lined.lined, kick, n)
            held, moved = (q, p) if kick else (p, q)
            torch.baddbmm(b[:, None], held, K.mT, out=a)
            _tanh(a)
            moved.add_(torch.bmm(a, K, out=step), alpha=-c if kick else c)
    return q.reshape(state[0].shape), p.reshape(state[1].shape)


def backward(chain: Chain, state: Parts, stacks: Parts, gradient: Parts, into: Gradients) -> tuple[Parts, Parts]:
    """Give (q, p) at 0 from (q, p) at T, and the gradient by it."""
    lined = Lines(chain, state, stacks)
    by_weights = lined.buffers(into)
    parts = [lined.flat(part) for part in (*state, *gradient)]
    if lined.narrow:
        from lemmata.flows.adjoint import sweep

        parts = [part.clone(memory_format=torch.contiguous_format) for part in parts]
        sweep.backward(lined.moves, parts, lined.lined, by_weights)
    else:
        parts = _backward(lined, parts, by_weights)
    lined.give(by_weights, into)
    q, p, g_q, g_p = (part.reshape(state[0].shape) for part in parts)
    return (q, p), (g_q, g_p)


def _backward(lined: Lines, parts: Sequence[Tensor], by_weights: Sequence[Tensor | None]) -> list[Tensor]:
    """The same by products of all samples."""
    q, p, g_q, g_p = parts
    S, R = torch.stack([q, -g_p], 1), torch.stack([g_q, p], 1)  # (members, 2, samples, width)
    y = S.new_empty(*S.shape[:3], lined.hidden)
    flat_S, flat_R, X = (part.flatten(1, 2) for part in (S, R, y))
    step = torch.empty_like(flat_S)
    for kick, c, n in reversed(lined.moves):
        K, b = lined.rows(lined.lined, kick, n)
        by_K, by_b = lined.rows(by_weights, kick, n)
        source, target, lead = (flat_S, flat_R, 0) if kick else (flat_R, flat_S, 1)
        torch.bmm(source, K.mT, out=X)
        _pull(y, lead, b.contiguous(), c)
        if by_K is not None:
            by_K.baddbmm_(X.mT, source)
        if by_b is not None:
            by_b.add_(y[:, lead].sum(1))
        target.add_(torch.bmm(X, K, out=step), alpha=1 if kick else -1)
    return [S[:, 0], R[:, 1], R[:, 0], -S[:, 1]]


class Move(NamedTuple):
    """Whether p is moved, by how much, and by the weights of which step."""

    kick: bool
    c: float
    step: int


class Lines:
    """States and weights with one axis of members, which is of length 1 where all members share the weights."""

    def __init__(self, chain: Chain, state: Parts, stacks: Parts):
        field = chain.field
        self.chain, self.stacks = chain, stacks
        self.sizes = state[0].shape[: len(chain.levels)]
        shared = all(chain.axis(i) == 0 for i in range(len(stacks)))
        self.members = 1 if shared else math.prod(self.sizes)
        self.lined = [self._line(i, stack) for i, stack in enumerate(stacks)]
        for part in state:
            field.linear.check(self.lined[0], part, "Hamiltonian")  # type: ignore[union-attr]
        *_, self.hidden, width = self.lined[0].shape
        self.narrow = self.hidden * width <= WIDEST and _compiled(state[0])
        self.moves = self._moves()

    def flat(self, part: Tensor) -> Tensor:
        """Give a part of a state as (members, samples, width)."""
        return part.reshape(self.members, -1, part.shape[-1])

    def _line(self, i: int, stack: Tensor) -> Tensor:
        """Give a stack as (members, steps or 1, *shape)."""
        if self.members == 1 and not self.chain.axis(i):
            return stack[None]
        for at in self.chain.shared(i):
            stack = stack.unsqueeze(at)
        axes = len(self.sizes)
        return stack.expand(*self.sizes, *stack.shape[axes:]).reshape(self.members, *stack.shape[axes:])

    def _moves(self) -> list[Move]:
        """Give the moves of all steps; two of one part by the same weights that follow each other are one."""
        found: list[Move] = []
        for n, (which, part) in product(range(self.chain.steps), self.chain.method.moves):  # type: ignore[attr-defined]
            kick, c = which == "p", self.chain.grid.h * float(part)
            step = n if any(stack.shape[1] > 1 for stack in self.pair(self.lined, kick)) else 0
            if found and found[-1].kick == kick and found[-1].step == step:
                c += found.pop().c
            found.append(Move(kick, c, step))
        return found

    @staticmethod
    def pair(stacks: Sequence[Any], kick: bool) -> Sequence[Any]:
        """Give those of K and b by which a move goes: the last two for a kick."""
        return stacks[-2:] if kick else stacks[:2]

    def rows(self, stacks: Sequence[Any], kick: bool, step: int) -> list[Any]:
        """Give the weights by which a move goes, (members, *shape), or the room for their gradients."""
        return [
            None if stack is None else stack[:, step if stack.shape[1] > 1 else 0] for stack in self.pair(stacks, kick)
        ]

    def buffers(self, into: Gradients) -> list[Tensor | None]:
        """Give room for the gradients by the stacks as they are lined up; that of `into` itself where it fits."""
        return [
            None if buffer is None
            else torch.zeros_like(self.lined[i]) if self.members > 1 and self.chain.shared(i)
            else buffer.view(self.lined[i].shape)
            for i, buffer in enumerate(into.buffers)
        ]  # fmt: skip

    def give(self, buffers: Sequence[Tensor | None], into: Gradients) -> None:
        """Put the sums over members into `into` where these share a stack."""
        for i, buffer in enumerate(buffers):
            shared = self.chain.shared(i)
            if buffer is not None and self.members > 1 and shared:
                whole = buffer.view(*self.sizes, *buffer.shape[1:])
                into.buffers[i].copy_(whole.sum(shared))  # type: ignore[union-attr]


def _compiled(y: Tensor) -> bool:
    return y.device.type == "cpu" and y.dtype in (torch.float32, torch.float64)


def _tanh(a: Tensor) -> None:
    """Put tanh a in the place of a."""
    if _compiled(a):
        from lemmata.flows.adjoint import tanh

        tanh.tanh_(a.numpy())
    else:
        a.tanh_()


def _pull(y: Tensor, lead: int, b: Tensor, c: float) -> None:
    """As `tanh.pull_`, on any device."""
    if _compiled(y):
        from lemmata.flows.adjoint import tanh

        tanh.pull_(y.numpy(), lead, b.numpy(), c)
        return
    a = (y[:, lead] + b[:, None]).tanh()
    y[:, lead] = c * (1 - a.square()) * y[:, 1 - lead]
    y[:, 1 - lead] = c * a
