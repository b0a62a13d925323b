"""The table of verdicts as a picture, 900 pixels wide: for a README, a slide, a message.

Each row has the claim, the paper's number, every seed on its strip with our number below, and the verdict as symbol and
word. SVG, PNG or PDF by the ending; the same verdicts give the same bytes.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from lemmata.errors import InvalidInput
from lemmata.figures.static import Format, rules, written
from lemmata.figures.style import MEASURED, PAPER
from lemmata.report.badges import badge
from lemmata.report.content import measured
from lemmata.report.equations import FORMULA
from lemmata.report.numbers import number, plural
from lemmata.report.strip import Scale

if TYPE_CHECKING:
    from lemmata.study.claim import Claim
    from lemmata.verdicts import Verdict
    from lemmata.verdicts.evidence import Judged

WIDTH, EDGE, LINE = 900, 16, 16.5
COLUMNS = {"claim": EDGE, "paper": 352, "measured": 478, "verdict": 744}
INK, SOFT, RULE = "#1b1b1d", "#5a5a60", "#dcdce0"


def write(verdicts: Sequence[Verdict], path: Path | str, *, title: str = "") -> Path:
    """Draw the verdicts to `path` (.svg, .png or .pdf) and return it. Raises `InvalidInput` for another ending."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    path = Path(path)
    kind = path.suffix.lstrip(".").lower()
    if kind not in get_args(Format):
        raise InvalidInput(f"a picture ends in .svg, .png or .pdf, not {path.suffix!r}; change the ending")
    heights = [_height(verdict) for verdict in verdicts]
    top = 66 if title else 40
    tall = top + sum(heights) + 10
    with matplotlib.rc_context(rules()):
        canvas = Canvas(figsize=(WIDTH / 100, tall / 100), dpi=200)
        FigureCanvasAgg(canvas)
        axes = canvas.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, WIDTH), ylim=(tall, 0))
        axes.set_axis_off()
        if title:
            _text(axes, EDGE, 24, title, size=11.5, weight="bold")
        for name, x in COLUMNS.items():
            _text(axes, x, top - 16, name, color=SOFT, size=7.5, weight="bold")
        for verdict, height in zip(verdicts, heights, strict=True):
            axes.plot([EDGE, WIDTH - EDGE], [top, top], color=RULE, lw=0.7)
            _row(axes, verdict, top)
            top += height
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written(canvas, kind))
    return path


def _height(verdict: Verdict) -> float:
    lines = max(len(_statement(verdict)) + 1, len(_paper(verdict)), 3 if verdict.components else 1)
    return 16 + LINE * lines


def _statement(verdict: Verdict) -> list[str]:
    return textwrap.wrap(_bare(verdict.claim.statement), 50)


def _paper(verdict: Verdict) -> list[str]:
    claim = verdict.claim
    return textwrap.wrap(_bare(claim.quoted or ("–" if claim.paper is None else number(claim.paper))), 17)


def _row(axes: Any, verdict: Verdict, top: float) -> None:
    first = top + 18
    for i, line in enumerate(_statement(verdict)):
        _text(axes, COLUMNS["claim"], first + i * LINE, line, size=8.4)
    below = first + len(_statement(verdict)) * LINE
    _text(axes, COLUMNS["claim"], below, textwrap.shorten(_bare(verdict.claim.where), 54), color=SOFT, size=7)
    for i, line in enumerate(_paper(verdict)):
        _text(axes, COLUMNS["paper"], first + i * LINE, line, size=8.4, color=PAPER)
    if verdict.components:
        shown = _telling(verdict)
        _strip(axes, shown, verdict.claim, top + 8)
        others = len(verdict.components) - 1
        said = measured(shown) + (f"   and {plural(others, 'condition')} more" if others else "")
        _text(axes, COLUMNS["measured"], top + 54, said, size=7.4, color=INK)
    else:
        _text(axes, COLUMNS["measured"], first, "–", size=8.4, color=SOFT)
    outcome = badge(verdict.outcome.value)
    box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": outcome.ink, "linewidth": 1.1}
    words = f"{outcome.symbol} {outcome.word}"
    _text(axes, COLUMNS["verdict"] + 6, first, words, size=8.2, weight="bold", color=outcome.ink, bbox=box)


def _telling(verdict: Verdict) -> Judged:
    """The component that the paper's number is about, or the first."""
    return next((j for j in verdict.components if _of_paper(j, verdict.claim)), verdict.components[0])


def _of_paper(judged: Judged, claim: Claim) -> bool:
    part = judged.component
    return claim.paper is not None and (part.low, part.high) == claim.region


def _strip(axes: Any, judged: Judged, claim: Claim, top: float) -> None:
    part, left, bottom = judged.component, COLUMNS["measured"], top + 34
    paper = [claim.paper] if claim.paper is not None and _of_paper(judged, claim) else []
    scale = Scale.holding([*part.samples, part.low, part.high, judged.low, judged.high, *paper])
    ends = [
        left + (scale.place(bound) if math.isfinite(bound) else outer)
        for bound, outer in ((part.low, 0.0), (part.high, 250.0))
    ]
    axes.fill_between(ends, top, bottom, color="#DCEBDD", lw=0)
    axes.plot([left, left + 250], [bottom, bottom], color="#8A8A8A", lw=0.7)
    for value in paper:
        x = left + scale.place(value)
        axes.plot([x, x], [top, bottom], color=PAPER, lw=1.2, ls=(0, (5, 2, 1.5, 2)))
        axes.plot(x, top - 1, marker="v", ms=4.5, color=PAPER)
    places = [left + scale.place(float(value)) for value in part.samples]
    spread = [top + 12 + (0, -4, 4, -6, 6)[i % 5] for i in range(len(places))]
    axes.plot(places, spread, "o", ms=3.6, mfc="none", mec=MEASURED[0], mew=0.9)
    if judged.method != "exact":
        x = left + scale.place(judged.mean)
        axes.plot(x, bottom - 8, "D", ms=4, color=MEASURED[0])
        if not math.isnan(judged.low):
            interval = [left + scale.place(judged.low), left + scale.place(judged.high)]
            axes.plot(interval, [bottom - 8] * 2, color=MEASURED[0], lw=2.2)


def _text(axes: Any, x: float, y: float, text: str, **style: Any) -> None:
    axes.text(x, y, text, va="center", **{"color": INK, "parse_math": False, **style})


def _bare(text: str) -> str:
    """A formula without its dollars: a picture sets no mathematics."""
    return FORMULA.sub(r"\1", text)
