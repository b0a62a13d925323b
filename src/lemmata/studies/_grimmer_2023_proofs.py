"""The proofs of `grimmer-2023`: published certificates verified, patterns near the limit certified or refuted."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from pydantic import Field

from lemmata.descent.certificate import (
    Certificate,
    NotStraightforward,
    certify,
    published,
    rationalise,
    verify,
)
from lemmata.descent.certificate.refutation import Refutation, growth, quadratic, quadratic_refutation
from lemmata.estimate import NotConverged
from lemmata.study import Config, Measurements

LENGTHS = (3, 7, 15, 31, 63, 127)
SEARCHED = 31  # steps: the longest pattern for which a function that it raises is searched for, by a program
PRINTED = {  # eps as the notebooks print it, and the unit of the last of its 20 digits; for t = 3 they prove eps = 0
    3: ("0", "1e-20"),
    7: ("1.5725407490505889231e-10", "1e-29"),
    15: ("6.1226015399064260652e-10", "1e-29"),
    31: ("2.4619886789105047795e-12", "1e-31"),
    63: ("0.00013205941758963900675", "1e-23"),
    127: ("0.000015315973132076549708", "1e-24"),
}


class Proof(Config):
    """A published certificate, perhaps for other steps than it was made for."""

    t: Literal[3, 7, 15, 31, 63, 127] = Field(default=3, description="steps of the pattern")
    order: Literal["published", "longest first"] = Field(default="published", description="order of the steps")
    stretch: float = Field(default=1.0, gt=0, description="every step times this")
    bits: int = Field(
        default=0, ge=0, le=60, description="multipliers rounded to multiples of 2^-bits; 0: as published"
    )

    def certificate(self) -> Certificate:
        """The multipliers with the steps that are asked for, claiming nothing."""
        found = replace(published(self.t), rate=None)
        if self.bits:
            lam, gam = (np.array(part, dtype=float) for part in (found.lam, found.gam))
            found = rationalise(found.steps, found.Delta, lam, gam, bits=self.bits)
        steps = sorted(found.steps, reverse=True) if self.order == "longest first" else found.steps
        return replace(found, steps=[step * Fraction(self.stretch) for step in steps])


def prove(configs: Sequence[Proof]) -> list[Measurements]:
    """Verify each certificate, and where it fails look for a function that one cycle of the steps does not lower."""
    return [_prove(config) for config in configs]


def _prove(config: Proof) -> Measurements:
    certificate = config.certificate()
    found = verify(certificate)
    measured: dict[str, Any] = {"proven": float(found.holds), "average": float(certificate.average)}
    if found.rate is not None and found.eps is not None:
        printed, unit = (Fraction(text) for text in PRINTED[config.t])
        measured["coefficient"], measured["eps"] = float(found.rate), float(found.eps)
        measured["off_printed"] = float(abs(found.eps - printed) / unit)
    function = _function(certificate, found.holds)
    if function is not None:
        measured["growth"] = float(function.values[-1] / function.values[0])
    lam, gam = (np.array(part, dtype=float) for part in (certificate.lam, certificate.gam))
    steps = np.array(certificate.steps, dtype=float)
    return Measurements.of(**measured, lengths=steps, raised=lam + float(certificate.Delta) * gam)


def _function(certificate: Certificate, proven: bool) -> Refutation | None:
    """A function on which a cycle gains little: x^2 / 2 if the pattern is proven, else one that refutes it."""
    if proven:
        return quadratic(certificate.steps, Fraction(1))
    found = quadratic_refutation(certificate.steps)
    return growth(certificate.steps) if found is None and certificate.t <= SEARCHED else found


class Limit(Config):
    """The pattern (3/2, middle, 3/2), certified by ourselves or refused."""

    middle: float = Field(default=4.9, gt=0, description="the long step")


def limit(configs: Sequence[Limit]) -> list[Measurements]:
    """Ask for a certificate of each pattern; a refusal counts only with a function that proves it."""
    return [_limit(config) for config in configs]


def _limit(config: Limit) -> Measurements:
    try:
        found = certify([1.5, config.middle, 1.5])
    except NotStraightforward as refusal:
        return Measurements.of(certified=0.0, refuted=float(refusal.refutation.holds))
    except NotConverged:
        return Measurements.of(certified=0.0, refuted=0.0)
    return Measurements.of(certified=1.0, refuted=0.0, Delta=float(found.Delta), average=float(found.average))
