"""A run beside the paper: its number, ours with the interval, the region, and whether the interval lies inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from lemmata.compare.layout import Layout
from lemmata.report.badges import badge
from lemmata.report.numbers import number, range_of, region, with_interval

if TYPE_CHECKING:
    from rich.console import Group

    from lemmata.study.claim import Claim
    from lemmata.verdicts.evidence import Judged

Place = Literal["inside", "partly inside", "outside", "not measured"]


class Judgement(Protocol):
    """What is needed of a run: `lemmata.laboratory.Run` has it."""

    @property
    def study(self) -> Any: ...  # noqa: D102
    @property
    def plan(self) -> Any: ...  # noqa: D102
    @property
    def tables(self) -> Any: ...  # noqa: D102
    @property
    def verdicts(self) -> Any: ...  # noqa: D102


@dataclass(frozen=True)
class PaperRow:
    """One number of a claim beside the paper's. `paper` is None where the paper states this part without a number."""

    claim: str
    statement: str
    where: str
    part: str
    paper: float | None
    quoted: str
    ours: float
    interval: tuple[float, float]
    region: tuple[float, float]
    place: Place
    outcome: str
    exact: bool = False


@dataclass(frozen=True)
class BesidePaper:
    """All rows of a study."""

    title: str
    rows: tuple[PaperRow, ...]

    @property
    def layout(self) -> Layout:
        """The rows in words."""
        columns = ("claim", "paper", "measured", "region", "inside?", "verdict")
        return Layout(f"{self.title}: beside the paper", columns, [_worded(row) for row in self.rows])

    def as_table(self) -> Group:
        """For the terminal."""
        return self.layout.as_table()

    def as_html(self) -> str:
        """For a page."""
        return self.layout.as_html()


def with_paper(run: Judgement) -> BesidePaper:
    """Set the numbers of a run beside the paper's.

    `place` compares the 95 % interval (of an identity: the range of all records) with the region; it is a picture, not
    the test that the verdict rests on.
    """
    rows: list[PaperRow] = []
    for verdict in run.verdicts:
        parts: Sequence[Judged | None] = verdict.components or (None,)
        rows += [_row(verdict.claim, part, verdict.outcome.value) for part in parts]
    return BesidePaper(run.study.title, tuple(rows))


def placed(interval: tuple[float, float], bounds: tuple[float, float]) -> Place:
    """Where an interval lies.

    >>> placed((1, 2), (0, 3)), placed((1, 2), (1.5, 3)), placed((1, 2), (4, 5))
    ('inside', 'partly inside', 'outside')
    """
    if any(map(math.isnan, interval)):
        return "not measured"
    if bounds[0] <= interval[0] and interval[1] <= bounds[1]:
        return "inside"
    return "outside" if interval[1] < bounds[0] or interval[0] > bounds[1] else "partly inside"


def _row(claim: Claim, judged: Judged | None, outcome: str) -> PaperRow:
    named: dict[str, Any] = {
        "claim": claim.name,
        "statement": claim.statement,
        "where": claim.where,
        "outcome": outcome,
    }
    if judged is None:
        nothing = (math.nan, math.nan)
        bounds = claim.region
        return PaperRow(
            **named, part="", paper=claim.paper, quoted=claim.quoted, ours=math.nan, interval=nothing, region=bounds,
            place="not measured",
        )  # fmt: skip
    part, interval = judged.component, (judged.low, judged.high)
    bounds = (part.low, part.high)
    of_paper = bounds == claim.region
    return PaperRow(
        **named, part=part.label, paper=claim.paper if of_paper else None, quoted=claim.quoted if of_paper else "",
        ours=judged.mean, interval=interval, region=bounds, place=placed(interval, bounds),
        exact=judged.method == "exact",
    )  # fmt: skip


def _worded(row: PaperRow) -> tuple[str, ...]:
    quoted = row.quoted or ("–" if row.paper is None else number(row.paper))
    measured = range_of(*row.interval) if row.exact else with_interval(row.ours, *row.interval)
    claim = f"{row.statement}\n{row.part}" if row.part else row.statement
    shown = badge(row.outcome)
    ours = "–" if math.isnan(row.ours) else measured
    return claim, quoted, ours, region(*row.region), row.place, f"{shown.symbol} {shown.word}"
