"""What multipliers make of the inequalities between x*, x_0, ..., x_t, in exact arithmetic.

With L = 1 and f* = 0 the inequality of the pair (i, j) is f_j - f_i + <g_j, x_i - x_j> + |g_i - g_j|^2 / 2 <= 0. The
sum of all of them, each times its multiplier, has two parts:

    sum_k flow_k f_k,        flow_k = sum_i lam_ik - sum_j lam_kj,                      k = x_0, ..., x_t
    <G, Z>,                  G the Gram matrix of (x_0 - x*, g_0, ..., g_t),            Z (t + 2, t + 2)

for the iterates are x_k = x_0 - sum_{l<k} h_l g_l, and x* = g* = 0. Let X have the coordinates of the points as
columns, c the column sums and r the row sums of lam. Then Z is the symmetric part of the columns 1, 2, ... of
X lam - X diag(c), plus (diag(r + c) - lam - lam^T) / 2 without the row and column of x*: two matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flint import fmpq, fmpq_mat


def flows(multipliers: fmpq_mat) -> list[Fraction]:
    """The coefficients of f_0, ..., f_t in the sum of the inequalities.

    >>> from lemmata.linalg.definite import rational_matrix
    >>> flows(rational_matrix([[0, 3, 0], [0, 0, 1], [0, 0, 0]]))
    [Fraction(2, 1), Fraction(1, 1)]
    """
    into, out = _sums(multipliers)
    return [Fraction(int((a - b).p), int((a - b).q)) for a, b in zip(into[1:], out[1:], strict=True)]


def quadratic_form(steps: Sequence[Fraction], multipliers: fmpq_mat) -> fmpq_mat:
    """Z (t + 2, t + 2) for the steps (t,) and the multipliers (t + 2, t + 2).

    >>> from lemmata.linalg.definite import rational_matrix
    >>> quadratic_form([Fraction(1)], rational_matrix([[0, 0, 0], [0, 0, 1], [0, 0, 0]]))
    [0,   0,   0]
    [0, 1/2,   0]
    [0,   0, 1/2]
    """
    import flint

    n = len(steps) + 2
    X = _points(steps)
    into, out = _sums(multipliers)
    diagonal = flint.fmpq_mat(n, n)
    for j, c in enumerate(into):
        diagonal[j, j] = c
    total = X * (multipliers - diagonal)
    squares = flint.fmpq_mat(multipliers)
    for j in range(n):
        total[j, 0] = 0
        squares[0, j] = squares[j, 0] = 0
        squares[j, j] -= (into[j] + out[j]) / 2 if j else 0
    total -= squares
    return (total + total.transpose()) / 2


def _points(steps: Sequence[Fraction]) -> fmpq_mat:
    """The coordinates of x*, x_0, ..., x_t in (x_0 - x*, g_0, ..., g_t), in columns; x* is the origin."""
    import flint

    n = len(steps) + 2
    X = flint.fmpq_mat(n, n)
    for j in range(1, n):
        X[0, j] = 1
    for k, step in enumerate(steps):
        h = flint.fmpq(step.numerator, step.denominator)
        for j in range(k + 2, n):
            X[k + 1, j] = -h
    return X


def _sums(multipliers: fmpq_mat) -> tuple[list[fmpq], list[fmpq]]:
    """The column sums and the row sums."""
    import flint

    n = multipliers.nrows()
    ones = flint.fmpq_mat(n, 1, [1] * n)
    return (multipliers.transpose() * ones).entries(), (multipliers * ones).entries()
