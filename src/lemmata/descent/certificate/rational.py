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
    n, last = len(steps) + 2, len(steps) + 1
    rounded_lam, rounded_gam = ([[_round(x, bits) for x in row] for row in part.tolist()] for part in (lam, gam))
    for k in range(n):
        rounded_lam[0][k] = rounded_lam[k][0] = rounded_lam[k][k] = Fraction(0)
        rounded_gam[k][0] = rounded_gam[k][k] = rounded_gam[0][k] = Fraction(0)
    for i in range(1, n):
        rounded_lam[i] = [max(x, Fraction(0)) for x in rounded_lam[i]]
        rounded_lam[i][last] = Fraction(0)
    for i in range(1, last):
        into, out = sum((row[i] for row in rounded_lam), Fraction(i == 1)), sum(rounded_lam[i], Fraction(0))
        rounded_lam[i][last] = into - out
    for i in range(1, n):
        rounded_gam[i] = [max(x, -low / Delta) for x, low in zip(rounded_gam[i], rounded_lam[i], strict=True)]
    total = 2 * sum(steps, Fraction(0))
    net = [sum(rounded_gam[j], Fraction(0)) - sum(row[j] for row in rounded_gam) for j in range(n)]
    rounded_gam[0] = [Fraction(0), net[1] + total, *net[2:]]
    lam_rows, gam_rows = (tuple(tuple(row) for row in part) for part in (rounded_lam, rounded_gam))
    return Certificate(tuple(steps), Delta, lam_rows, gam_rows)


def _round(value: float, bits: int) -> Fraction:
    return Fraction(round(value * 2**bits), 2**bits)
