"""Where a procedure proves p or more: the least hits at each look, which is all that an exact audit needs to know.

A procedure may tell it itself (`Bounded`); a fixed number of tosses and a fixed sequence of tests are known here. For
the latter it is the boundary of the first threshold that is p or more, without which none beyond is claimed.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from lemmata.bernoulli.fixed_sample import FixedSample
from lemmata.bernoulli.fixed_sequence import FixedSequence, centre
from lemmata.bernoulli.least_hits import least_hits
from lemmata.bernoulli.procedure import IntArray, Procedure
from lemmata.errors import InvalidInput


@runtime_checkable
class Bounded(Procedure, Protocol):
    """A procedure whose looks are comparisons of integers, and that tells which."""

    def boundary(self, p: float, selected: int, n0: int) -> IntArray:
        """The least hits (K,) at which each look may prove p or more, of a coin so selected; looks[k] + 1 for never."""
        ...


def boundary(procedure: Procedure, p: float, *, selected: int = 0, n0: int = 0) -> IntArray:
    """The least hits (K,) at each look with which a coin, `selected` hits of n0 in the selection, is proven p or more.

    Raises `InvalidInput` for a procedure of which it is not known.

    >>> boundary(FixedSample(10, alpha=0.001), 0.5)
    array([10])
    """
    if isinstance(procedure, Bounded):
        return procedure.boundary(p, selected, n0)
    if isinstance(procedure, FixedSample):
        return least_hits(procedure.looks, np.array([procedure.alpha]), p)
    if isinstance(procedure, FixedSequence):
        claims = np.flatnonzero(procedure.thresholds >= p)
        if not len(claims):
            return procedure.looks + 1
        tests = procedure.boundaries(int(centre(np.array([selected]), n0)[0]), n0)
        return tests[claims[0]].accept
    raise InvalidInput(f"{procedure!r} tells no boundary(p, selected, n0); simulate it by false_certificate_rate")
