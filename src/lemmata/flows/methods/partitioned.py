"""Methods for q' = f(p), p' = g(q): explicit, symplectic for Hamiltonian fields, and run backwards exactly."""

from __future__ import annotations

from collections.abc import Sequence

from lemmata.flows.field import State, Velocity
from lemmata.flows.methods.method import Method


class SymplecticEuler(Method):
    """p_{n+1} = p + h g(q),  q_{n+1} = q + h f(p_{n+1}), the weights those at the middle of the step."""

    name, order, stages, nodes = "symplectic-euler", 1, 1, (0.5,)
    reversible = partitioned = True

    def step(self, f: Sequence[Velocity], y: State, h: float) -> State:
        """Give the state one step on."""
        q, p = y
        p = p.add(f[0].second(q), alpha=h)
        return q.add(f[0].first(p), alpha=h), p

    def back(self, f: Sequence[Velocity], y: State, h: float) -> State:
        """Give the state one step before."""
        q, p = y
        q = q.sub(f[0].first(p), alpha=h)
        return q, p.sub(f[0].second(q), alpha=h)


class Verlet(Method):
    """Half a step of p, a step of q, half a step of p (Stoermer and Verlet), the weights those at the middle."""

    name, order, stages, nodes = "verlet", 2, 2, (0.5,)
    reversible = partitioned = True

    def step(self, f: Sequence[Velocity], y: State, h: float) -> State:
        """Give the state one step on."""
        q, p = y
        p = p.add(f[0].second(q), alpha=h / 2)
        q = q.add(f[0].first(p), alpha=h)
        return q, p.add(f[0].second(q), alpha=h / 2)

    def back(self, f: Sequence[Velocity], y: State, h: float) -> State:
        """Give the state one step before."""
        return self.step(f, y, -h)


SYMPLECTIC_EULER, VERLET = SymplecticEuler(), Verlet()
