"""A strip plot of every seed: the region shaded, the paper's number marked, the mean with its interval below.

A few hundred bytes of SVG with classes for a style sheet to recolour; attributes alone give the printed version.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from lemmata.figures.style import MEASURED, PAPER
from lemmata.report.numbers import number, plural, range_of, region

if TYPE_CHECKING:
    from lemmata.study.kinds import Component
    from lemmata.verdicts.evidence import Judged

WIDTH, HEIGHT, MARGIN = 260.0, 62.0, 12.0


@dataclass(frozen=True)
class Scale:
    """From values to horizontal places; logarithmic where the values span more than three decades."""

    low: float
    high: float
    log: bool

    @classmethod
    def holding(cls, values: Sequence[float]) -> Scale:
        """A scale on which all finite values lie, with some room."""
        finite = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
        low, high = min(finite), max(finite)
        log = low > 0 and high / low > 1000
        if log:
            low, high = math.log10(low), math.log10(high)
        room = 0.08 * (high - low) or 0.1 * abs(high) or 0.5
        return cls(low - room, high + room, log)

    def place(self, value: float) -> float:
        """The horizontal place of a value; beyond the ends, the ends."""
        shown = (math.log10(value) if value > 0 else -math.inf) if self.log else value
        share = min(max((shown - self.low) / (self.high - self.low), 0.0), 1.0)
        return MARGIN + share * (WIDTH - 2 * MARGIN)

    def ticks(self) -> list[float]:
        """Three to five round values."""
        if self.log:
            step = max(1, round((self.high - self.low) / 4))
            return [10.0**power for power in range(math.ceil(self.low), math.floor(self.high) + 1, step)]
        raw = (self.high - self.low) / 3
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.75)
        first = math.ceil(self.low / step)
        return [i * step for i in range(first, math.floor(self.high / step) + 1)]


def strip(judged: Judged, *, paper: float | None = None, font: str = "sans-serif") -> str:
    """The strip of one component, with the paper's number if it is of the same quantity.

    >>> from lemmata.study.kinds import Component
    >>> from lemmata.verdicts.evidence import weigh
    >>> strip(weigh(Component("risk", np.array([1.0, 2.0, 1.5]), 0, 3)), paper=1.2).count("<circle")
    3
    """
    part = judged.component
    shown = [*part.samples, part.low, part.high, judged.low, judged.high]
    scale = Scale.holding(shown if paper is None else [*shown, paper])
    parts = [
        f'<svg class="strip" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" height="{HEIGHT:g}" role="img" '
        f'aria-label="{escape(_words(judged, paper))}" xmlns="http://www.w3.org/2000/svg" '
        f'font-family="{font}" font-size="9">',
        *_region(part, scale),
        *_axis(scale),
        *_paper(paper, scale),
        *_seeds(part.samples, scale),
        *([] if judged.method == "exact" else _mean(judged, scale)),
        "</svg>",
    ]
    return "".join(parts)


def _region(component: Component, scale: Scale) -> list[str]:
    left = scale.place(component.low) if math.isfinite(component.low) else 0.0
    right = scale.place(component.high) if math.isfinite(component.high) else WIDTH
    wide = max(right - left, 1.5)
    shade = f'<rect class="region" x="{left:.1f}" y="2" width="{wide:.1f}" height="42" fill="#DCEBDD"/>'
    edges = [
        f'<path class="edge" d="M{x:.1f} 2V44" stroke="#5C8A61" stroke-width="1"/>'
        for x, bound in ((left, component.low), (right, component.high))
        if math.isfinite(bound)
    ]
    return [shade, *edges]


def _axis(scale: Scale) -> list[str]:
    parts = [f'<path class="axis" d="M0 44H{WIDTH:g}" stroke="#8A8A8A" stroke-width="1"/>']
    for value in scale.ticks():
        x = scale.place(value)
        parts.append(f'<path class="axis" d="M{x:.1f} 44v3" stroke="#8A8A8A" stroke-width="1"/>')
        anchor = "start" if x < 16 else "end" if x > WIDTH - 16 else "middle"
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="57" text-anchor="{anchor}" fill="#555555">{number(value)}</text>'
        )
    return parts


def _paper(paper: float | None, scale: Scale) -> list[str]:
    if paper is None:
        return []
    x = scale.place(paper)
    line = f'<path class="paper" d="M{x:.1f} 2V44" stroke="{PAPER}" stroke-width="1.6" stroke-dasharray="5 2 1.5 2"/>'
    return [line, f'<path class="paper-mark" d="M{x - 4:.1f} 0h8l-4 6z" fill="{PAPER}"/>']


def _seeds(samples: np.ndarray, scale: Scale) -> list[str]:
    spread = (0.0, -4.0, 4.0, -7.0, 7.0)  # seeds of equal value stay apart
    return [
        f'<circle class="seed" cx="{scale.place(float(value)):.1f}" cy="{17 + spread[i % 5]:g}" r="2.9" '
        f'fill="none" stroke="{MEASURED[0]}" stroke-width="1.3"/>'
        for i, value in enumerate(samples)
    ]


def _mean(judged: Judged, scale: Scale) -> list[str]:
    x = scale.place(judged.mean)
    mark = f'<path class="mean" d="M{x:.1f} 30l4.5 5l-4.5 5l-4.5 -5z" fill="{MEASURED[0]}"/>'
    if math.isnan(judged.low):
        return [mark]
    ends = f"M{scale.place(judged.low):.1f} 35H{scale.place(judged.high):.1f}"
    return [f'<path class="interval" d="{ends}" stroke="{MEASURED[0]}" stroke-width="3"/>', mark]


def _words(judged: Judged, paper: float | None) -> str:
    part = judged.component
    said = f"{plural(part.n, 'value')}: "
    if part.exact:
        said += range_of(judged.low, judged.high)
    else:
        said += f"{', '.join(number(float(value)) for value in part.samples)}; mean {number(judged.mean)}"
        said += "" if math.isnan(judged.low) else f", 95 % interval {number(judged.low)} to {number(judged.high)}"
    said += f"; region {region(part.low, part.high)}"
    return said + (f"; paper {number(paper)}" if paper is not None else "")
