"""What a minimiser gives: the point, how flat it is there, what it cost, and every step on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from lemmata.figures import Axis, Figure, Panel, Reference, Series


@dataclass(frozen=True)
class Point:
    """An iterate: x (p,), f(x), its gradient (p,), and the length of the step that led there."""

    x: Tensor
    value: float
    gradient: Tensor
    step: float = 0.0


@dataclass(frozen=True)
class History:
    """The run, iterate by iterate, the start first: arrays (K + 1,).

    `values` are f, `gradient_norms` Euclidean, `steps` the lengths the line search took, in units of its direction (or
    the gain ratio of a damped method), `costs` the gradient evaluations spent so far.
    """

    values: np.ndarray
    gradient_norms: np.ndarray
    steps: np.ndarray
    costs: np.ndarray

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Minimum:
    """A point where the gradient is at most `tolerance` long, or where the run was stopped.

    `x` has the form of the start (a tensor of its shape, or a tree). `gradient_norm` is the certificate, Euclidean and
    computed at x; `cost` counts gradient evaluations, products with second derivatives included; `stopped` says why.
    """

    x: Tensor | Mapping[str, Tensor]
    value: float
    gradient_norm: float
    tolerance: float
    method: str
    iterations: int
    evaluations: int
    products: int
    cost: float
    history: History
    stopped: str

    @property
    def converged(self) -> bool:
        """Whether the gradient came below the tolerance."""
        return self.gradient_norm <= self.tolerance

    def plot(self, *, minimum: float | None = None) -> Figure:
        """Draw the value (above `minimum` or, without it, above the least one met) and gradient norm against cost."""
        floor = float(np.nanmin(self.history.values)) if minimum is None else minimum
        return descent_figure({self.method: self.history}, floor=floor, tolerance=self.tolerance, caption=self._told())

    def _told(self) -> str:
        return (
            f"{self.method}: f = {self.value:.6g}, gradient norm {self.gradient_norm:.2g} after {self.iterations} "
            f"iterations and {self.cost:.4g} gradients; {self.stopped}."
        )


def descent_figure(
    runs: Mapping[str, History], *, floor: float, tolerance: float | None = None, caption: str = ""
) -> Figure:
    """Draw the histories of several methods on one function: value above `floor`, and gradient norm, against cost.

    >>> one = History(*np.array([[2.0, 1.0], [1.0, 0.1], [0, 1], [1, 2]]))
    >>> [panel.y.label for panel in descent_figure({"newton-cg": one}, floor=0.5).panels]
    ['f - least value', 'gradient norm']
    """
    references = [] if tolerance is None else [Reference(label="tolerance", value=tolerance, role="theory")]
    panels = []
    for name, label in (("values", "f - least value"), ("gradient_norms", "gradient norm")):
        series = []
        for method, history in runs.items():
            y = getattr(history, name) - (floor if name == "values" else 0.0)
            shown = y > 0
            if shown.any():
                style: Any = "points" if shown.sum() == 1 else "line"
                series.append(Series(label=method, x=history.costs[shown], y=y[shown], style=style))
        panels.append(
            Panel(
                x=Axis(label="cost", unit="gradients"),
                y=Axis(label=label, log=True),
                series=series,
                references=references if name == "gradient_norms" else [],
            )
        )
    return Figure(name="minimisation", title="Minimisation", caption=caption, panels=panels)
