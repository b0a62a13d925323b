"""What a solve by multigrid in layers gives: states, and how it went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.flows.field import State
from lemmata.flows.parallel.scheme import Multigrid
from lemmata.flows.parallel.work import Work


@dataclass(frozen=True, eq=False)
class Solution(Work):
    """States, residuals and work of one solve, forwards or backwards.

    Attributes:
        states: At the C-points, (N/m + 1, ...), or at all points, (N + 1, ...), in time's order; a pair for pairs.
        final: The state at T (of an adjoint: at 0).
        residuals: After 0, 1, ... iterations the norm of the jumps at C-points over the norm of the first guess there.
        rounding: The relative rounding of the states' dtype.
        steps: Steps applied on each level, finest first.
        stages: Velocities that a step asks for on each level.
        serial: Steps of the serial solve.
        scheme: How layers were coarsened.
        tol: The relative residual asked for, None where a number of iterations was.
        name: "forward" or "adjoint".
    """

    states: State
    final: State
    residuals: tuple[float, ...]
    rounding: float
    steps: tuple[int, ...]
    stages: tuple[int, ...]
    serial: int
    scheme: Multigrid
    tol: float | None = None
    name: str = "forward"

    @property
    def iterations(self) -> int:
        """Iterations done."""
        return len(self.residuals) - 1

    @property
    def converged(self) -> bool:
        """Whether the last residual is finite, and at most the tolerance if there is one."""
        return bool(np.isfinite(self.residuals[-1])) and (self.tol is None or self.residuals[-1] <= self.tol)

    @property
    def factor(self) -> float:
        """The measured convergence factor: the geometric mean by which an iteration reduced the residual.

        Residuals below 10 roundings do not count, as they are nothing else.
        """
        seen = [r for r in self.residuals if r > 10 * self.rounding]
        return float((seen[-1] / seen[0]) ** (1 / (len(seen) - 1))) if len(seen) > 1 else 0.0

    def plot(self, predicted: float | None = None) -> Figure:
        """Draw the residuals against iterations, beside them a `predicted` convergence factor.

        Raises `InvalidInput` where no residual is a positive finite number.
        """
        r = np.array(self.residuals)
        k = np.flatnonzero(np.isfinite(r) & (r > 0))
        if not len(k):
            raise InvalidInput("no residual is finite and above 0: there is nothing to draw on a logarithmic axis")
        series = [Series(label="measured", x=k, y=r[k], style="points")]
        if predicted is not None:
            line = np.maximum(r[k[0]] * predicted ** np.arange(len(r), dtype=float), self.rounding)
            series.append(
                Series(label=f"factor {predicted:.2g}, predicted", x=np.arange(len(r)), y=line, role="theory")
            )
        references = [] if self.tol is None else [Reference(label="tolerance", value=self.tol, role="theory")]
        panel = Panel(
            x=Axis(label="iteration"), y=Axis(label="relative residual", log=True), series=series,
            references=references,
        )  # fmt: skip
        caption = (
            f"Multigrid in layers, m = {self.scheme.m}, {self.scheme.levels} levels, {self.scheme.relaxation} "
            f"relaxation, {self.serial} layers: {self.iterations} iterations, a factor of {self.factor:.2g} each, "
            f"{self.work:.3g} serial sweeps of work."
        )
        return Figure(name=f"mgrit-{self.name}", title=f"Convergence, {self.name}", caption=caption, panels=[panel])
