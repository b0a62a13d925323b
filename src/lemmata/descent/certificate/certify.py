"""A user's pattern of steps: certified, or refused with a function that shows why. Both answers are proven exactly."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from lemmata.descent.certificate.certificate import Certificate
from lemmata.descent.certificate.generate import generate, pattern
from lemmata.descent.certificate.refutation import Refutation, growth, quadratic_refutation
from lemmata.errors import LemmataError
from lemmata.estimate import NotConverged

FALL = 0.2  # from one Delta to the next
TRIES = 9
FULL = Fraction(1, 10**6)  # what a rate may lack, relative to the average step, and count as the full one


class NotStraightforward(LemmataError):
    """The steps do not lower every convex smooth function; `refutation` is one that they do not, proven exactly."""

    def __init__(self, message: str, refutation: Refutation):
        super().__init__(message)
        self.refutation = refutation


def certify(steps: Any, Delta: Any = None) -> Certificate:
    """Certify that a pattern of steps, repeated, has the rate L D^2 / (average step x T), or refuse it with a proof.

    `steps` (t,) are numbers, fractions or a `Schedule`, in units of 1/L, 40 at most; a float is read as the decimal
    that it prints as. Without `Delta` the largest that certifies is looked for, down from what quadratics allow by
    factors of 5; each try is one semidefinite program (0.01 s for t = 7, 0.1 s for t = 15, 1.5 to 3 s for t = 31, where
    the search takes some 15 s in all). The certificate claims what it proves, and is verified.

    Raises `NotStraightforward` with a function that a cycle does not lower, `NotConverged` where neither a certificate
    nor such a function was found, and `InvalidInput` for what is not a pattern.

    >>> certificate = certify([1.5, 4.9, 1.5])
    >>> f"{float(certificate.rate):.6f}"
    '2.633333'
    >>> certify([1.5, 5.1, 1.5])
    Traceback (most recent call last):
    lemmata.descent.certificate.certify.NotStraightforward: the pattern (3/2, 51/10, 3/2) is not straightforward: ...
    """
    exactly = pattern(steps)
    refutation = quadratic_refutation(exactly)
    if refutation is not None:
        raise NotStraightforward(_quadratic_message(exactly, refutation), refutation)
    best: Certificate | None = None
    last: NotConverged | None = None
    for attempt in [Delta] if Delta is not None else _ladder(exactly):
        try:
            found = generate(exactly, attempt)
        except NotConverged as failure:
            last = failure
            continue
        best = found if best is None or _rate(found) > _rate(best) else best
        if _rate(best) >= (1 - FULL) * best.average:
            return best
    if best is not None:
        return best
    refutation = growth(exactly)
    if refutation is not None:
        raise NotStraightforward(
            f"the pattern {_text(exactly)} is not straightforward: {refutation}, so one cycle may raise f; try the "
            "steps in another order (palindromic), or a shorter longest step",
            refutation,
        )
    raise NotConverged(
        f"the search for a certificate of {_text(exactly)}",
        best=None if last is None else last.best,
        residual=math.nan,
        tolerance=float(FULL),
        remedy="no function that refutes it was found either; give a smaller Delta, or shorten its longest step",
    )


def largest_Delta(steps: Any) -> Fraction:  # noqa: N802 - as in the literature
    """No Delta beyond this certifies the pattern: on f = c x^2 / 2 with a gap of delta <= c / 2 a cycle must gain.

    prod (1 - h c)^2 delta <= delta - S delta^2 gives Delta <= (1 - prod (1 - h c)^2) / S for every c, here on a grid,
    if that is below c / 2; and 2 S Delta <= 1 always.

    >>> round(float(largest_Delta([1.5, 4.9, 1.5])), 5)
    0.00625
    """
    exactly = pattern(steps)
    h = np.array(exactly, dtype=float)
    curvature = np.arange(1, 2001) / 2000
    gain = (1 - np.prod(1 - np.outer(curvature, h), axis=1) ** 2) / h.sum()
    allowed = np.where(gain < curvature / 2, gain, np.inf).min()
    limit = 1 / (2 * sum(exactly, Fraction(0)))
    return min(limit, Fraction(float(allowed))) if math.isfinite(allowed) else limit


def _ladder(steps: tuple[Fraction, ...]) -> list[Fraction]:
    """The Deltas to try, each cut to one significant digit."""
    tops = [float(largest_Delta(steps)) * FALL**k for k in range(TRIES)]
    digits = [Fraction(10) ** math.floor(math.log10(top)) for top in tops]
    return [math.floor(Fraction(top) / digit) * digit for top, digit in zip(tops, digits, strict=True)]


def _rate(certificate: Certificate) -> Fraction:
    return certificate.rate or Fraction(0)


def _text(steps: tuple[Fraction, ...]) -> str:
    shown = [str(step) if step.denominator <= 1000 else f"{float(step):.6g}" for step in steps[:7]]
    return f"({', '.join(shown)}{', ...' if len(steps) > 7 else ''})"


def _quadratic_message(steps: tuple[Fraction, ...], refutation: Refutation) -> str:
    curvature = refutation.gradients[0][0]
    c = "" if curvature == 1 else f"{curvature} "
    factor = math.sqrt(refutation.values[-1] / refutation.values[0])
    return (
        f"the pattern {_text(steps)} is not straightforward: on f = {c}x^2 / 2 a cycle multiplies x by "
        f"prod |1 - {c}h| = {factor:.6g} >= 1 and gains nothing; with the other steps as they are the longest, "
        f"{float(max(steps)):g}, must stay below {_limit_of_longest(steps):.6g}"
    )


def _limit_of_longest(steps: tuple[Fraction, ...]) -> float:
    """Where |1 - h c| prod over the others |1 - h_k c| = 1 first, for the longest step h: min (1 + 1 / prod) / c."""
    others = np.sort(np.array(steps, dtype=float))[:-1]
    curvature = np.arange(1, 2001) / 2000
    with np.errstate(divide="ignore"):
        return float(((1 + 1 / np.abs(np.prod(1 - np.outer(curvature, others), axis=1))) / curvature).min())
