"""An audit as a figure: how often the boundary was crossed by each look, beside what was promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lemmata.figures import Axis, Figure, Panel, Reference, Series

if TYPE_CHECKING:
    from lemmata.bernoulli.audit import Audit


def draw(audit: Audit) -> Figure:
    """The probability of having crossed by each look, with its interval, and alpha as a line."""
    x, y = audit.looks.astype(float), 100 * audit.crossed
    if audit.runs:
        label = f"{audit.runs:,} simulations, {100 * audit.level:g} % interval"
        series = Series(label=label, x=x, y=y, low=100 * audit.low, high=100 * audit.high)
    else:
        series = Series(label="computed exactly", x=x, y=y, role="theory")
    if len(x) == 1:
        series = Series(label=series.label, x=x, y=y, low=series.low, high=series.high, style="points")
    promised = [] if audit.alpha is None else [Reference(label="promised: at most alpha", value=100 * audit.alpha)]
    panel = Panel(
        x=Axis(label="tosses", log=len(x) > 1 and x[-1] > 20 * x[0]),
        y=Axis(
            label="false by then", unit="%", limits=(0.0, 1.15 * max(100 * (audit.alpha or 0.0), _top(audit), 1e-9))
        ),
        series=[series],
        references=promised,
    )
    ways = " of the classes" if isinstance(audit.p, tuple) else ""
    caption = f"{audit.name}: how often it has proven what is false, at p = {_shown(audit.p)}{ways}."
    return Figure(name="audit", title="False certificates by look", caption=caption, panels=[panel])


def _top(audit: Audit) -> float:
    return 100 * float(np.max(audit.high if audit.runs else audit.crossed))


def _shown(p: float | tuple[float, ...]) -> str:
    return f"{p:.6g}" if isinstance(p, float | int) else f"({', '.join(f'{each:.6g}' for each in p)})"
