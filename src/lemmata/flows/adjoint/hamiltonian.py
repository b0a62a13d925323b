"""The way back through dense Hamiltonian layers with tanh in closed form: the adjoint system is Hamiltonian again.

A kick p <- p - c K^T a, a = tanh(K q + b), has the pull-back (g_q, g_p) <- (g_q - c K^T (1 - a^2) (K g_p), g_p), and a
drift of q is the same with the parts exchanged and the other sign. So with rows of samples and

    S = [q; -g_p],    R = [g_q; p],    kick, backwards:   [x; g] = S K^T,   X = [c (1 - a^2) g; c a],   R <- R + X K
                                       drift, backwards:  [g; x] = R K^T,   X = [c a; c (1 - a^2) g],   S <- S - X K

where a = tanh(x + b), states and gradients move in the same two products of 2 n rows, and the third one is the gradient
by K: X^T S for a kick, X^T R for a drift. All is done in place.

Cost, for n samples, width d and h hidden units: 4 n d h operations a move forwards and 12 n d h backwards, where
autograd takes 8 n d h and the memory for 2 n (d + h) numbers a move; here it is 4 n (d + h) numbers in all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lemmata.flows.adjoint.chain import Chain, Gradients, Parts
from lemmata.flows.layers.activation import ACTIVATIONS
from lemmata.flows.layers.hamiltonian import Hamiltonian
from lemmata.flows.layers.maps import Dense
from lemmata.flows.methods import Splitting


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
    q, p = (lined.flat(part).clone() for part in state)
    a = q.new_empty(*q.shape[:2], chain.field.linear.rows)  # type: ignore[union-attr]
    for kick, c, K, b, _ in lined.moves():
        held, moved = (q, p) if kick else (p, q)
        torch.baddbmm(b[:, None], held, K.mT, out=a)
        _tanh(a)
        moved.baddbmm_(a, K, alpha=-c if kick else c)
    return q.reshape(state[0].shape), p.reshape(state[1].shape)


def backward(chain: Chain, state: Parts, stacks: Parts, gradient: Parts, into: Gradients) -> tuple[Parts, Parts]:
    """Give (q, p) at 0 from (q, p) at T, and the gradient by it."""
    lined = Lines(chain, state, stacks)
    (q, p), (g_q, g_p) = (tuple(map(lined.flat, parts)) for parts in (state, gradient))
    S, R = torch.stack([q, -g_p], 1), torch.stack([g_q, p], 1)  # (members, 2, samples, width)
    y = S.new_empty(*S.shape[:3], chain.field.linear.rows)  # type: ignore[union-attr]
    flat_S, flat_R, X = (part.flatten(1, 2) for part in (S, R, y))
    by_weights = lined.buffers(into)
    for kick, c, K, b, where in lined.moves(back=True):
        source, target, lead = (flat_S, flat_R, 0) if kick else (flat_R, flat_S, 1)
        torch.bmm(source, K.mT, out=X)
        _pull(y, lead, b, c)
        by_K, by_b = (lined.row(by_weights, where, i) for i in (0, 1))
        if by_K is not None:
            by_K.baddbmm_(X.mT, source)
        if by_b is not None:
            by_b.add_(y[:, lead].sum(1))
        target.baddbmm_(X, K, alpha=1 if kick else -1)
    lined.give(by_weights, into)
    shape = state[0].shape
    return (S[:, 0].reshape(shape), R[:, 1].reshape(shape)), (R[:, 0].reshape(shape), -S[:, 1].reshape(shape))


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

    def moves(self, *, back: bool = False) -> Iterator[tuple[bool, float, Tensor, Tensor, tuple[int, int]]]:
        """Give each move of each step: whether of p, its length, K and b (members, ...), and where these stand."""
        method, steps = self.chain.method, range(self.chain.steps)
        moves = method.moves[::-1] if back else method.moves  # type: ignore[attr-defined]
        for n in reversed(steps) if back else steps:
            for which, part in moves:
                first = len(self.lined) - 2 if which == "p" else 0
                K, b = (self._at(stack, n) for stack in self.lined[first : first + 2])
                yield which == "p", self.chain.grid.h * float(part), K, b.contiguous(), (n, first)

    @staticmethod
    def _at(stack: Tensor, n: int) -> Tensor:
        return stack[:, n if stack.shape[1] > 1 else 0]

    def buffers(self, into: Gradients) -> list[Tensor | None]:
        """Give room for the gradients by the stacks as they are lined up; that of `into` itself where it fits."""
        return [
            None if buffer is None
            else torch.zeros_like(self.lined[i]) if self.members > 1 and self.chain.shared(i)
            else buffer.view(self.lined[i].shape)
            for i, buffer in enumerate(into.buffers)
        ]  # fmt: skip

    def row(self, buffers: Sequence[Tensor | None], where: tuple[int, int], i: int) -> Tensor | None:
        """Give the room for the gradient by the i-th weight of a move."""
        n, first = where
        buffer = buffers[first + i]
        return None if buffer is None else self._at(buffer, n)

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
        from lemmata.flows.adjoint import tanh  # numba takes half a second to load

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
