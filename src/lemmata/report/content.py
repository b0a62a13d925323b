"""What a report says, before it has a layout: gathered once from study, plan, tables and verdicts for HTML and PDF.

A verdict carries its numbers; everything here only words and orders them. A figure that cannot be drawn leaves a line
that says why, since a report is wanted most when something went wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lemmata.figures.figure import Figure
from lemmata.report import methods
from lemmata.report.badges import BADGES, Badge, badge
from lemmata.report.methods import Methods
from lemmata.report.numbers import number, plural, range_of, region, with_interval
from lemmata.report.strip import strip

if TYPE_CHECKING:
    import pandas as pd

    from lemmata.plan import Plan
    from lemmata.records import Store
    from lemmata.study.claim import Claim
    from lemmata.study.study import Study
    from lemmata.verdicts import Verdict
    from lemmata.verdicts.evidence import Judged


@dataclass(frozen=True)
class ComponentRow:
    """One thing that has to hold: its measured mean, the region, and the strip plot of every seed."""

    label: str
    ours: str
    region: str
    seeds: str
    strip: str


@dataclass(frozen=True)
class ControlRow:
    """A setting in which the claim must fail, and whether it did."""

    statement: str
    badge: Badge
    reason: str


@dataclass(frozen=True)
class ClaimRow:
    """One line of the claims table."""

    name: str
    statement: str
    where: str
    paper: str
    margin: str
    components: tuple[ComponentRow, ...]
    controls: tuple[ControlRow, ...]
    badge: Badge
    reason: str
    note: str
    statistic: str


@dataclass(frozen=True)
class Content:
    """Everything a report says; `undrawn` pairs figures with the reason why they are missing."""

    title: str
    question: str
    citation: str
    bibtex: str
    notes: str
    summary: tuple[tuple[Badge, int], ...]
    claims: tuple[ClaimRow, ...]
    figures: tuple[Figure, ...]
    undrawn: tuple[tuple[str, str], ...]
    methods: Methods

    @property
    def texts(self) -> list[str]:
        """All prose in which a formula may stand."""
        prose = [self.title, self.question, self.notes]
        for claim in self.claims:
            prose += [claim.statement, claim.where, claim.paper, claim.reason, claim.note, claim.statistic]
            prose += [text for control in claim.controls for text in (control.statement, control.reason)]
        for figure in self.figures:
            prose += [figure.title, figure.caption]
        return prose + [experiment.about for experiment in self.methods.experiments]


def gather(
    study: Study,
    plan: Plan,
    tables: Mapping[str, pd.DataFrame],
    verdicts: Sequence[Verdict],
    *,
    store: Store | None = None,
    command: str = "",
    font: str = "sans-serif",
) -> Content:
    """Collect a report's content; `store` gives provenance and times, `font` is for the strip plots."""
    counts = Counter(verdict.outcome.value for verdict in verdicts)
    drawn, undrawn = _figures(study, tables)
    return Content(
        title=study.title,
        question=study.question,
        citation=study.paper.citation if study.paper else "",
        bibtex=study.paper.bibtex if study.paper else "",
        notes=study.notes,
        summary=tuple((known, counts[word]) for word, known in BADGES.items() if counts[word]),
        claims=tuple(_claim(verdict, font) for verdict in verdicts),
        figures=drawn,
        undrawn=undrawn,
        methods=methods.gather(study, plan, tables, verdicts, store=store, command=command),
    )


def _claim(verdict: Verdict, font: str) -> ClaimRow:
    claim = verdict.claim
    return ClaimRow(
        name=claim.name,
        statement=claim.statement,
        where=claim.where,
        paper=claim.quoted or ("" if claim.paper is None else number(claim.paper)),
        margin=_margin(claim),
        components=tuple(_component(judged, claim, font) for judged in verdict.components),
        controls=tuple(
            ControlRow(control.control.statement, badge(control.outcome.value), control.reason)
            for control in verdict.controls
        ),
        badge=badge(verdict.outcome.value),
        reason=verdict.reason,
        note=claim.note,
        statistic=claim.kind.describe() if claim.kind else "",
    )


def _margin(claim: Claim) -> str:
    if claim.margin is not None:
        return f"margin ± {number(claim.margin)}"
    return f"range: {region(*claim.within)}" if claim.within is not None else ""


def _component(judged: Judged, claim: Claim, font: str) -> ComponentRow:
    part = judged.component
    of_paper = (part.low, part.high) == claim.region  # the other components are conditions of the kind's own
    dropped = f", {part.dropped} without a number" if part.dropped else ""
    return ComponentRow(
        label=part.label,
        ours=measured(judged),
        region=region(part.low, part.high),
        seeds=plural(part.n, "record" if part.exact and part.n > len(set(part.seeds)) else "seed") + dropped,
        strip=strip(judged, paper=claim.paper if of_paper else None, font=font) if part.n else "",
    )


def measured(judged: Judged) -> str:
    """The mean with its interval; of an identity, the range of all records."""
    if not judged.component.n:
        return "no number"
    if judged.method == "exact":
        return range_of(judged.low, judged.high)
    name = "median " if judged.method == "sign" else ""
    return name + with_interval(judged.mean, judged.low, judged.high)


def _figures(
    study: Study, tables: Mapping[str, pd.DataFrame]
) -> tuple[tuple[Figure, ...], tuple[tuple[str, str], ...]]:
    drawn: list[Figure] = []
    undrawn: list[tuple[str, str]] = []
    for name, experiment in study.experiments.items():
        for function in experiment.figures:
            try:
                drawn.append(function(tables[name]))
            except Exception as error:  # a study's own function on incomplete records may raise anything
                undrawn.append((function.__name__.replace("_", " "), f"{type(error).__name__}: {error}"))
    return tuple(drawn), tuple(undrawn)
