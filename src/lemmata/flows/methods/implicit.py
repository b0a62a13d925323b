"""Diagonally implicit Runge-Kutta methods: a stage may ask for its own velocity, and is solved for by Newton's method.

Stiff fields, whose eigenvalues lie far to the left, are integrated in steps that accuracy alone decides: backward Euler
and the trapezoidal rule are stable wherever Re lambda <= 0. The implicit midpoint rule is symplectic as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from lemmata.errors import InvalidInput
from lemmata.flows.field import State, Velocity
from lemmata.flows.methods.newton import solve
from lemmata.flows.methods.tableau import Number, RungeKutta
from lemmata.flows.state import moved


class DiagonallyImplicit(RungeKutta):
    """A tableau with A on and below the diagonal; run backwards if it is symmetric, to the tolerance of the solves."""

    def __init__(self, name: str, A: Sequence[Sequence[Number]], b: Sequence[Number]):
        super().__init__(name, A, b)
        if any(j > i for i, row in enumerate(self._rows) for j, _ in row):
            raise InvalidInput(f"{name}: A is not lower triangular; stages are solved for one after the other")
        self.reversible = self.symmetric

    def step(self, f: Sequence[Velocity], y: State, h: float) -> State:
        """Give the state one step on; raises `NotConverged` where Newton's method finds no stage."""
        k: list[State] = []
        for i, (node, row) in enumerate(zip(self._node, self._rows, strict=True)):
            start = moved(y, [(h * a, k[j]) for j, a in row if j < i])
            own = h * float(self.A[i][i])
            k.append(f[node](solve(f[node], start, own) if own else start))
        return moved(y, [(h * weight, k[i]) for i, weight in self._weights])

    def back(self, f: Sequence[Velocity], y: State, h: float) -> State:
        """Give the state one step before: a step of -h through the same nodes."""
        if not self.reversible:
            return super().back(f, y, h)
        return self.step(f[::-1], y, -h)


BACKWARD_EULER = DiagonallyImplicit("backward-euler", [[1]], [1])
IMPLICIT_MIDPOINT = DiagonallyImplicit("implicit-midpoint", [[Fraction(1, 2)]], [1])
TRAPEZOIDAL = DiagonallyImplicit("trapezoidal", [[], [Fraction(1, 2)] * 2], [Fraction(1, 2)] * 2)

IMPLICIT = (BACKWARD_EULER, IMPLICIT_MIDPOINT, TRAPEZOIDAL)
