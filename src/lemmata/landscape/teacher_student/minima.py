"""Where many gradient descents of one teacher-student problem ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.bernoulli import clopper_pearson
from lemmata.figures import Axis, Figure, Panel, Reference, Series


@dataclass(frozen=True, eq=False)
class Minima:
    """The ends of `starts` descents, one an entry of every tensor.

    W (starts, n, d) and a (starts, n), None where outputs are fixed; `start` the parameters (starts, P) they began at.
    `loss`, `gradient_norm` (starts,). `lowest_eigenvalue` and `highest_eigenvalue` of the Hessian, beyond the symmetry,
    NaN where none was computed. `converged`: the gradient is below the tolerance, or the loss is zero to 1e-7.
    `proved`: gradient descent provably goes to this very minimum. `spurious`: converged, and the loss above
    `threshold`. `steps`: gradient steps taken before Newton. `distance`: how far Newton moved, 0 where it was not used.
    """

    W: Tensor
    a: Tensor | None
    start: Tensor
    loss: Tensor
    gradient_norm: Tensor
    lowest_eigenvalue: Tensor
    highest_eigenvalue: Tensor
    converged: Tensor
    proved: Tensor
    steps: Tensor
    distance: Tensor
    threshold: float
    step: float

    @property
    def spurious(self) -> Tensor:
        """Which converged to a loss above the threshold (starts,): saddles too, and ends of students unable to fit."""
        return self.converged & (self.loss > self.threshold)

    @property
    def share(self) -> float:
        """The share of the starts that ended in spurious minima."""
        return float(self.spurious.double().mean())

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The exact (Clopper-Pearson) confidence interval of the probability of a spurious minimum."""
        hits, count = int(self.spurious.sum()), len(self.loss)
        low, high = clopper_pearson(hits, count, alpha=1 - level, side="two-sided")
        return float(low), float(high)

    def plot(self) -> Figure:
        """Draw the losses in order, and the lowest eigenvalues of the spurious minima against their losses."""
        order = torch.sort(self.loss)[0].clamp(min=1e-16).cpu().numpy()
        ranks = (np.arange(len(order)) + 0.5) / len(order)
        line = Reference(label="spurious above", value=self.threshold, role="theory")
        losses = Panel(
            x=Axis(label="share of the starts"), y=Axis(label="loss at the end", log=True),
            series=[Series(label="descents", x=ranks, y=order, style="points")], references=[line],
        )  # fmt: skip
        panels, found = [losses], self.spurious & self.lowest_eigenvalue.isfinite()
        if found.any():
            x, y = self.loss[found].cpu().numpy(), self.lowest_eigenvalue[found].cpu().numpy()
            points = Series(label="spurious minima", x=x, y=y, style="points")
            panels.append(
                Panel(x=Axis(label="loss"), y=Axis(label="lowest eigenvalue of the Hessian"), series=[points])
            )
        low, high = self.interval()
        caption = (
            f"{int(self.spurious.sum())} of {len(order)} descents end in spurious minima: {100 * self.share:.1f} %, "
            f"95 % interval {100 * low:.1f} to {100 * high:.1f} %. {int((~self.converged).sum())} did not converge."
        )
        return Figure(name="minima", title="Where gradient descent ends", caption=caption, panels=panels)
