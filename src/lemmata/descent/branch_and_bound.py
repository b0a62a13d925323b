"""The best n steps there can be for gradient descent, and how nearly that is proven: spatial branch and bound.

    W* = min over h in R^n of W(h),     W(h) = the worst case over all convex functions with L-Lipschitz gradient

From above: W(h) of the dominant schedule, known exactly. From below: on a finite family of hard functions
(`hard_functions`) the result of every h in a box is bounded rigorously, and boxes are split where the bound is lowest;
the least bound over a partition of a box that must hold the optimum is a lower bound of W*. That box: if W(h) <= U,
then sqrt(s) |prod (1 - s h_i)| <= sqrt(2U) for all quadratics s in [0, 1], and V. Markov's theorem bounds the
coefficients of t prod (1 - t^2 h_i) by those of the Chebyshev polynomial T_{2n+1}: sum h_i, then sum h_i^2, then h_i.

What is proven is W* in [lower, upper], no more: for n = 1 and 2 the two meet to the tolerance, so that the schedule is
optimal to it; for n >= 3 functions of one variable leave a few per cent open, which no work on the boxes can close
(the worst functions of some nearby steps have two variables). The semidefinite programs of Das Gupta, Van Parys and
Ryu (2024, BnB-PEP), solved to global optimality by a commercial solver, find the same steps for n <= 5.

Cost: some 0.1 ms a box: 0.2 s for n = 2, 1.5 s for 3, 8 s for 4, two minutes for 5. Fails for large n: the number
of boxes grows exponentially.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial import chebyshev

from lemmata.descent.hard_functions import HardFunctions, mesh, varied
from lemmata.descent.method import Measure, Schedule
from lemmata.descent.schedules.composed import dominant, gradient_dominant
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Axis, Figure, Panel, Reference, Series

BOXES = {1: 20_000, 2: 20_000, 3: 20_000, 4: 100_000, 5: 1_000_000}
LARGEST = max(BOXES)
BATCH = 512  # boxes split at once
TRIED = 12  # functions bounded on a box
SLOPES, CURVATURES = 20, 48  # of the functions to begin with
HARDER, PARENTS, VARIED = 4, 16, 512  # boxes for which a harder function is sought in each round, and how


@dataclass(frozen=True, eq=False, kw_only=True)
class Optimal:
    """The schedule, and what is proven: every n fixed steps have a worst case of at least `lower`, its own is `upper`.

    `history` (R, 2) holds boxes examined and lower bound after each round; `radius` is the half-width of the box that
    was searched, outside which no steps are as good; `converged` whether the tolerance was reached.
    """

    schedule: Schedule
    of: Measure
    lower: float
    upper: float
    radius: float
    converged: bool
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


def optimal(n: int, *, of: Measure = "gap", tolerance: float = 1e-3, boxes: int | None = None) -> Optimal:
    """Give the best n fixed steps known, n from 1 to 5, with a rigorous lower bound of what any n steps can reach.

    Splits until lower >= (1 - tolerance) upper or `boxes` have been examined (by default enough for what the functions
    can prove: 20,000 for n <= 3, 100,000 and 1,000,000 for n = 4 and 5); a bound that falls short is no failure, it is
    what is proven. Nothing is random. Raises `InvalidInput` for n outside 1 to 5, a tolerance outside (0, 1) or
    boxes < 1, and `UnknownName` for another measure.

    >>> best = optimal(1)
    >>> best.schedule.steps, best.converged, best.upper
    (array([1.5]), True, 0.125)
    """
    if of not in ("gap", "gradient"):
        raise UnknownName("measure", of, ("gap", "gradient"))
    if not 1 <= n <= LARGEST:
        raise InvalidInput(f"n = {n}; boxes of 1 to {LARGEST} steps can be searched (`dominant` has every length)")
    boxes = BOXES[n] if boxes is None else boxes
    if not 0 < tolerance < 1 or boxes < 1:
        raise InvalidInput(f"tolerance = {tolerance}, boxes = {boxes}; expected a share in (0, 1) and at least one box")
    schedule = dominant(n) if of == "gap" else gradient_dominant(n)
    upper = 1 / (2 * (2 * float(schedule.steps.sum()) + 1))  # of the gap; the gradient's is four times that
    scale = 1.0 if of == "gap" else 4.0
    lower, history = _search(n, of, upper, scale * upper * (1 - tolerance), boxes)
    return Optimal(
        schedule=schedule,
        of=of,
        lower=min(lower, scale * upper),
        upper=scale * upper,
        radius=_radius(n, upper),
        converged=lower >= scale * upper * (1 - tolerance),
        history=history,
    )


def _radius(n: int, upper: float) -> float:
    """How large a step of a schedule can be that is at least as good as `upper` on all quadratics."""
    largest = np.abs(chebyshev.cheb2poly([0] * (2 * n + 1) + [1]))[1::2]  # of t, t^3, t^5, ...
    e = np.sqrt(2 * upper) * largest
    return float(np.sqrt(e[1] ** 2 + 2 * (e[2] if n > 1 else 0.0))) * (1 + 1e-12)


def _search(n: int, of: Measure, upper: float, wanted: float, budget: int) -> tuple[float, np.ndarray]:
    """Split the boxes with the lowest bounds until all are above `wanted`, or the budget is spent."""
    radius, draw = _radius(n, upper), np.random.default_rng(0)
    start = (0.5 if of == "gap" else 2.0) / (2 * n + 1) ** 2 * (1 - 1e-12)  # by quadratics: T_{2n+1}/(2n+1)
    slopes = np.append(np.geomspace(upper / 2, 1.0, SLOPES), 1e6)
    functions = mesh(slopes, np.linspace(0, 1, CURVATURES + 1)[1:] ** 2)
    low, high, bound = np.full((1, n), -radius), np.full((1, n), radius), np.full(1, start)
    examined, history = 0, [(1, start)]
    while bound.min() < wanted and examined < budget:
        order = np.argsort(bound)
        chosen = order[: min(BATCH, int((bound < wanted).sum()))]
        kept = order[len(chosen) :]
        children = _split(low[chosen], high[chosen])
        functions = _harder(functions, (low + high)[order[:HARDER]] / 2, of, wanted, draw)
        inherited = np.concatenate([bound[chosen]] * 2)
        found = np.maximum(inherited, _bounded(functions, *children, of))
        low, high = np.concatenate([low[kept], children[0]]), np.concatenate([high[kept], children[1]])
        bound = np.concatenate([bound[kept], found])
        examined += len(found)
        history.append((examined, float(bound.min())))
    return float(bound.min()), np.array(history, dtype=float)


def _harder(
    functions: HardFunctions, centres: np.ndarray, of: Measure, wanted: float, draw: np.random.Generator
) -> HardFunctions:
    """Add, for each of these steps, the hardest function of a random search, if that is harder than all there are."""
    for steps in centres:
        before = functions.after(steps[None], of)[0]
        best = functions.chosen(np.argsort(-before)[:PARENTS])
        for spread in (0.3, 0.1, 0.03, 0.01, 0.003, 0.001):
            many = best.with_more(varied(best.chosen(np.arange(VARIED) % len(best)), draw, spread))
            best = many.chosen(np.argsort(-many.after(steps[None], of)[0])[:PARENTS])
        if best.after(steps[None], of)[0, 0] > before.max() * (1 + 1e-6):
            functions = functions.with_more(best.chosen(np.arange(1)))
    return functions


def _split(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Halve each box across its longest side, as arsinh sees it: the lower halves, then the upper ones."""
    ends = np.arcsinh(low), np.arcsinh(high)
    rows, axis = np.arange(len(low)), (ends[1] - ends[0]).argmax(1)
    middle = np.sinh((ends[0] + ends[1])[rows, axis] / 2)
    lower_high, upper_low = high.copy(), low.copy()
    lower_high[rows, axis] = upper_low[rows, axis] = middle
    return np.concatenate([low, upper_low]), np.concatenate([lower_high, high])


def _bounded(functions: HardFunctions, low: np.ndarray, high: np.ndarray, of: Measure) -> np.ndarray:
    """The best lower bound on each box, of functions that are bad at its centre, no two equally so.

    On a given run most functions have a side that is never seen, so that many are the same.
    """
    at_centre = functions.after((low + high) / 2, of)
    many = min(4 * TRIED, len(functions))
    worst = np.argpartition(-at_centre, many - 1, axis=1)[:, :many]
    values = np.take_along_axis(at_centre, worst, 1)
    order = np.argsort(-values, axis=1)
    worst, values = np.take_along_axis(worst, order, 1), np.take_along_axis(values, order, 1)
    values[:, 1:][values[:, 1:] >= values[:, :-1] * (1 - 1e-9)] = -np.inf
    worst = np.take_along_axis(worst, np.argsort(-values, axis=1)[:, :TRIED], 1)
    return functions.chosen(worst).at_least(low, high, of).max(1)
