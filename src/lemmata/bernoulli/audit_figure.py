"""An audit as a figure: how often the boundary was crossed by each look, beside what was promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lemmata.bernoulli.procedure import FloatArray
from lemmata.figures import Axis, Figure, Panel, Reference, Series

if TYPE_CHECKING:
    from lemmata.bernoulli.audit import Audit


def draw(audit: Audit) -> Figure:
    """The probability of having crossed by each look, in steps with its interval, and alpha as a line."""
    promised = audit.alpha is not None
    alpha = 100 * (audit.alpha or 0.0)
    top = 100 * float(np.max(audit.high if audit.runs else audit.crossed))
    several = len(audit.looks) > 1
    panel = Panel(
        x=Axis(label="tosses", log=several and audit.looks[-1] > 20 * audit.looks[0]),
        y=Axis(label="false by then" if promised else "crossed by then", unit="%", limits=(0.0, _above(alpha, top))),
        series=[_steps(audit) if several else _point(audit)],
        references=[Reference(label=f"promised: {alpha:g} % at most", value=alpha)] if promised else [],
    )
    p = audit.p
    shown = f"({', '.join(f'{q:.6g}' for q in p)}) of the classes" if isinstance(p, tuple) else f"{p:.6g}"
    caption = f"{audit.name}: how often the boundary has been crossed by then, at p = {shown}."
    title = "False certificates by look" if promised else "Crossings by look"
    return Figure(name="audit", title=title, caption=caption, panels=[panel])


def _above(*values: float) -> float:
    return 1.15 * max(*values, 1e-9)


def _steps(audit: Audit) -> Series:
    x = np.repeat(audit.looks.astype(float), 2)[1:]  # ends at n: nothing is tossed beyond

    def steps(values: FloatArray) -> FloatArray:
        return 100 * np.repeat(values, 2)[:-1]

    if not audit.runs:
        return Series(label="computed exactly", x=x, y=steps(audit.crossed), role="theory")
    return Series(label=_label(audit), x=x, y=steps(audit.crossed), low=steps(audit.low), high=steps(audit.high))


def _point(audit: Audit) -> Series:
    x, y = audit.looks.astype(float), 100 * audit.crossed
    if not audit.runs:
        return Series(label="computed exactly", x=x, y=y, role="theory", style="points")
    return Series(label=_label(audit), x=x, y=y, low=100 * audit.low, high=100 * audit.high, style="points")


def _label(audit: Audit) -> str:
    return f"{audit.runs:,} simulations, {100 * audit.level:g} % interval"
