"""The nouns of judgement: the outcome of a claim with its reason, and the outcome of each of its controls."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lemmata.study.claim import Claim, Control
from lemmata.verdicts import wording
from lemmata.verdicts.evidence import Evidence, Judged


class Outcome(StrEnum):
    """What can be said of a claim.

    >>> Outcome.DIRECTION_ONLY.value
    'direction only'
    """

    REPRODUCED = "reproduced"  # the statistic lies inside the claim's region
    DIRECTION_ONLY = "direction only"  # right sign or order, magnitude outside the region
    CONTRADICTED = "contradicted"  # outside the region, and not shown to be on the right side
    INCONCLUSIVE = "inconclusive"  # neither is shown
    VOID = "void"  # the claim also holds where it must fail
    NOT_TESTABLE = "not testable here"  # something the paper used cannot be had


class ControlOutcome(StrEnum):
    """What became of a control. Only `REFUTED` (with its move, if it has one) supports the claim."""

    REFUTED = "refuted"
    PASSED = "passed"
    UNDECIDED = "undecided"
    NOT_MOVED = "refuted, but not moved"  # the location is not where the control should have moved it


@dataclass(frozen=True)
class Ruling:
    """What a claim's own records give, before its controls: p-values corrected over a family of claims."""

    evidence: Evidence
    outcome: Outcome
    p_inside: float
    p_outside: float
    p_direction: float
    level: float
    family: int


@dataclass(frozen=True)
class ControlVerdict:
    """A control judged. `components` are the claim's on the control's records, `moved` those of the moved claim."""

    control: Control
    outcome: ControlOutcome
    reason: str
    components: tuple[Judged, ...] = ()
    moved: tuple[Judged, ...] = ()
    wants_seeds: bool = False

    @property
    def ours(self) -> str:
        """What the control measured, in the words of `Verdict.ours`."""
        return wording.ours(self.components)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a claim, its reason in one sentence, and everything the reason rests on.

    `p_inside`, `p_outside`, `p_direction` are corrected over the study's claims and compared with `level`. `n` is the
    number of seeds, `needed` the number it would take to decide (power 80 %; 10,001 means more than 10,000), None where
    that cannot be said or is not wanted. `wants_seeds` says whether more seeds could change an undecided verdict.
    """

    claim: Claim
    outcome: Outcome
    reason: str
    components: tuple[Judged, ...] = ()
    controls: tuple[ControlVerdict, ...] = ()
    n: int = 0
    needed: int | None = None
    p_inside: float = 1.0
    p_outside: float = 1.0
    p_direction: float = 1.0
    level: float = 0.05
    wants_seeds: bool = False

    @property
    def paper(self) -> str:
        """The paper's number as the paper prints it; a dash where the claim has none."""
        return wording.paper(self.claim)

    @property
    def margin(self) -> str:
        """The region in which the claim holds, in words."""
        return wording.margin(self.claim, self.components)

    @property
    def ours(self) -> str:
        """Each statistic's mean with its 95 % interval, and the number of every seed."""
        return wording.ours(self.components)

    @property
    def short(self) -> str:
        """`ours` without the seeds, for a narrow table."""
        return wording.ours(self.components, seeds=False)
