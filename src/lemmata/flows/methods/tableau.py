"""Butcher tableaux as data, and the explicit Runge-Kutta methods that they are."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from lemmata.flows.field import State, Velocity
from lemmata.flows.methods.method import Method

Number = int | Fraction


def combine(y: State, terms: Sequence[tuple[float, State]]) -> State:
    """Give y + sum c k for tensors or pairs of them."""
    if isinstance(y, tuple):
        return tuple(combine(part, [(c, k[i]) for c, k in terms]) for i, part in enumerate(y))
    for c, k in terms:
        y = y.add(k, alpha=c)
    return y


class ExplicitRungeKutta(Method):
    """k_i = f(t + c_i h, y + h sum_{j<i} a_ij k_j),  y_{n+1} = y + h sum b_i k_i; `A` has rows below the diagonal."""

    def __init__(self, name: str, A: Sequence[Sequence[Number]], b: Sequence[Number], *, order: int):
        self.name, self.order, self.stages = name, order, len(b)
        self.A = tuple(tuple(Fraction(a) for a in row) for row in A)
        self.b = tuple(Fraction(weight) for weight in b)
        self.c = tuple(sum(row, Fraction(0)) for row in self.A)
        self.nodes = tuple(float(c) for c in sorted(set(self.c)))
        self._node = [self.nodes.index(float(c)) for c in self.c]
        self._rows = [[(j, float(a)) for j, a in enumerate(row) if a] for row in self.A]
        self._weights = [(i, float(weight)) for i, weight in enumerate(self.b) if weight]

    def step(self, f: Sequence[Velocity], y: State, h: float) -> State:
        """Give the state one step on."""
        k: list[State] = []
        for node, row in zip(self._node, self._rows, strict=True):
            k.append(f[node](combine(y, [(h * a, k[j]) for j, a in row])))
        return combine(y, [(h * weight, k[i]) for i, weight in self._weights])


FORWARD_EULER = ExplicitRungeKutta("forward-euler", [[]], [1], order=1)
MIDPOINT = ExplicitRungeKutta("midpoint", [[], [Fraction(1, 2)]], [0, 1], order=2)
HEUN = ExplicitRungeKutta("heun", [[], [1]], [Fraction(1, 2), Fraction(1, 2)], order=2)
RK4 = ExplicitRungeKutta(
    "rk4",
    [[], [Fraction(1, 2)], [0, Fraction(1, 2)], [0, 0, 1]],
    [Fraction(1, 6), Fraction(1, 3), Fraction(1, 3), Fraction(1, 6)],
    order=4,
)
