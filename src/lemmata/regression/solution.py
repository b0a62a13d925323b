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
        """Draw the certificate and, with the theory, the error in energy against steps; and |x| against |b - A x|."""
        steps = np.arange(len(self.history))
        style = "points" if len(steps) == 1 else "line"
        certificate = Series(label="normal equations", x=steps, y=_positive(self.history.normal_residuals), style=style)
        series = [certificate]
        errors = np.sqrt(np.square(self.history.energy_errors).sum(1))
        if len(steps) > 1 and errors[0] > 0:
            known = errors > 1e-15 * errors[0]
            series.append(Series(label="energy norm of the error", x=steps[known], y=errors[known] / errors[0]))
        rate = self.rate()
        if rate is not None and rate > 0:
            bound = (1.0 if self.method == "steepest-descent" else 2.0) * rate**steps
            drawn = bound > 1e-16
            series.append(Series(label=f"theory: {rate:.4g} a step", x=steps[drawn], y=bound[drawn], role="theory"))
        progress = Panel(x=Axis(label="step"), y=Axis(label="relative to the start", log=True), series=series)
        trade = Series(
            label="iterates",
            x=np.sqrt(np.square(self.history.residual_norms).sum(1)),
            y=np.sqrt(np.square(self.history.solution_norms).sum(1)),
            style=style,
        )
        norms = Panel(x=Axis(label="residual |b - A x|"), y=Axis(label="solution |x|"), series=[trade])
        caption = f"{self.method} ({self.why}): certificate {self.normal_residual:.2g}, tolerance {self.tolerance:.2g}."
        return Figure(name="least-squares", title="Least squares", caption=caption, panels=[progress, norms])


def _positive(rows: np.ndarray) -> np.ndarray:
    """The largest over right-hand sides, zeros raised to what a log axis can show."""
    return np.maximum(rows.max(1), 1e-17)
