"""After how many tosses to look: often at first, then geometrically.

A look costs a comparison of integers, a toss a forward pass; but a decision waits for the next look. Steps of a share
`growth` - 1 of what is already drawn make that wait at most such a share of the samples, with O(log n) looks.
"""

from __future__ import annotations

import math

import numpy as np

from lemmata.bernoulli.procedure import IntArray
from lemmata.errors import InvalidInput
from lemmata.given import require_number

MOST = 10**9  # tosses: what is beyond takes years, and boundaries that take hours
MOST_LOOKS = 10_000


def looks(n: int, *, first: int = 25, growth: float = 1.08) -> IntArray:
    """Give increasing numbers of samples, the last of them `n`, the others multiples of `first`: (K,) int64.

    The next is the least multiple of `first` that is at least `growth` times the one before. Raises `InvalidInput` for
    fewer than one sample, more than 10^9, for a growth that is not above 1 and for more than 10,000 looks.

    >>> looks(300, first=25, growth=1.5)
    array([ 25,  50,  75, 125, 200, 300])
    """
    n, first, growth = require_tosses(n, "n"), require_count(first, "first"), require_number(growth, "growth")
    if not 1 < growth < math.inf:
        raise InvalidInput(f"growth = {growth}; looks grow by a factor above 1, such as 1.08")
    counts = [min(first, n)]
    while counts[-1] < n:
        if len(counts) == MOST_LOOKS:
            raise InvalidInput(f"growth = {growth}, first = {first}: more than {MOST_LOOKS:,} looks; take larger ones")
        blocks = max(counts[-1] // first + 1, math.ceil(counts[-1] * growth / first))
        counts.append(min(n, blocks * first))
    return np.array(counts, dtype=np.int64)


def require_tosses(value: object, name: str) -> int:
    """Give a number of tosses back, which no more than `MOST` are.

    >>> require_tosses(10**12, "n")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: n = 1000000000000; give at most 1,000,000,000 tosses
    """
    n = require_count(value, name)
    if n > MOST:
        raise InvalidInput(f"{name} = {value}; give at most {MOST:,} tosses")
    return n


def require_looks(values: object, name: str = "looks") -> IntArray:
    """Increasing whole numbers of tosses to look at, (K,) int64; refused where they are none, or too many.

    >>> require_looks([10, 5])
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: looks = [10, 5]; give increasing numbers of tosses, from 1 on
    """
    try:
        counts = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        counts = np.zeros(0)
    if (
        counts.ndim != 1
        or not len(counts)
        or not (counts == np.floor(counts)).all()  # NaN fails too
        or not (np.diff(counts, prepend=0) > 0).all()
    ):
        raise InvalidInput(f"{name} = {values}; give increasing numbers of tosses, from 1 on")
    if len(counts) > MOST_LOOKS:
        raise InvalidInput(f"{len(counts):,} {name}; give at most {MOST_LOOKS:,}")
    require_tosses(float(counts[-1]), f"the last of {name}")
    return counts.astype(np.int64)


def require_count(value: object, name: str, *, least: int = 1) -> int:
    """Give a whole number back that is at least `least`.

    >>> require_count(2.5, "n")
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: n = 2.5; give a whole number, at least 1
    """
    number = require_number(value, name)
    if not (number >= least and number == math.floor(number) and math.isfinite(number)):
        raise InvalidInput(f"{name} = {value}; give a whole number, at least {least}")
    return int(number)
