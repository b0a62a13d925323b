"""How many tosses a claim p > p0 needs at the least: n hits of n prove p > alpha^(1/n), and no outcome proves more.

    n > log(alpha) / log(p0)

Below it every outcome is an abstention, however good the coin: at alpha = 0.001 it takes 10 tosses to prove p > 1/2.
"""

from __future__ import annotations

import math
from fractions import Fraction

from lemmata.errors import InvalidInput
from lemmata.given import require_number

EXACT = 20_000  # tosses up to which p0^n < alpha is decided in exact arithmetic


def samples_needed(p0: float, *, alpha: float) -> int:
    """The least n at which n hits of n tosses prove p > p0 at level alpha: the least n with p0^n < alpha.

    Decided in exact arithmetic up to 20,000 tosses, by logarithms beyond. Raises `InvalidInput` unless p0 and alpha lie
    between 0 and 1: p > 1 cannot be proven, and p > 0 takes one hit.

    >>> samples_needed(0.5, alpha=0.001), samples_needed(0.99, alpha=0.001)
    (10, 688)
    """
    p0, alpha = require_number(p0, "p0"), require_number(alpha, "alpha")
    if not 0 < p0 < 1:
        raise InvalidInput(f"p0 = {p0:g}; give a probability between 0 and 1, neither included")
    if not 0 < alpha < 1:
        raise InvalidInput(f"alpha = {alpha:g}; give a probability between 0 and 1, such as 0.001")
    n = max(1, math.floor(math.log(alpha) / math.log(p0)))
    while not _proves(n, p0, alpha):
        n += 1
    while n > 1 and _proves(n - 1, p0, alpha):
        n -= 1
    return n


def _proves(n: int, p0: float, alpha: float) -> bool:
    if n <= EXACT:
        return Fraction(p0) ** n < Fraction(alpha)
    return n * math.log(p0) < math.log(alpha)
