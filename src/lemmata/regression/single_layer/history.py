"""What a minimisation was like: the objective, its gradient and the time, iteration by iteration; and when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class History:
    """One entry an iteration, the start first: `value`, `gradient_norm`, `seconds`, each (T,)."""

    value: np.ndarray
    gradient_norm: np.ndarray
    seconds: np.ndarray

    def reaches(self, value: float) -> tuple[int, float] | None:
        """Iterations and seconds until the objective was first at or below `value`; None if it never was.

        >>> History(np.array([3.0, 1.0]), np.array([1.0, 0.1]), np.array([0.0, 0.5])).reaches(2.0)
        (1, 0.5)
        """
        below = np.flatnonzero(self.value <= value)
        return (int(below[0]), float(self.seconds[below[0]])) if len(below) else None


@dataclass
class Recorder:
    """Takes the history down and says when to end: `target` reached, gradient below `tolerance`, out of iterations."""

    tolerance: float
    iterations: int
    target: float | None = None
    clock: Callable[[], float] = time.perf_counter
    why: str = field(default="", init=False)

    def __post_init__(self):
        self.begun = self.clock()
        self._rows: list[tuple[float, float, float]] = []

    def done(self, value: float, gradient: Tensor) -> bool:
        """Note an iteration (the first call is the start), and whether it is the last."""
        size = float(gradient.norm())
        self._rows.append((value, size, self.clock() - self.begun))
        if self.target is not None and value <= self.target:
            self.why = "target"
        elif size <= self.tolerance:
            self.why = "tolerance"
        elif len(self._rows) > self.iterations:
            self.why = "iterations"
        return bool(self.why)

    def ends(self, value: float) -> bool:
        """Whether an iteration of this value would be the last whatever its gradient, so that no model is needed."""
        return len(self._rows) >= self.iterations or (self.target is not None and value <= self.target)

    def stop(self, why: str) -> None:
        """End for a reason of the method's own."""
        self.why = why

    @property
    def history(self) -> History:
        """All that was noted."""
        value, size, seconds = np.array(self._rows).T
        return History(value, size, seconds)
