"""The plane of a curve: the loss over the plane through two networks and the bend of the curve between them.

A curve with one bend lies in this plane, every point of it (Garipov et al., 2018, draw it so); the straight line
does too. Coordinates are those of `lemmata.landscape.between`: distances in the picture are those in parameter space,
in units of the distance between the two networks. Cost: that of `between`, and 1/3 gradient a point of the path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series
from lemmata.landscape.between import between
from lemmata.landscape.paths.bases import basis_of
from lemmata.landscape.paths.curve import Curve
from lemmata.landscape.surface import Surface
from lemmata.objective import Objective


@dataclass(frozen=True, eq=False)
class Plane:
    """The loss over the plane of a curve, `surface`, and where the curve runs: `course` (T, 2), at `t` (T,)."""

    surface: Surface
    t: np.ndarray
    course: np.ndarray

    def plot(self) -> Figure:
        """Draw the loss with the curve, the straight line, and the three points."""
        marks = np.array([at for _, at in self.surface.marks])
        series = [
            Series(label="curve", x=self.course[:, 0], y=self.course[:, 1]),
            Series(label="straight line", x=[0.0, 1.0], y=[0.0, 0.0], role="control"),
            Series(label="two networks", x=marks[:2, 0], y=marks[:2, 1], style="points"),
            Series(label="bend", x=marks[2:, 0], y=marks[2:, 1], style="points", role="theory"),
        ]
        panel = Panel(
            x=Axis(label="along the straight line, in its lengths"), y=Axis(label="away from it, in the same unit"),
            fields=[self.surface.field()], series=series, equal=True,
        )  # fmt: skip
        caption = self.surface.plot().caption
        return Figure(name="plane_of_a_curve", title="Loss over the plane of a curve", caption=caption, panels=[panel])


def plane(curve: Curve, *, subject: Objective | None = None, **options: Any) -> Plane:
    """Evaluate the loss over the plane of a curve with one bend, and lay the curve into it.

    `subject` is the objective to draw, by default the curve's own; `options` are those of `lemmata.landscape.between`.
    Running statistics of batch normalisation are estimated anew at every point by default. Raises `InvalidInput` for a
    curve with more bends, which lies in no plane, and one that is straight.
    """
    if len(next(iter(curve.control.values()))) != 3:
        raise InvalidInput("a curve with more than one bend lies in no plane; train one with bends=1")
    subject = subject or Objective(curve.model, loss=curve.loss, data=curve.data)
    a, bend, b = ({name: tensor[k] for name, tensor in curve.control.items()} for k in range(3))
    options.setdefault("batch_norm", "reestimate")
    surface = between(subject, [a, b, bend], **options)
    assert isinstance(surface, Surface)
    corners = dict(surface.marks)
    t = np.linspace(0.0, 1.0, 51)
    weights = basis_of(curve.kind)(torch.tensor(t), 3).numpy()
    return Plane(surface, t, weights @ np.array([corners["a"], corners["c"], corners["b"]]))
