"""From a numerical solution to exact multipliers: rounded, cut off at the signs, and the equalities solved exactly.

Rounding leaves every flow a little off. Each flow equation has one unknown of its own that repairs it: that of x_k the
multiplier lam[x_k, x_t] (k < t), and gam[x*, x_k]; the flow of lam at x_t then holds of itself, as the flows of
multipliers between iterates sum to zero. The repair moves them by about the solver's residual. What an interior-point
solution has of slack covers that or it does not: `verify` says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lemmata.descent.certificate.certificate import Certificate
from lemmata.errors import InvalidInput


def rationalise(
    steps: Sequence[Fraction], Delta: Fraction, lam: np.ndarray, gam: np.ndarray, *, bits: int = 44
) -> Certificate:
    """Round multipliers (t + 2, t + 2), float64, to multiples of 2^-bits and make (a), (b) of `verify` hold exactly.

    Entries that may not be (the diagonals, the row of x* in lam, the column of x*) are dropped; lam is cut off at 0 and
    gam at -lam / Delta, all but the repaired entries. No claim is made: give the result to `verify`.

    >>> from lemmata.descent.certificate import published, verify
    >>> seven = published(7)
    >>> lam, gam = (np.array(part, dtype=float) for part in (seven.lam, seven.gam))
    >>> bool(verify(rationalise(seven.steps, seven.Delta, lam, gam, bits=30)))
    True
    """
    n = len(steps) + 2
    rounded_lam, rounded_gam = ([[_round(x, bits) for x in row] for row in part.tolist()] for part in (lam, gam))
    for k in range(n):
        rounded_lam[0][k] = rounded_lam[k][0] = rounded_lam[k][k] = Fraction(0)
        rounded_gam[k][0] = rounded_gam[k][k] = Fraction(0)
    for i in range(1, n):
        rounded_lam[i] = [max(x, Fraction(0)) for x in rounded_lam[i]]
    lam_rows, _ = _repaired(steps, rounded_lam, rounded_gam)
    for i in range(1, n):
        rounded_gam[i] = [max(x, -low / Delta) for x, low in zip(rounded_gam[i], lam_rows[i], strict=True)]
    return balanced(steps, Delta, lam_rows, rounded_gam)


def balanced(
    steps: Sequence[Fraction], Delta: Fraction, lam: Sequence[Sequence[Fraction]], gam: Sequence[Sequence[Fraction]]
) -> Certificate:
    """Make (a) and (b) of `verify` hold exactly: the last column of lam and row x* of gam are worked out anew."""
    lam_rows, gam_rows = (tuple(tuple(row) for row in part) for part in _repaired(steps, lam, gam))
    return Certificate(tuple(steps), Delta, lam_rows, gam_rows)


def _repaired(
    steps: Sequence[Fraction], lam: Sequence[Sequence[Fraction]], gam: Sequence[Sequence[Fraction]]
) -> tuple[list[list[Fraction]], list[list[Fraction]]]:
    n, last = len(steps) + 2, len(steps) + 1
    if {len(part) for part in (lam, gam)} != {n} or {len(row) for part in (lam, gam) for row in part} != {n}:
        raise InvalidInput(f"multipliers of shapes other than ({n}, {n}) for {len(steps)} steps")
    lam, gam = ([list(row) for row in part] for part in (lam, gam))
    for i in range(1, n):
        lam[i][last] = Fraction(0)
    for i in range(1, last):
        into, out = sum((row[i] for row in lam), Fraction(i == 1)), sum(lam[i], Fraction(0))
        lam[i][last] = into - out
    gam[0] = [Fraction(0)] * n
    net = [sum(gam[j], Fraction(0)) - sum((row[j] for row in gam), Fraction(0)) for j in range(n)]
    gam[0] = [Fraction(0), net[1] + 2 * sum(steps, Fraction(0)), *net[2:]]
    return lam, gam


def _round(value: float, bits: int) -> Fraction:
    return Fraction(round(value * 2**bits), 2**bits)
