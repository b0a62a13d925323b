"""Methods for q' = f(p), p' = g(q): q and p move in turn, each in the velocity that the other has; so each move can be
undone. Symplectic for Hamiltonian fields, and run backwards exactly but for rounding.

On the oscillator q' = omega p, p' = -omega q a step has a propagation matrix of determinant 1 and eigenvalues mu and
1/mu. Each of the three has the trace 2 + z^2, z = i h omega, so mu = (z/2 + sqrt(1 + z^2/4))^2: bounded for
|h omega| <= 2 only. Of other moves the trace is another polynomial in z^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.flows.field import State, Velocity
from lemmata.flows.methods.method import Method
from lemmata.flows.methods.order import Matrix, order_of
from lemmata.flows.methods.tableau import exact
from lemmata.flows.required import require_list
from lemmata.flows.state import moved

Move = tuple[Literal["q", "p"], Fraction]


class Splitting(Method):
    """Moves of q and p in turn, as data: which of the two, and by which part of h; the weights those at the middle.

    >>> Splitting("kick-drift", [("p", Fraction(1)), ("q", Fraction(1))]).order
    1
    """

    reversible = partitioned = True
    nodes = (0.5,)

    def __init__(self, name: str, moves: Sequence[Move]):
        self.name, self.moves = (
            name,
            tuple(_move(move, name) for move in require_list(moves, "moves", "[('q', 1), ('p', 1)]")),
        )
        self.stages = max(sum(which == part for which, _ in self.moves) for part in "qp")
        (b_q, A_q), (b_p, A_p) = self.tableau("q"), self.tableau("p")
        self.order = min(order_of(b_q, A_q, A_p, most=2), order_of(b_p, A_p, A_q, most=2))
        if self.order == 0:
            raise InvalidInput(
                f"{name}: the moves of q sum to {sum(b_q)}, those of p to {sum(b_p)}; each must sum to 1 to follow "
                f"any field"
            )
        self.trace = trace(self.moves)

    def tableau(self, which: str) -> tuple[list[Fraction], Matrix]:
        """Give the weights of the moves of q (or p), and in A which moves of the other go before each."""
        own = [(at, part) for at, (name, part) in enumerate(self.moves) if name == which]
        others = [(at, part) for at, (name, part) in enumerate(self.moves) if name != which]
        return [part for _, part in own], [[w if before < at else Fraction(0) for before, w in others] for at, _ in own]

    def step(self, f: Sequence[Velocity], y: State, h: float) -> State:
        """Give the state one step on."""
        return self._run(f[0], y, h, self.moves)

    def back(self, f: Sequence[Velocity], y: State, h: float) -> State:
        """Give the state one step before: the moves undone, last first."""
        return self._run(f[0], y, -h, reversed(self.moves))

    @staticmethod
    def _run(f: Velocity, y: State, h: float, moves: Any) -> State:
        q, p = y
        for which, part in moves:
            if which == "q":
                q = moved(q, [(h * float(part), f.first(p))])
            else:
                p = moved(p, [(h * float(part), f.second(q))])
        return q, p

    def stability_function(self, z: Any) -> Any:
        """Give the eigenvalue that follows e^z from z = 0, (w/2 + sqrt(1 + w^2/4))^2 for a trace of 2 + w^2.

        The other is its inverse; w is z for the three methods here.
        """
        z = np.asarray(z, dtype=complex)
        half = z * np.sqrt(np.polyval(self.trace[::-1], z * z)) / 2
        return (half + np.sqrt(1 + half**2)) ** 2

    def growth(self, z: Any) -> Any:
        """Give the larger modulus of the two eigenvalues: for the three here 1 on z = i y, |y| <= 2, else above 1."""
        modulus = np.abs(self.stability_function(z))
        return np.maximum(modulus, 1 / modulus)


def _move(move: object, name: str) -> Move:
    if isinstance(move, tuple) and len(move) == 2 and move[0] in ("q", "p"):
        return move[0], exact([move[1]], name)[0]
    raise InvalidInput(f"{name}: a move {move!r}; give which of 'q' and 'p' is moved, and by which part of h: ('q', 1)")


def trace(moves: Sequence[Move]) -> list[float]:
    """Give the c with trace 2 + z^2 (c_0 + c_1 z^2 + ...) of a step's matrix on q' = lambda p, p' = lambda q.

    >>> trace([("p", Fraction(1, 2)), ("q", Fraction(1)), ("p", Fraction(1, 2))])
    [1.0]
    """
    q, p = np.zeros((2, 2, len(moves) + 1), dtype=object)  # as combinations of both before, polynomials in z
    q[0, 0] = p[1, 0] = 1
    for which, part in moves:
        if which == "q":
            q = q + part * np.roll(p, 1, axis=1)
        else:
            p = p + part * np.roll(q, 1, axis=1)
    return [float(c) for c in (q[0] + p[1])[2::2]]


HALF, WHOLE = Fraction(1, 2), Fraction(1)

SYMPLECTIC_EULER = Splitting("symplectic-euler", [("p", WHOLE), ("q", WHOLE)])
VERLET = Splitting("verlet", [("p", HALF), ("q", WHOLE), ("p", HALF)])
# Where q' = p, the positions x_n at the middle of the steps obey x_{n+1} = 2 x_n - x_{n-1} + h^2 g(x_n), the two-step
# form of residual networks of second order (Chang et al., 2018), begun at x_0 = q_0 + h p_0 / 2: one g a step.
LEAPFROG = Splitting("leapfrog", [("q", HALF), ("p", WHOLE), ("q", HALF)])

PARTITIONED = (SYMPLECTIC_EULER, VERLET, LEAPFROG)
