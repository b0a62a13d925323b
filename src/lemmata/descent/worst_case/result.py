"""The answer to a worst case: the value, what proves it from above, and what attains it from below."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import numpy as np

from lemmata.descent.method import Given, Measure
from lemmata.descent.worst_case.worst_function import WorstFunction
from lemmata.errors import InvalidInput
from lemmata.estimate import Estimate
from lemmata.figures import Axis, Field, Figure, Panel, Reference, Series

SHOWN = 1e-7
QUANTITY = {"gap": "f - f*", "gradient": "|g|²"}
UNIT = {("gap", "distance"): "L D²", ("gradient", "distance"): "L² D²", ("gradient", "gap"): "L (f₀ - f*)"}


@dataclass(frozen=True, eq=False, kw_only=True)
class WorstCase(Estimate):
    """The most that is left after N steps of `name`, in the worst case over mu-strongly convex, L-smooth functions.

    `value` is what is asked for (`of`: f_N - f*, or |g_N|^2) over what is given (|x_0 - x*|^2, or f_0 - f*). `bound` is
    proven in exact arithmetic to be at least the truth, `lower` reached by a run on an explicit function, but for the
    rounding of that run; NaN where none was found. `residual`, relative, is how far the solver's own Gram matrix leaves
    the least bound in doubt. `stderr` is 0, and `cost` too, as nothing is differentiated.

    `pairs` (K, 2) and `multipliers` (K,) are the proof: the weights of the interpolation inequalities between nodes
    i and j, k for x_k and -1 for x*, in units of L = 1. `gram` (n, n) and `values` (N + 1,) are the worst data as the
    solver left them, in coordinates x_0 - x* (not for `given` = "gap" with mu = 0) and g_0, ..., g_N, after
    mu/2 |x - x*|^2 was taken from f. `solver` and `support` say what was used, `time` the processor seconds it took.
    """

    name: str
    bound: Fraction
    lower: float
    H: np.ndarray = field(repr=False)
    L: float
    mu: float
    of: Measure
    given: Given
    pairs: np.ndarray = field(repr=False)
    multipliers: np.ndarray = field(repr=False)
    gram: np.ndarray = field(repr=False)
    values: np.ndarray = field(repr=False)
    solver: str
    support: str
    iterations: int
    time: float
    residual: float
    worst: WorstFunction | None = field(repr=False)

    @property
    def steps(self) -> int:
        """N."""
        return len(self.H)

    @property
    def gap(self) -> float:
        """How far apart `lower` and `bound` are, relative to the bound: what the truth is known to."""
        return 1 - self.lower / float(self.bound)

    def function(self) -> WorstFunction:
        """The function that is as bad for the method as `lower` says: call it, take its gradient, `run` on it.

        Raises `InvalidInput` where the worst case is approached and not attained, so that there is none.
        """
        if self.worst is None:
            raise InvalidInput(
                f"no function was found on which {self.name} is as bad as {float(self.bound):.6g}: {self.of} given "
                f"{self.given} at mu = {self.mu:g} may be approached by functions without being attained by one"
            )
        return self.worst

    @cached_property
    def proof(self) -> np.ndarray:
        """The multipliers as a matrix (N + 2, N + 2), node * first: row i, column j for the pair (i, j)."""
        matrix = np.zeros((self.steps + 2, self.steps + 2))
        matrix[self.pairs[:, 0] + 1, self.pairs[:, 1] + 1] = self.multipliers
        return matrix

    def plot(self, label: str = "") -> Figure:
        """Draw the run on the worst function against the bound, the function if it is on a line, and the proof."""
        panels = [] if self.worst is None else [self._run_panel(self.worst)]
        if self.worst is not None and self.worst.dimension == 1:
            panels.append(self._line_panel(self.worst))
        panels.append(self._proof_panel())
        reached = (
            f"; the run shown on {self.worst.name} reaches {self.lower / float(self._unit):.9g}" if self.worst else ""
        )
        unit = UNIT.get((self.of, self.given), "(f₀ - f*)")
        return Figure(
            name="worst-case",
            title=label or f"The worst case of {self.name}",
            caption=(
                f"{QUANTITY[self.of]} after N = {self.steps} steps is at most {float(self.bound / self._unit):.9g} "
                f"{unit}, proven in exact arithmetic{reached}. Solved by {self.solver} on the {self.support} support."
            ),
            panels=panels,
        )

    @property
    def _unit(self) -> Fraction:
        return Fraction(self.L) ** ((self.of == "gradient") + (self.given == "distance"))

    def _run_panel(self, worst: WorstFunction) -> Panel:
        run = worst.run(self.H)
        asked = run.gaps if self.of == "gap" else np.sum(run.gradients**2, axis=1)
        granted = float(np.sum((worst.x0 - worst.minimiser) ** 2)) if self.given == "distance" else float(run.gaps[0])
        given = "D²" if self.given == "distance" else "(f₀ - f*)"
        drawn = np.maximum(asked / granted, 1e-300)
        positive = np.append(drawn[drawn > 1e-16 * float(self.bound)], float(self.bound))
        limits = (0.5 * float(positive.min()), 2 * float(positive.max()))  # bound and run may be equal to rounding
        return Panel(
            title="the worst run",
            x=Axis(label="step k"),
            y=Axis(label=f"{QUANTITY[self.of]} over {given}", log=True, limits=limits),
            series=[Series(label="worst run", x=np.arange(self.steps + 1), y=drawn)],
            references=[Reference(label="proven bound at N", value=float(self.bound), role="theory")],
        )

    def _line_panel(self, worst: WorstFunction) -> Panel:
        run = worst.run(self.H)
        points = run.points[:, 0]
        low, high = min(points.min(), worst.minimiser[0]), max(points.max(), worst.minimiser[0])
        line = np.linspace(low - 0.1 * (high - low), high + 0.1 * (high - low), 400)
        values = np.asarray(worst(line[:, None])) - worst.minimum
        return Panel(
            title="where it goes",
            x=Axis(label="x"),
            y=Axis(label="f - f*"),
            series=[
                Series(label="worst function", x=line, y=values, role="theory"),
                Series(label="iterates", x=points, y=run.gaps, style="points"),
            ],
        )

    def _proof_panel(self) -> Panel:
        largest = float(self.multipliers.max())
        nodes = np.arange(-1, self.steps + 1)
        weights = np.where(self.proof > SHOWN * largest, self.proof, np.nan)
        field = Field(
            label="multiplier", x=nodes, y=nodes, z=weights, kind="heatmap", log=True, limits=(1e-5 * largest, largest)
        )
        return Panel(
            title="the proof",
            x=Axis(label="node j (-1: x*)"),
            y=Axis(label="node i (-1: x*)"),
            fields=[field],
            equal=True,
        )
