"""Which study shows what: every study's phenomenon, scale and verdicts on one page, made from the records.

As HTML it stands beside the studies' own reports and leads to them; as Markdown (MyST) it is a page of a handbook.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from lemmata.plan.plan import Missing
from lemmata.report import html
from lemmata.report.badges import BADGES, Badge, badge
from lemmata.study.study import Study
from lemmata.verdicts import Outcome, Verdict

REFUTED = "refuted"
NONE = "–"  # where nothing is recorded, or nothing declared


@dataclass(frozen=True)
class Line:
    """One study's line.

    `page` is the report of its own, relative to the overview, if there is one. `absent` are the data that were missing:
    their reasons name folders of the machine that made the page, which its readers have no use for.
    """

    study: Study
    scale: str
    verdicts: Sequence[Verdict]
    page: str = ""
    absent: Sequence[Missing] = ()

    @property
    def phenomenon(self) -> str:
        """The study's topic with a capital letter."""
        topic = self.study.topic or "other"
        return topic[0].upper() + topic[1:]

    @property
    def summary(self) -> tuple[tuple[Badge, int], ...]:
        """How many claims came out how, in the order of the badges."""
        counts = Counter(verdict.outcome.value for verdict in self.verdicts)
        return tuple((known, counts[word]) for word, known in BADGES.items() if counts[word])

    @property
    def controls(self) -> str:
        """How many of the controls were refuted, as they must be."""
        outcomes = [control.outcome.value for verdict in self.verdicts for control in verdict.controls]
        return f"{outcomes.count(REFUTED)} of {len(outcomes)}" if outcomes else NONE

    @property
    def claims(self) -> list[tuple[Verdict, Badge]]:
        """Each claim's verdict with its badge."""
        return [(verdict, badge(verdict.outcome.value)) for verdict in self.verdicts]

    @property
    def unsupported(self) -> list[tuple[Verdict, str]]:
        """The verdicts that want a reason, with it: all but the reproduced."""
        wanting = [verdict for verdict in self.verdicts if verdict.outcome is not Outcome.REPRODUCED]
        return [(verdict, self._reason(verdict)) for verdict in wanting]

    def _reason(self, verdict: Verdict) -> str:
        reason = verdict.reason
        for gone in self.absent:
            reason = reason.replace(gone.reason, f"the data set {gone.dataset} was not at hand")
        return reason


def write(lines: Iterable[Line], path: Path | str) -> Path:
    """Write the page to `path` (Markdown if it ends in `.md`, else HTML), making its folder; returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(lines, markdown=path.suffix == ".md"), encoding="utf-8", newline="\n")
    return path


def render(lines: Iterable[Line], *, markdown: bool = False) -> str:
    """The page's text; phenomena and studies in alphabetical order."""
    ordered = sorted(lines, key=lambda line: (line.phenomenon, line.study.name))
    phenomena = [(name, list(group)) for name, group in groupby(ordered, key=lambda line: line.phenomenon)]
    environment = html.environment(_texts(ordered))
    environment.filters["cell"] = _cell
    template = environment.get_template("overview.md" if markdown else "overview.html")
    return template.render(phenomena=phenomena, badges=BADGES.values(), css=html.style())


def _texts(lines: Sequence[Line]) -> list[str]:
    """All prose in which a formula may stand."""
    prose = [text for line in lines for text in (line.study.title, line.study.question)]
    for verdict in (verdict for line in lines for verdict in line.verdicts):
        prose += [verdict.claim.statement, verdict.claim.where, verdict.paper]
    return prose + [reason for line in lines for _, reason in line.unsupported]


def _cell(text: str) -> str:
    """Text in a cell of a Markdown table: on one line, without a mark that would end the cell or start markup.

    >>> _cell("a | b\\nc <d>, $x_1$ and x_1*")
    'a \\\\| b c &lt;d&gt;, $x_1$ and x\\\\_1\\\\*'
    """
    pieces = " ".join(text.split()).replace("|", "\\|").split("$")
    if len(pieces) % 2 == 0:  # an unpaired dollar is no formula
        pieces = ["\\$".join(pieces)]
    for i in range(0, len(pieces), 2):
        for mark in ("*", "_", "`", "[", "]"):
            pieces[i] = pieces[i].replace(mark, "\\" + mark)
        pieces[i] = pieces[i].replace("<", "&lt;").replace(">", "&gt;")
    return "$".join(pieces)
