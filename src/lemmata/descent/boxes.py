"""Boxes of steps with rigorous lower bounds of the worst case in each, split where the bound is lowest.

Two bounds, both of explicit functions: the cheap one follows functions of one variable over the whole box
(`hard_functions`; 0.1 ms), the dear one finds the function that is worst at the centre by a semidefinite program and
bounds how far other runs drift (`nearby`; 3 ms). The first does for all but the neighbourhood of the optimum, where the
worst functions of some steps have two variables and more.
"""

from __future__ import annotations

import numpy as np

from lemmata.descent.hard_functions import HardFunctions, mesh, varied
from lemmata.descent.method import Measure
from lemmata.descent.nearby import at_least_nearby

BATCH = 512  # boxes split at once
TRIED = 12  # functions bounded on a box
SLOPES, CURVATURES = 20, 48  # of the functions to begin with
HARDER, PARENTS, VARIED = 4, 16, 512  # boxes for which a harder function is sought in each round, and how
DEEPER = 3  # times that a box is halved after a semidefinite program at its centre was not enough


class Boxes:
    """A partition of [-radius, radius]^n: `low`, `high` (B, n) and the lower bounds `bound` (B,) of the worst case.

    `history` holds the boxes examined so far with the least bound after each round; `programs` counts the semidefinite
    ones.
    """

    def __init__(self, n: int, radius: float, of: Measure, *, start: float, smallest_slope: float):
        self.low, self.high, self.bound = np.full((1, n), -radius), np.full((1, n), radius), np.full(1, start)
        self.of: Measure = of
        self.functions = mesh(
            np.append(np.geomspace(smallest_slope, 1.0, SLOPES), 1e6), np.linspace(0, 1, CURVATURES + 1)[1:] ** 2
        )
        self.draw = np.random.default_rng(0)
        self.examined, self.programs, self.history = 1, 0, [(1, start)]

    @property
    def lower(self) -> float:
        """What is proven: the least bound of all boxes."""
        return float(self.bound.min())

    def split(self, wanted: float, most: int) -> None:
        """Halve the boxes with the lowest bounds, until all are at `wanted` or `most` have been examined."""
        while self.lower < wanted and self.examined < most:
            chosen = np.argsort(self.bound)[: min(BATCH, int((self.bound < wanted).sum()))]
            lowest = chosen[:HARDER]
            centres = (self.low[lowest] + self.high[lowest]) / 2
            self.functions = _with_harder(self.functions, centres, self.of, self.draw)
            self._halve(chosen)
            self.history.append((self.examined, self.lower))

    def solve(self, wanted: float, most: int) -> None:
        """Solve the semidefinite program of every box below `wanted`, halve what is still below, and again."""
        while self.lower < wanted and self.programs < most:
            below = np.flatnonzero(self.bound < wanted)
            below = below[np.argsort(self.bound[below])][: min(BATCH, most - self.programs)]
            for box in below:
                nearby = at_least_nearby(self.low[box], self.high[box], self.of)
                self.bound[box] = max(self.bound[box], nearby)
            self.programs += len(below)
            for _ in range(DEEPER):
                below = below[self.bound[below] < wanted]
                below = self._halve(below)
            self.history.append((self.examined, self.lower))

    def _halve(self, chosen: np.ndarray) -> np.ndarray:
        """Replace these boxes by their halves, whose bounds are no less than the whole's; where the halves are."""
        kept = np.ones(len(self.bound), dtype=bool)
        kept[chosen] = False
        for part in np.array_split(chosen, -(-len(chosen) // BATCH)) if len(chosen) else ():
            low, high = _halves(self.low[part], self.high[part])
            bound = np.maximum(np.tile(self.bound[part], 2), _bounded(self.functions, low, high, self.of))
            self.low, self.high = np.concatenate([self.low, low]), np.concatenate([self.high, high])
            self.bound = np.concatenate([self.bound, bound])
            kept = np.append(kept, np.ones(len(bound), dtype=bool))
            self.examined += len(bound)
        self.low, self.high, self.bound = self.low[kept], self.high[kept], self.bound[kept]
        return np.arange(len(self.bound) - 2 * len(chosen), len(self.bound))


def _with_harder(
    functions: HardFunctions, centres: np.ndarray, of: Measure, draw: np.random.Generator
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


def _halves(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
