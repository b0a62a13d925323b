"""Optimise then discretise: the adjoint equation of the continuous problem, integrated backwards by the same method.

    y' = f(y, theta(t)),   a' = -(df/dy)^T a,   dL/dtheta(t) = (df/dtheta)^T a,   a(T) = dL/dy(T)

All three are integrated from T to 0 in steps of -h, the states y again from y(T). Memory is one state at any depth.
What comes out approximates the gradient of the continuous problem, and is the gradient of no discrete one: it differs
from that of the network as computed by O(h^p), p the order of the method, since neither is the reconstructed y(t) that
of the forward pass nor the discretised adjoint equation the adjoint of the discretised one. For Verlet's and the
leapfrog method both are (Sanz-Serna, 2016): there this is a slow way to the exact gradient.

The gradient by the weights is a quadrature: a stage at a node of a step adds to the gradient by the weights held there,
by the method's own weights, as it adds to the state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import vjp

from lemmata.errors import InvalidInput
from lemmata.flows.adjoint.chain import Chain, Gradients, Parts
from lemmata.flows.adjoint.way import Passed, Recomputing
from lemmata.flows.field import State, VectorField, Velocity
from lemmata.flows.methods import ExplicitRungeKutta, Method, Splitting
from lemmata.flows.state import moved


class Continuous(Recomputing):
    """Integrate the adjoint equation backwards, by the method and in the steps of the forward pass."""

    name = "continuous"

    def __repr__(self) -> str:
        return "Continuous()"

    def suit(self, field: VectorField, method: Method) -> None:
        """Refuse methods that solve systems in the state."""
        if not isinstance(method, ExplicitRungeKutta | Splitting):
            raise InvalidInput(
                f"backward='continuous' runs the adjoint equation through explicit methods and those for (q, p); "
                f"{method.name} solves for the numbers of each sample, and gradients by weights are none; take "
                f"backward='checkpoint'"
            )

    def forward(self, chain: Chain, state: Parts, stacks: Parts) -> tuple[Parts, Parts]:
        """Give the state at T; nothing is kept besides."""
        return chain.run(0, chain.steps, state, stacks), ()

    def nodes(self, method: Method) -> tuple[float, ...]:
        """The method's nodes, and what they are seen from the end of a step."""
        own = method.nodes
        mirrored = (1 - node for node in own)
        return (*own, *(node for node in mirrored if min(abs(node - other) for other in own) > 1e-12))

    def backward(self, chain: Chain, passed: Passed, gradient: Parts, into: Gradients) -> Parts:
        """Integrate the adjoint equation from T to 0."""
        state = passed.final
        step = chain.mapped(partial(_step, chain, into), states=2)
        wanted = [i for i, want in enumerate(into.wanted) if want]
        for n in reversed(range(chain.steps)):
            found = step(*state, *gradient, *chain.rows(n, passed.stacks))
            state, gradient = found[: chain.parts], found[chain.parts : 2 * chain.parts]
            rows = zip(wanted, found[2 * chain.parts :], strict=True)
            into.add(n, [row.sum(chain.shared(i)) if chain.shared(i) else row for i, row in rows])
        return gradient


def _step(chain: Chain, into: Gradients, *tensors: Tensor) -> Parts:
    """One step back of states, adjoints and gradients by the rows that want one."""
    parts, method = chain.parts, chain.method
    y, a, rows = tensors[:parts], tensors[parts : 2 * parts], tensors[2 * parts :]
    nodes = [1 - node for node in method.nodes]
    held = [
        AdjointVelocity(one, chain.index(node), into.wanted)
        for one, node in zip(chain.at(nodes, rows), nodes, strict=True)
    ]
    if method.partitioned:  # q and the adjoint of p are moved by p and the adjoint of q, and these by those
        S, R = method.step(held, (Augmented(y[0], a[1]), Augmented(y[1], a[0])), -chain.grid.h)  # type: ignore[arg-type]
        y, a, found = (S.value, R.value), (R.adjoint, S.adjoint), S.plus(R).rows
    else:
        z = method.step(held, Augmented(chain.state(y), chain.state(a)), -chain.grid.h)  # type: ignore[arg-type]
        y, a, found = chain.as_parts(z.value), chain.as_parts(z.adjoint), z.rows
    wanted = [row for row, want in zip(rows, into.wanted, strict=True) if want]
    return *y, *a, *(_collected(row, i, found, len(chain.nodes)) for i, row in enumerate(wanted))


def _collected(row: Tensor, i: int, found: dict[int, Parts], nodes: int) -> Tensor:
    """The gradient by the i-th row (nodes, *shape), or by what all nodes share (1, *shape)."""
    each = [found[node][i] if node in found else torch.zeros_like(row[0]) for node in range(nodes)]
    return torch.stack(each) if len(row) == nodes else torch.stack(each).sum(0, keepdim=True)


@dataclass(frozen=True, eq=False)
class Augmented:
    """A state, its adjoint, and the gradients by weights at some nodes: a vector, as far as methods ask."""

    value: State
    adjoint: State
    rows: dict[int, Parts] = field(default_factory=dict)

    def add(self, other: Augmented, *, alpha: float = 1.0) -> Augmented:
        """Give self + alpha other."""
        value, adjoint = (
            moved(own, [(alpha, one)]) for own, one in ((self.value, other.value), (self.adjoint, other.adjoint))
        )
        return Augmented(value, adjoint, self._joined(other, alpha))

    def plus(self, other: Augmented) -> Augmented:
        """Give self with the gradients by weights of both."""
        return Augmented(self.value, self.adjoint, self._joined(other, 1.0))

    def _joined(self, other: Augmented, alpha: float) -> dict[int, Parts]:
        rows = dict(self.rows)
        for node, found in other.rows.items():
            before = rows.get(node, (0,) * len(found))
            rows[node] = tuple(b + alpha * one for b, one in zip(before, found, strict=True))
        return rows


@dataclass(frozen=True, eq=False)
class AdjointVelocity:
    """The velocity of an augmented state: (f(y), -(df/dy)^T a, -(df/dtheta)^T a), at one node."""

    velocity: Velocity
    node: int
    wanted: tuple[bool, ...]

    def __call__(self, z: Augmented) -> Augmented:
        """Give that of a whole state."""
        return self._of(lambda velocity: velocity, z)

    def first(self, z: Augmented) -> Augmented:
        """Give that of q and the adjoint of p, from p and the adjoint of q."""
        return self._of(lambda velocity: velocity.first, z)

    def second(self, z: Augmented) -> Augmented:
        """Give that of p and the adjoint of q, from q and the adjoint of p."""
        return self._of(lambda velocity: velocity.second, z)

    def _of(self, rule: Callable[[Velocity], Callable[[Any], Any]], z: Augmented) -> Augmented:
        weights = self.velocity.weights

        def velocity(y: State, *free: Tensor) -> State:
            given = iter(free)
            held = (next(given) if want else w for w, want in zip(weights, self.wanted, strict=True))
            return rule(Velocity(self.velocity.field, tuple(held)))(y)

        free = (w for w, want in zip(weights, self.wanted, strict=True) if want)
        value, pull = vjp(velocity, z.value, *free)  # type: ignore[misc]
        by_state, *by_weights = pull(z.adjoint)
        negative = _negative(by_state)
        return Augmented(value, negative, {self.node: tuple(-one for one in by_weights)})


def _negative(y: State) -> State:
    """Give -y."""
    return tuple(-part for part in y) if isinstance(y, tuple) else -y
