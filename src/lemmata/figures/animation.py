"""What moves in a figure: one panel at each value of a layer, a time, an epoch.

On paper some of the frames stand side by side; on a page they are played, or pulled through by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.figures.figure import Figure, Panel

ON_PAPER = 4


@dataclass(frozen=True, kw_only=True)
class Animation:
    """A panel at each of `values` of what `label` names: the same series on the same axes, whose limits stand still.

    Raises `InvalidInput` for fewer than two frames, values that do not increase, frames of other series or axes, axes
    without limits (they would move with the points), and frames in three dimensions.
    """

    label: str
    values: Sequence[float]
    frames: Sequence[Panel]

    def __post_init__(self):
        if len(self.frames) != len(self.values) or len(self.frames) < 2:
            raise InvalidInput(
                f"animation over {self.label!r}: {len(self.frames)} frames at {len(self.values)} values; give one "
                f"frame a value, and two or more"
            )
        if not (np.diff(np.asarray(self.values, dtype=float)) > 0).all():
            raise InvalidInput(f"animation over {self.label!r}: its values must increase, got {list(self.values)}")
        first = self.frames[0]
        if first.x.limits is None or first.y.limits is None:
            raise InvalidInput(f"animation over {self.label!r}: give both axes limits, so that they stand still")
        if any(field.kind == "surface" for frame in self.frames for field in frame.fields):
            raise InvalidInput(f"animation over {self.label!r}: a surface does not move; draw contours")
        for value, frame in zip(self.values, self.frames, strict=True):
            if _fixed(frame) != _fixed(first):
                raise InvalidInput(
                    f"animation over {self.label!r}: the frame at {value:g} has other series, fields, reference "
                    f"lines or axes than the first"
                )

    def panels(self, shown: int = ON_PAPER) -> list[Panel]:
        """Give `shown` frames from the first to the last, each titled with its value."""
        places = np.unique(np.linspace(0, len(self.frames) - 1, shown).round().astype(int))
        return [replace(self.frames[i], title=self.title(i)) for i in places]

    def title(self, i: int) -> str:
        """What stands over frame i."""
        return f"{self.label} {self.values[i]:g}"


def film(name: str, title: str, caption: str, animation: Animation, *, shown: int = ON_PAPER) -> Figure:
    """Give the figure that moves: on paper, `shown` of its frames.

    >>> from lemmata.figures import Axis, Series
    >>> axes = {"x": Axis(label="x", limits=(0, 1)), "y": Axis(label="y", limits=(0, 1))}
    >>> frames = [Panel(**axes, series=[Series(label="point", x=[t], y=[t], style="points")]) for t in (0.0, 0.5, 1.0)]
    >>> moving = Animation(label="time", values=[0.0, 0.5, 1.0], frames=frames)
    >>> [panel.title for panel in film("walk", "A point walks", "", moving, shown=2).panels]
    ['time 0', 'time 1']
    """
    return Figure(name=name, title=title, caption=caption, panels=animation.panels(shown), animation=animation)


def _fixed(frame: Panel) -> tuple:
    """What may not change from frame to frame."""
    series = tuple((one.label, one.role, one.style) for one in frame.series)
    return frame.x, frame.y, frame.equal, series, tuple(field.text for field in frame.fields), tuple(frame.references)
