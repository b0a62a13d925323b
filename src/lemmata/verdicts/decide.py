"""Judge a study: its claims and tables in, a verdict with a reason for each claim out.

Every claim is tested on its own records, the p-values are corrected by Holm over the study's claims (one family for
each of the three questions), controls take away what they do not support, and with several looks the first one that
decides counts. The same tables always give the same verdicts. docs/statistics.md derives what error is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.study.claim import Claim
from lemmata.study.kinds import exact, never
from lemmata.study.study import Study
from lemmata.verdicts import reasons, spending
from lemmata.verdicts.controls import judge_control
from lemmata.verdicts.evidence import FEWEST, Evidence, Judged, assess
from lemmata.verdicts.gather import Rows, Wanted, below, gather
from lemmata.verdicts.power import needed
from lemmata.verdicts.statistics import holm
from lemmata.verdicts.verdict import ControlOutcome, ControlVerdict, Outcome, Ruling, Verdict

if TYPE_CHECKING:
    import pandas as pd


def judge(
    study: Study,
    tables: Mapping[str, pd.DataFrame],
    plan: Wanted,
    *,
    alpha: float = 0.05,
    looks: Sequence[int] | None = None,
) -> list[Verdict]:
    """One verdict a claim, in the study's order.

    `tables` has a table for each experiment (a row a member, with "key", "seed", "status" and the measurements).
    `alpha` is the chance, over all claims, of calling any claim reproduced that does not hold (and likewise for
    contradicted, and for the direction). `looks` = (5, 10, 20) judges the seeds below 5 first, then those below 10,
    and so on, each at its own share of alpha, and keeps the first decision; None judges all seeds at once. Nothing is
    random, and a claim that cannot be judged says so in its reason. Raises `InvalidInput` for an alpha or looks that
    make no sense.

    >>> from lemmata.study import Config, Study
    >>> judge(Study("empty", question="Nothing asked?", config=Config), {}, None)
    []
    """
    if not 0 < alpha < 0.5:
        raise InvalidInput(f"alpha = {alpha} is no error probability; choose one between 0 and 0.5, such as 0.05")
    if looks is not None and (not looks or list(looks) != sorted(set(looks))):
        raise InvalidInput(f"looks = {looks} must be increasing numbers of seeds, such as (5, 10, 20)")
    rows = {claim.name: gather(study, claim, tables, plan) for claim in study.claims if not claim.untestable}
    stages = _stages(rows, looks)
    judged = [_look(study.claims, rows, look, level=_level(k, alpha, looks)) for k, look in enumerate(stages, start=1)]
    decided = np.array([[not verdict.wants_seeds for verdict in verdicts] for verdicts in judged])
    first = spending.first_decision(decided) if study.claims else ()
    return [judged[k][i] for i, k in enumerate(first)]


def settle(p_inside: np.ndarray, p_outside: np.ndarray, p_direction: np.ndarray, *, level: float) -> np.ndarray:
    """Outcomes (as strings) of claims from their p-values, shape (..., claims), Holm over the last axis.

    >>> settle(np.array([0.01, 0.9, 0.9]), np.array([1, 0.01, 0.9]), np.array([0.01, 0.01, 0.5]), level=0.05)
    array(['reproduced', 'direction only', 'inconclusive'], dtype='<U14')
    """
    inside, outside, direction = (holm(p) <= level for p in (p_inside, p_outside, p_direction))
    outcomes = [Outcome.REPRODUCED.value, Outcome.DIRECTION_ONLY.value, Outcome.CONTRADICTED.value]
    return np.select([inside, outside & direction, outside], outcomes, Outcome.INCONCLUSIVE.value)


def _stages(rows: Mapping[str, Rows], looks: Sequence[int] | None) -> list[int | None]:
    """The looks that are complete; the first one in any case."""
    if looks is None:
        return [None]
    recorded = max((int(r.claim["seed"].max()) + 1 for r in rows.values() if len(r.claim)), default=0)
    return [look for k, look in enumerate(looks) if k == 0 or look <= recorded]


def _level(k: int, alpha: float, looks: Sequence[int] | None) -> float:
    return alpha if looks is None else spending.level(k, alpha)


def _look(claims: Sequence[Claim], rows: Mapping[str, Rows], look: int | None, *, level: float) -> list[Verdict]:
    """Verdicts from the seeds below `look` alone."""
    evidence = {name: _evidence(claim, rows[name], look) for name, claim in _tested(claims).items()}
    # a claim without records stays in the family, or missing data would make the verdicts on the others stronger
    kinds = {claim.name: claim.kind for claim in claims}
    statistical = [n for n, e in evidence.items() if not (e.exact or isinstance(kinds[n], exact | never))]
    families = [statistical, *([name] for name in evidence if name not in statistical)]
    rulings = {}
    for family in families:
        questions = [(e.p_inside, e.p_outside, e.p_direction) for e in (evidence[name] for name in family)]
        p = np.array(questions).reshape(-1, 3).T
        outcomes, adjusted = settle(*p, level=level), holm(p).T
        for name, outcome, corrected in zip(family, outcomes, adjusted, strict=True):
            rulings[name] = Ruling(evidence[name], Outcome(str(outcome)), *_three(corrected), level, len(family))
    return [
        _verdict(claim, rulings[claim.name], rows[claim.name], look)
        if claim.name in rulings
        else Verdict(claim, Outcome.NOT_TESTABLE, claim.untestable, level=level)
        for claim in claims
    ]


def _three(p: np.ndarray) -> tuple[float, float, float]:
    return float(p[0]), float(p[1]), float(p[2])


def _tested(claims: Sequence[Claim]) -> dict[str, Claim]:
    return {claim.name: claim for claim in claims if not claim.untestable}


def _evidence(claim: Claim, rows: Rows, look: int | None) -> Evidence:
    """The evidence of the seeds below `look`; an identity has to hold in all records, whatever the look."""
    found = assess(claim, below(rows.claim, look), paper=claim.paper, region=claim.region, missing=rows.missing)
    if found.exact and look is not None:
        return assess(claim, rows.claim, paper=claim.paper, region=claim.region, missing=rows.missing)
    return found


def _verdict(claim: Claim, ruling: Ruling, rows: Rows, look: int | None) -> Verdict:
    found = ruling.evidence
    if rows.unavailable and not found.seeds:
        return Verdict(claim, Outcome.NOT_TESTABLE, rows.unavailable, level=ruling.level)
    controls = tuple(
        judge_control(claim, control, below(table, look), level=ruling.level)
        for control, table in zip(claim.controls, rows.controls, strict=True)
    )
    outcome = gate(ruling.outcome, controls)
    open_ = outcome is Outcome.INCONCLUSIVE
    more = plan_seeds(ruling) if open_ else None
    return Verdict(
        claim,
        outcome,
        reasons.tell(ruling, controls, outcome, rows=rows, needed=more),
        found.components,
        controls,
        n=found.n,
        needed=more,
        p_inside=ruling.p_inside,
        p_outside=ruling.p_outside,
        p_direction=ruling.p_direction,
        level=ruling.level,
        wants_seeds=open_ and _seeds_help(ruling, controls),
    )


def gate(outcome: Outcome, controls: Sequence[ControlVerdict]) -> Outcome:
    """What the controls leave of an outcome: void where one passed, inconclusive where one is not refuted.

    A contradicted claim stays contradicted: it needs no control to fail.

    >>> gate(Outcome.REPRODUCED, [])
    <Outcome.REPRODUCED: 'reproduced'>
    """
    if outcome is Outcome.CONTRADICTED:
        return outcome
    if any(control.outcome is ControlOutcome.PASSED for control in controls):
        return Outcome.VOID
    supported = all(control.outcome is ControlOutcome.REFUTED for control in controls)
    return outcome if supported else Outcome.INCONCLUSIVE


def plan_seeds(ruling: Ruling) -> int | None:
    """The seeds a claim would need at the level that Holm grants in the worst case; None where no t test is at work."""
    parts = [part for part in ruling.evidence.components if not part.component.exact]
    if any(part.method == "too few" for part in parts):
        return FEWEST
    if ruling.outcome is not Outcome.INCONCLUSIVE or any(part.method == "sign" for part in parts):
        return None
    level = ruling.level / ruling.family

    def ask(part: Judged, at: float) -> int:
        return needed(mean=part.mean, sd=part.sd, low=part.component.low, high=part.component.high, level=at)

    doubtful = [part for part in parts if part.method == "t"]
    beyond = [part for part in doubtful if not part.component.low <= part.mean <= part.component.high]
    if beyond:
        return min(ask(part, level / len(parts)) for part in beyond)
    return max((ask(part, level) for part in doubtful), default=None)


def _seeds_help(ruling: Ruling, controls: Sequence[ControlVerdict]) -> bool:
    if ruling.outcome is not Outcome.INCONCLUSIVE:
        return all(control.wants_seeds for control in controls if control.outcome is not ControlOutcome.REFUTED)
    broken = any(part.method == "exact" and part.p_inside == 1 for part in ruling.evidence.components)
    return not ruling.evidence.problem and not broken
