"""The solution of a least-squares problem with its certificate and the way there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lemmata.figures import Axis, Figure, Panel, Series


@dataclass(frozen=True)
class LinearHistory:
    """Iterate by iterate, the start first, for each of k right-hand sides: arrays (K + 1, k).

    `residual_norms` |b - A x|, `solution_norms` |x|, `normal_residuals` |A^T (b - A x) - ridge x| / |A^T b|, and
    `energy_errors` the square root of what is left of the objective to fall, known once the iteration has ended.
    """

    residual_norms: np.ndarray
    solution_norms: np.ndarray
    normal_residuals: np.ndarray
    energy_errors: np.ndarray

    def __len__(self) -> int:
        return len(self.residual_norms)


@dataclass(frozen=True)
class Solution:
    """The minimiser x of sum_i w_i |A_i x - b_i|^2 + ridge |x|^2, with what vouches for it.

    `x` is (p,) or (p, k) as b. `normal_residual`, the certificate, is the largest over right-hand sides of
    |A^T W (b - A x) - ridge x| / |A^T W b|, computed afresh; `residual_norms` sqrt(sum_i w_i (b_i - A_i x)^2) and
    `solution_norms` |x| are (k,). `unique` says whether x is the only minimiser: of many it is that of least norm, and
    None is where an iterative method can not tell. `cost` is in products with A and all right-hand sides at once, 2 m p
    k flops; a factorisation counts as many as it takes flops. `condition` is that of A^T W A + ridge I where known.
    """

    x: Tensor
    normal_residual: float
    residual_norms: np.ndarray
    solution_norms: np.ndarray
    tolerance: float
    ridge: float
    method: str
    iterations: int
    cost: float
    history: LinearHistory
    unique: bool | None
    condition: float | None
    why: str

    @property
    def converged(self) -> bool:
        """Whether the certificate is below the tolerance."""
        return self.normal_residual <= self.tolerance

    def rate(self) -> float | None:
        """The factor by which theory has the error shrink each step: steepest descent's or conjugate gradients'.

        (c - 1) / (c + 1) and (sqrt(c) - 1) / (sqrt(c) + 1), c the condition number; None where c is not known.
        """
        if self.condition is None or self.iterations == 0:
            return None
        root = self.condition if self.method == "steepest-descent" else self.condition**0.5
        return (root - 1) / (root + 1)

    def plot(self) -> Figure:
        """Draw the certificate and, with the theory, the error in energy against steps; and |x| against |b - A x|.

        For a direct method, which has no steps, the norms of each right-hand side.
        """
        caption = f"{self.method} ({self.why}): certificate {self.normal_residual:.2g}, tolerance {self.tolerance:.2g}."
        panels = [self._progress(), self._trade()] if self.iterations else self._norms()
        return Figure(name="least-squares", title="Least squares", caption=caption, panels=panels)

    def _progress(self) -> Panel:
        steps = np.arange(len(self.history))
        worst = np.maximum(self.history.normal_residuals.max(1), 1e-17)  # a log axis shows no zero
        series = [Series(label="normal equations", x=steps, y=worst)]
        errors = np.sqrt(np.square(self.history.energy_errors).sum(1))
        if errors[0] > 0:
            known = errors > 1e-15 * errors[0]
            series.append(Series(label="energy norm of the error", x=steps[known], y=errors[known] / errors[0]))
        rate = self.rate()
        if rate is not None and rate > 0:
            bound = (1.0 if self.method == "steepest-descent" else 2.0) * rate**steps
            drawn = bound > 1e-16
            series.append(Series(label=f"theory: {rate:.4g} a step", x=steps[drawn], y=bound[drawn], role="theory"))
        return Panel(x=Axis(label="step"), y=Axis(label="relative to the start", log=True), series=series)

    def _trade(self) -> Panel:
        fit, size = (
            np.sqrt(np.square(norms).sum(1)) for norms in (self.history.residual_norms, self.history.solution_norms)
        )
        trade = Series(label="iterates, from the right", x=fit, y=size)
        return Panel(x=Axis(label="residual |b - A x|"), y=Axis(label="solution |x|"), series=[trade])

    def _norms(self) -> list[Panel]:
        index = np.arange(len(self.solution_norms))
        x = Axis(label="right-hand side", ticks=tuple(map(str, index)))
        parts = (("residual |b - A x|", self.residual_norms), ("solution |x|", self.solution_norms))
        return [
            Panel(x=x, y=Axis(label=label), series=[Series(label=label, x=index, y=norms, style="points")])
            for label, norms in parts
        ]
