"""Butcher tableaux as data, and what they say by themselves: order, stability function, symmetry; in exact arithmetic.

    k_i = f(t + c_i h, y + h sum_j a_ij k_j),   y_{n+1} = y + h sum_i b_i k_i,   c_i = sum_j a_ij

On y' = lambda y a step multiplies by, with z = h lambda,

    R(z) = 1 + z b^T (I - z A)^-1 1 = det(I - z A + z 1 b^T) / det(I - z A).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.flows.methods.method import Method
from lemmata.flows.methods.order import order_of
from lemmata.flows.required import require_list

Number = int | float | Fraction
Square = tuple[tuple[Fraction, ...], ...]


class RungeKutta(Method):
    """A method given by its tableau: rows of A may stop at their last entry that is not zero."""

    def __init__(self, name: str, A: Sequence[Sequence[Number]], b: Sequence[Number]):
        A, b = [exact(row, name) for row in require_list(A, "A", "[[], [0.5]]")], exact(b, name)
        stages = len(b)
        if len(A) != stages or any(len(row) > stages for row in A):
            raise InvalidInput(
                f"{name}: A has rows of {[len(row) for row in A]} numbers for {stages} weights b; give a row a stage, "
                f"none longer than b"
            )
        self.name, self.stages = name, stages
        self.A: Square = tuple(tuple(Fraction(a) for a in (*row, *[0] * (stages - len(row)))) for row in A)
        self.b = tuple(Fraction(weight) for weight in b)
        self.c = tuple(sum(row, Fraction(0)) for row in self.A)
        self.order = order_of(self.b, self.A)
        if self.order == 0:
            raise InvalidInput(f"{name}: the weights b sum to {sum(self.b)}; they must sum to 1 to follow any field")
        self.nodes = tuple(float(c) for c in sorted(set(self.c)))
        self._node = [self.nodes.index(float(c)) for c in self.c]
        self._rows = [[(j, float(a)) for j, a in enumerate(row) if a] for row in self.A]
        self._weights = [(i, float(weight)) for i, weight in enumerate(self.b) if weight]
        self.numerator, self.denominator = stability_polynomials(self.A, self.b)

    @property
    def symmetric(self) -> bool:
        """Whether the method is its own adjoint: a step back is a step of -h."""
        last = self.stages - 1
        return all(
            self.A[last - i][last - j] + self.A[i][j] == self.b[j] == self.b[last - j]
            for i in range(self.stages)
            for j in range(self.stages)
        )

    def stability_function(self, z: Any) -> Any:
        """Give R(z), a quotient of the polynomials `numerator` and `denominator` (lowest powers first)."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return _polynomial(self.numerator, z) / _polynomial(self.denominator, z)


def exact(row: object, name: str) -> list[Fraction]:
    """Give a row of numbers as fractions."""
    try:
        return [Fraction(number) for number in require_list(row, name, "[0, 0.5]")]
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        raise InvalidInput(f"{name}: {row!r} holds what is no finite number; give numbers or Fractions") from None


def stability_polynomials(A: Square, b: Sequence[Fraction]) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """Give the coefficients of det(I - z A + z 1 b^T) and det(I - z A), lowest powers first."""
    below = tuple(tuple(a - weight for a, weight in zip(row, b, strict=True)) for row in A)
    return _reversed_characteristic(below), _reversed_characteristic(A)


def _reversed_characteristic(M: Square) -> tuple[Fraction, ...]:
    """The coefficients of det(I - z M), by Faddeev and LeVerrier."""
    size = range(len(M))
    N = [[Fraction(0) for _ in size] for _ in size]
    coefficients = [Fraction(1)]
    for k in range(1, len(M) + 1):
        N = [[N[i][j] + coefficients[-1] * (i == j) for j in size] for i in size]
        N = [[sum((M[i][m] * N[m][j] for m in size), Fraction(0)) for j in size] for i in size]
        coefficients.append(-sum((N[i][i] for i in size), Fraction(0)) / k)
    while len(coefficients) > 1 and not coefficients[-1]:
        coefficients.pop()
    return tuple(coefficients)


def _polynomial(coefficients: Sequence[Fraction], z: Any) -> Any:
    value = 0 * z + float(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * z + float(coefficient)
    return value
