"""The best n steps there can be for gradient descent, and how nearly that is proven: spatial branch and bound.

    W* = min over h in R^n of W(h),     W(h) = the worst case over all convex functions with L-Lipschitz gradient

From above: W(h) of the dominant schedule, known exactly. From below: the result of every h in a box on explicit
functions, bounded rigorously; the least bound over a partition of a box that must hold the optimum is a lower bound of
W*. `boxes` has the two ways of bounding: functions of one variable followed over the box, and near the optimum the
function that a semidefinite program finds at the centre, of which nothing is believed but what is checked.

The box: if W(h) <= U, then sqrt(s) |prod (1 - s h_i)| <= sqrt(2U) for all quadratics s in [0, 1], and V. Markov's
theorem bounds the coefficients of t prod (1 - t^2 h_i) by those of the Chebyshev polynomial T_{2n+1}: sum h_i, then
sum h_i^2, then h_i.

What is proven is that no fixed steps do better than lower, a share below the dominant schedule's upper: 1e-4 for n = 1
and 2, 1e-3 for 3, 2e-2 for 4, at which there may yet be better ones by so much. Das Gupta, Van Parys and Ryu (2024,
BnB-PEP) find the same steps for n <= 5 by a commercial global solver, whose arithmetic is floating point.

Cost, of the gap: 0.03 s for n = 1, 0.2 s for 2, 3 s for 3, 50 s for 4. Fails for larger n: the number of boxes grows
exponentially.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial import chebyshev

from lemmata.descent.boxes import Boxes
from lemmata.descent.method import Measure, Schedule
from lemmata.descent.schedules.composed import dominant, gradient_dominant
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Reference, Series

TOLERANCE = {1: 1e-4, 2: 1e-4, 3: 1e-3, 4: 2e-2}
BOXES = {  # before the first semidefinite program, which is lost on a wide box
    "gap": {1: 20_000, 2: 20_000, 3: 3_000, 4: 60_000},
    "gradient": {1: 20_000, 2: 20_000, 3: 6_000, 4: 120_000},
}
LARGEST = max(TOLERANCE)


@dataclass(frozen=True, eq=False, kw_only=True)
class Optimal:
    """The schedule, and what is proven: every n fixed steps have a worst case of at least `lower`, its own is `upper`.

    `history` (R, 2) holds boxes examined and lower bound after each round; `radius` is the half-width of the box that
    was searched, outside which no steps are as good; `converged` whether the tolerance was reached; `programs` how many
    semidefinite programs it took.
    """

    schedule: Schedule
    of: Measure
    lower: float
    upper: float
    radius: float
    converged: bool
    programs: int
    history: np.ndarray = field(repr=False)

    @property
    def open(self) -> float:
        """The share of the worst case that could yet be gained, 1 - lower/upper."""
        return 1 - self.lower / self.upper

    def plot(self) -> Figure:
        """Draw the lower bound as boxes are split, below the worst case of the schedule."""
        boxes, lower = self.history.T
        proven = Series(label="proven lower bound", x=boxes, y=lower, role="theory")
        reached = Reference(label="worst case of the schedule", value=self.upper, role="control")
        label = "objective gap / L D²" if self.of == "gap" else "squared gradient norm / L (f₀ − f*)"
        panel = Panel(
            x=Axis(label="boxes examined", log=True),
            y=Axis(label=label, log=True),
            series=[proven],
            references=[reached],
        )
        n = len(self.schedule)
        caption = f"{n} steps: no fixed steps have a worst case below {self.lower:.6g}; these have {self.upper:.6g}."
        return Figure(name="optimal", title=f"The best {n} steps", caption=caption, panels=[panel])


def optimal(
    n: int, *, of: Measure = "gap", tolerance: float | None = None, boxes: int | None = None, programs: int = 20_000
) -> Optimal:
    """Give the best n fixed steps known, n from 1 to 4, with a rigorous lower bound of what any n steps can reach.

    Splits until lower >= (1 - tolerance) upper, by default 1e-4 for n = 1 and 2, 1e-3 for 3 and 2e-2 for 4: first at
    most `boxes` boxes by functions of one variable, then by at most so many semidefinite `programs`. A bound that falls
    short is no failure, it is what is proven. Nothing is random: the search for functions has a seed of its own.
    Raises `InvalidInput` for n outside 1 to 4, a tolerance outside (0, 1), boxes < 1 or programs < 0, and
    `UnknownName` for another measure.

    >>> best = optimal(1)
    >>> best.schedule.steps, best.converged, best.upper
    (array([1.5]), True, 0.125)
    """
    if of not in ("gap", "gradient"):
        raise UnknownName("measure", of, ("gap", "gradient"))
    if n not in range(1, LARGEST + 1):
        raise InvalidInput(f"n = {n!r}; boxes of 1 to {LARGEST} steps can be searched (`dominant` has every length)")
    tolerance = TOLERANCE[n] if tolerance is None else tolerance
    boxes = BOXES[of][n] if boxes is None else boxes
    if not 0 < tolerance < 1 or boxes < 1 or programs < 0:
        raise InvalidInput(
            f"tolerance = {tolerance}, boxes = {boxes}, programs = {programs}; expected a share in (0, 1), at least "
            "one box, and no negative number of programs"
        )
    schedule = dominant(n) if of == "gap" else gradient_dominant(n)
    gap = 1 / (2 * (2 * float(schedule.steps.sum()) + 1))
    upper = gap if of == "gap" else 4 * gap
    radius, wanted = _radius(n, gap), upper * (1 - tolerance)
    by_quadratics = upper / gap / (2 * (2 * n + 1) ** 2) * (1 - 1e-12)  # the Chebyshev polynomial T_{2n+1}/(2n+1)
    searched = Boxes(n, radius, of, start=by_quadratics, smallest_slope=gap / 2)
    searched.split(wanted, boxes)
    searched.solve(wanted, programs)
    return Optimal(
        schedule=schedule,
        of=of,
        lower=min(searched.lower, upper),
        upper=upper,
        radius=radius,
        converged=searched.lower >= wanted,
        programs=searched.programs,
        history=np.array(searched.history, dtype=float),
    )


def _radius(n: int, upper: float) -> float:
    """How large a step of a schedule can be that is at least as good as `upper` on all quadratics."""
    largest = np.abs(chebyshev.cheb2poly([0] * (2 * n + 1) + [1]))[1::2]  # of t, t^3, t^5, ...
    e = np.sqrt(2 * upper) * largest
    return float(np.sqrt(e[1] ** 2 + 2 * (e[2] if n > 1 else 0.0))) * (1 + 1e-12)
