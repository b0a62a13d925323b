"""Why a claim came out as it did: one plain sentence with its numbers, for the report and the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lemmata.study.kinds.component import Component
from lemmata.verdicts.evidence import FEWEST, Evidence, Judged, directed
from lemmata.verdicts.statistics import side
from lemmata.verdicts.wording import centre_of, count, measured, number, p_value, region_of, seeds_needed

if TYPE_CHECKING:
    from lemmata.verdicts.gather import Rows
    from lemmata.verdicts.verdict import ControlVerdict, Outcome, Ruling

RARE = 0.05  # confidence of the statement about how rare an unseen exception is


def tell(
    ruling: Ruling, controls: Sequence[ControlVerdict], outcome: Outcome, *, rows: Rows, needed: int | None
) -> str:
    """The reason of a verdict: what decided it, then what a reader has to know besides."""
    evidence = ruling.evidence
    if evidence.problem:
        main = evidence.problem
    elif outcome == "void":
        passed = next(control for control in controls if control.outcome == "passed")
        main = f"the claim also holds where it must fail, in the control '{passed.control.statement}': {passed.reason}"
    elif ruling.outcome == "inconclusive":
        main = _undecided(ruling, needed)
    else:
        main = _decided(ruling) + _controls(controls, outcome)
    return "; ".join([main, *remarks(evidence, rows)])


def _decided(ruling: Ruling) -> str:
    evidence = ruling.evidence
    if ruling.outcome == "reproduced":
        return holds(evidence) + _corrected(ruling, ruling.p_inside)
    text = fails(evidence) + _corrected(ruling, ruling.p_outside)
    if ruling.outcome == "direction only":
        return f"{text}, but {direction(evidence, ruling.p_direction)}"
    clearest = min(evidence.components, key=lambda part: part.p_outside)
    return f"{text}, and the direction claimed is not shown either" if directed(clearest.component) else text


def _undecided(ruling: Ruling, needed: int | None) -> str:
    text = unsettled(ruling.evidence)
    if ruling.evidence.p_inside < 1 or ruling.evidence.p_outside < 1:
        text += f" ({p_value(ruling.p_inside)} inside, {p_value(ruling.p_outside)} outside{_over(ruling)})"
    if needed is not None:
        text += f"; {seeds_needed(needed)} seeds would settle it with 80 % power"
    if ruling.p_direction <= ruling.level and any(directed(part.component) for part in ruling.evidence.components):
        text += f"; the direction is settled: {direction(ruling.evidence, ruling.p_direction)}"
    edge = hint(ruling.evidence)
    return f"{text}; {edge}" if edge else text


def _controls(controls: Sequence[ControlVerdict], outcome: Outcome) -> str:
    if not controls or outcome == "contradicted":
        return ""
    failing = [control for control in controls if control.outcome != "refuted"]
    if failing:
        return f"; but the control '{failing[0].control.statement}' does not support it: {failing[0].reason}"
    several = "both" if len(controls) == 2 else f"all {len(controls)}"
    return "; its control is refuted" if len(controls) == 1 else f"; {several} controls are refuted"


def _corrected(ruling: Ruling, p: float) -> str:
    return f" ({p_value(p)}{_over(ruling)})" if p > 0 else ""


def _over(ruling: Ruling) -> str:
    return f", corrected over {ruling.family} claims" if ruling.family > 1 else ""


def holds(evidence: Evidence) -> str:
    """That every component lies in its region; names the one nearest to failing."""
    weakest = max(evidence.components, key=lambda part: part.p_inside)
    others = len(evidence.components) - 1
    also = "" if not others else " (the weakest of the claim's conditions)"
    return f"{_statement(weakest)}{_lies(weakest, inside=True)}{also}"


def fails(evidence: Evidence) -> str:
    """That some component lies outside its region; names the clearest."""
    clearest = min(evidence.components, key=lambda part: part.p_outside)
    if evidence.absent is not None and clearest.p_outside > 0:
        return f"{evidence.absent.component.label} has a finite value in none of {count(len(evidence.seeds), 'seed')}"
    return f"{_statement(clearest)}{_lies(clearest, inside=False)}"


def unsettled(evidence: Evidence) -> str:
    """That neither is shown; names the component in doubt."""
    scarce = [part for part in evidence.components if part.method == "too few"]
    if scarce:
        few = scarce[0].component
        return f"{few.label} has {few.n or 'no'} usable seed{'' if few.n == 1 else 's'}, and {FEWEST} are the fewest"
    doubtful = max(evidence.components, key=lambda part: part.p_inside)
    if doubtful.component.exact:
        return f"{doubtful.component.label} is missing for some runs, and an exact claim allows no exception"
    return (
        f"{_statement(doubtful)}, which leaves open whether it is in the claimed range, {region_of(doubtful.component)}"
    )


def remarks(evidence: Evidence, rows: Rows) -> list[str]:
    """What a reader has to know besides: runs that diverged, seeds without a number, missing records, no variation."""
    notes = []
    if evidence.diverged:
        notes.append(f"{_named(evidence.diverged)} diverged and {_do(evidence.diverged)} not count")
    for part in evidence.components:
        gone = tuple(s for s in evidence.seeds if s not in part.component.seeds and s not in evidence.diverged)
        if gone:
            notes.append(f"{_named(gone)} gave no number for {part.component.label}")
    constant = [part for part in evidence.components if part.method == "constant"]
    if constant:
        n = min(part.component.n for part in constant)
        notes.append(f"no variation over {n} seeds, so one that differs may still be as frequent as {unseen(n):.0%}")
    if any(part.method == "sign" for part in evidence.components):
        notes.append("some runs never get there, so the median is judged by sign tests")
    if rows.missing:
        why = f" ({rows.unavailable})" if rows.unavailable else ""
        notes.append(f"{count(rows.missing, 'wanted record')} {'is' if rows.missing == 1 else 'are'} missing{why}")
    return notes


def direction(evidence: Evidence, p: float) -> str:
    """That the direction is right, and against what."""
    parts = [part.component for part in evidence.components if directed(part.component)]
    above = {("above" if side(*_bounds(part)) > 0 else "below", part.null) for part in parts}
    where = " and ".join(f"{word} {number(null or 0.0)}" for word, null in sorted(above, key=str))
    return f"{where}, as claimed ({p_value(p)})"


def unseen(n: int) -> float:
    """How frequent something may be, with 95 % confidence, that n seeds never showed: 1 - 0.05^(1/n).

    >>> round(unseen(5), 2)
    0.45
    """
    return 1 - RARE ** (1 / n)


def hint(evidence: Evidence) -> str:
    """How to write a region whose edge the statistic cannot cross, when that seems to be what stands in the way."""
    for part in evidence.components:
        x, low, high = part.component.samples, part.component.low, part.component.high
        if part.method == "t" and low < x.min() and x.max() == high:
            return f"if {number(high)} is the largest value possible, write within=({number(low)}, inf)"
        if part.method == "t" and x.max() < high and x.min() == low:
            return f"if {number(low)} is the smallest value possible, write within=(-inf, {number(high)})"
    return ""


def _statement(part: Judged) -> str:
    component = part.component
    if part.method == "exact":
        return f"{component.label} is {measured(part)}"
    name = "median" if part.method == "sign" else "mean"
    text = f"{component.label}: the {name} over {count(component.n, 'seed')} is {centre_of(part)}"
    if part.method == "constant" or not math.isfinite(part.high - part.low):
        return text
    return f"{text} (95 % interval {number(part.low)} to {number(part.high)})"


def _lies(part: Judged, *, inside: bool) -> str:
    where = region_of(part.component)
    if part.method == "exact":
        return f" in every run, as claimed ({where})" if inside else f" in {_named(part.outliers)}, and must be {where}"
    return f", {'inside' if inside else 'outside'} the claimed range, {where}"


def _named(seeds: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, seeds[:5])) + (", ..." if len(seeds) > 5 else "")
    return f"seed{'s' if len(seeds) > 1 else ''} {shown}"


def _do(seeds: tuple[int, ...]) -> str:
    return "do" if len(seeds) > 1 else "does"


def _bounds(component: Component) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.asarray(component.low), np.asarray(component.high), np.asarray(component.null)
