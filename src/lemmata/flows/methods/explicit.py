"""Explicit Runge-Kutta methods: every stage follows from those before."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from lemmata.errors import InvalidInput
from lemmata.flows.field import State, Velocity
from lemmata.flows.methods.tableau import Number, RungeKutta
from lemmata.flows.state import moved


class ExplicitRungeKutta(RungeKutta):
    """A tableau with A strictly below the diagonal.

    >>> ExplicitRungeKutta("ralston-3", [[], [Fraction(1, 2)], [0, Fraction(3, 4)]],
    ...                    [Fraction(2, 9), Fraction(1, 3), Fraction(4, 9)])
    <ExplicitRungeKutta 'ralston-3' of order 3>
    """

    def __init__(self, name: str, A: Sequence[Sequence[Number]], b: Sequence[Number]):
        super().__init__(name, A, b)
        if any(j >= i for i, row in enumerate(self._rows) for j, _ in row):
            raise InvalidInput(f"{name}: A is not strictly lower triangular; explicit stages follow in turn")

    def step(self, f: Sequence[Velocity], y: State, h: float) -> State:
        """Give the state one step on."""
        k: list[State] = []
        for node, row in zip(self._node, self._rows, strict=True):
            k.append(f[node](moved(y, [(h * a, k[j]) for j, a in row])))
        return moved(y, [(h * weight, k[i]) for i, weight in self._weights])


def _q(text: str) -> list[Fraction]:
    return [Fraction(number) for number in text.split()]


FORWARD_EULER = ExplicitRungeKutta("forward-euler", [[]], [1])
MIDPOINT = ExplicitRungeKutta("midpoint", [[], _q("1/2")], [0, 1])
HEUN = ExplicitRungeKutta("heun", [[], [1]], _q("1/2 1/2"))
RALSTON = ExplicitRungeKutta("ralston", [[], _q("2/3")], _q("1/4 3/4"))
RK3 = ExplicitRungeKutta("rk3", [[], _q("1/2"), [-1, 2]], _q("1/6 2/3 1/6"))
SSP_RK3 = ExplicitRungeKutta("ssp-rk3", [[], [1], _q("1/4 1/4")], _q("1/6 1/6 2/3"))
RK4 = ExplicitRungeKutta("rk4", [[], _q("1/2"), _q("0 1/2"), [0, 0, 1]], _q("1/6 1/3 1/3 1/6"))
THREE_EIGHTHS = ExplicitRungeKutta("three-eighths", [[], _q("1/3"), _q("-1/3 1"), [1, -1, 1]], _q("1/8 3/8 3/8 1/8"))

EXPLICIT = (FORWARD_EULER, MIDPOINT, HEUN, RALSTON, RK3, SSP_RK3, RK4, THREE_EIGHTHS)
