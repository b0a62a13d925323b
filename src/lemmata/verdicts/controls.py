"""Is a claim refuted where it must fail, and does its location move where it must move?

A control asks for the claim to come out refuted on the control's own records, at the level of the look and without a
correction: a control can only take a verdict away, never give one, so that the error of "reproduced" is not raised.
A statistic with a finite value in none of three or more seeds (the place of a peak where there is no peak, a slow-down
where nothing ever arrives) refutes too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lemmata.study.claim import Claim, Control
from lemmata.verdicts import reasons
from lemmata.verdicts.evidence import Evidence, assess
from lemmata.verdicts.verdict import ControlOutcome, ControlVerdict

if TYPE_CHECKING:
    import pandas as pd


def judge_control(claim: Claim, control: Control, rows: pd.DataFrame, *, level: float) -> ControlVerdict:
    """Judge one control on its rows."""
    fails = assess(claim, rows, paper=claim.paper, region=claim.region)
    if fails.problem:
        undecidable = ControlOutcome.UNDECIDED
        return ControlVerdict(control, undecidable, f"cannot be judged: {fails.problem}", wants_seeds=False)
    if fails.p_inside <= level:
        return ControlVerdict(control, ControlOutcome.PASSED, reasons.holds(fails), fails.components)
    if not refuted(fails, level):
        reason = reasons.unsettled(fails)
        return ControlVerdict(control, ControlOutcome.UNDECIDED, reason, fails.components, wants_seeds=True)
    if control.to is None:
        return ControlVerdict(control, ControlOutcome.REFUTED, reasons.fails(fails), fails.components)
    return _judge_move(claim, control, rows, fails, level=level)


def refuted(evidence: Evidence, level: float) -> bool:
    """Whether the claim fails on this evidence."""
    return evidence.p_outside <= level or evidence.absent is not None


def _judge_move(claim: Claim, control: Control, rows: pd.DataFrame, fails: Evidence, *, level: float) -> ControlVerdict:
    moves = assess(claim, rows, paper=control.to, region=claim.region_around(control.to))
    open_ = False
    if moves.p_inside <= level:
        outcome, reason = ControlOutcome.REFUTED, f"moved as predicted: {reasons.holds(moves)}"
    elif refuted(moves, level):
        outcome, reason = ControlOutcome.NOT_MOVED, f"not moved: {reasons.fails(moves)}"
    else:
        outcome, open_ = ControlOutcome.UNDECIDED, not moves.problem
        reason = f"the move is not settled: {moves.problem or reasons.unsettled(moves)}"
    return ControlVerdict(control, outcome, reason, fails.components, moves.components, wants_seeds=open_)
