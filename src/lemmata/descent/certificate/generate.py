"""Make a certificate: one semidefinite program, rounded to rational numbers, verified."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from lemmata.descent.certificate.certificate import Certificate, decimal, decimal_steps
from lemmata.descent.certificate.program import Program
from lemmata.descent.certificate.rational import rationalise
from lemmata.descent.certificate.solver import minimise
from lemmata.descent.certificate.verify import verify
from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged

LONGEST = 40  # steps: beyond, the program takes minutes
CLAIMED = 10**12  # a claimed rate is a multiple of its inverse


def generate(steps: Any, Delta: Any, *, iterations: int = 60, tolerance: float = 1e-9) -> Certificate:
    """Give a verified certificate for the pattern `steps` and this Delta, from one semidefinite program.

    `steps` (t,) are numbers, fractions or a `Schedule`, in units of 1/L; a float is read as the decimal that it prints
    as, and so is Delta. `tolerance` and `iterations` go to Clarabel. The certificate's claimed rate is the proven one,
    rounded down to a multiple of 1e-12. Nothing is random.

    Raises `InvalidInput` for a pattern that is empty, longer than 40, or has a step that is not positive, and for a
    Delta outside (0, 1 / (2 sum h)]; `NotConverged` where what the solver gave does not verify: the pattern is not
    straightforward with this Delta, or the solver was not precise enough. `certify` tells these apart.

    >>> certificate = generate([1.5, 4.9, 1.5], "1/1000")
    >>> verify(certificate).holds, float(certificate.average - certificate.rate) < 1e-9
    (True, True)
    """
    exactly, Delta = pattern(steps), decimal(Delta, "Delta")
    total = sum(exactly, Fraction(0))
    if not 0 < 2 * total * Delta <= 1:
        raise InvalidInput(f"Delta = {float(Delta):.6g} is not in (0, {float(1 / (2 * total)):.6g}], 1 / (2 sum h)")
    lam, gam, status = _solve(Program(np.array(exactly, dtype=float), float(Delta)), iterations, tolerance)
    certificate = rationalise(exactly, Delta, lam, gam)
    found = verify(certificate)
    if not found.holds or found.rate is None:
        raise NotConverged(
            f"the certificate of {len(exactly)} steps with Delta = {float(Delta):.3g} (Clarabel says {status})",
            best=certificate,
            residual=math.nan,
            tolerance=tolerance,
            remedy=f"what it gave was rejected: {'; '.join(found.failures)}; try a smaller Delta",
        )
    return replace(certificate, rate=Fraction(math.floor(found.rate * CLAIMED), CLAIMED), source="made by lemmata")


def pattern(steps: Any) -> tuple[Fraction, ...]:
    """The steps as fractions, checked: one at least, not more than 40, all positive."""
    exactly = decimal_steps(steps)
    if not exactly:
        raise InvalidInput("a pattern without steps; give one step at least")
    if len(exactly) > LONGEST:
        raise InvalidInput(f"a pattern of {len(exactly)} steps; certificates are made for {LONGEST} at most")
    if min(exactly) <= 0:
        raise InvalidInput(f"a pattern with the step {float(min(exactly)):g}; steps are positive, in units of 1/L")
    return exactly


def _solve(program: Program, iterations: int, tolerance: float) -> tuple[np.ndarray, np.ndarray, str]:
    """The multipliers lam and gam (t + 2, t + 2) where the solver stopped, and what it says of them."""
    A, b, q, (equal, positive) = program.data()
    cones = {"zero": equal, "positive": positive, "semidefinite": [program.n] * 2}
    x, status = minimise(q, A, b, **cones, iterations=iterations, tolerance=tolerance)
    lam, gam = np.zeros((2, program.n, program.n))
    i, j = program.pairs.T
    gam[i, j] = x[program.inner : -1]
    lam[i[-program.inner :], j[-program.inner :]] = x[: program.inner]
    return lam, gam, status
