"""What an instrument answers: a value with its standard error, and a refusal where there is none to give.

`Estimate` carries the value, the standard error of the mean over n independent draws, whether the computation
converged, and what it cost in gradient evaluations. A value computed exactly has ``stderr`` 0. An iterative
instrument that does not reach its tolerance raises `NotConverged`, which carries the best value and its residual.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

from lemmata.errors import InvalidInput, LemmataError
from lemmata.figures import Axis, Figure, Panel, Series


@dataclass(frozen=True)
class Estimate:
    """A number or array with its standard error (of the same shape, or 0), sample count and cost.

    `n` is the number of independent draws behind `stderr` (1 for an exact value), `cost` the number of gradient
    evaluations, of which one product with a Hessian counts as two.

    >>> estimate = Estimate(2.0, stderr=0.1, n=25, cost=50)
    >>> low, high = estimate.interval(0.95)
    >>> print(f"[{low:.3f}, {high:.3f}]")
    [1.794, 2.206]
    """

    value: Any
    stderr: Any = 0.0
    n: int = 1
    converged: bool = True
    cost: float = 0.0

    def interval(self, level: float = 0.95) -> tuple[Any, Any]:
        """Give the two-sided confidence interval of the mean, by Student's t with n - 1 degrees of freedom.

        An exact value has the interval [value, value]. Raises `InvalidInput` for a level outside (0, 1), and for a
        standard error that comes from fewer than two draws.
        """
        if not 0 < level < 1:
            raise InvalidInput(f"confidence level {level} is not between 0 and 1; take 0.95, say")
        if not np.any(np.asarray(self.stderr) != 0):
            return self.value, self.value
        if self.n < 2:
            raise InvalidInput(f"no interval from n = {self.n} draw; take at least two")
        half = float(student.ppf((1 + level) / 2, self.n - 1)) * self.stderr
        return self.value - half, self.value + half

    def plot(self, label: str = "value") -> Figure:
        """Draw the value, or each entry of an array against its index, with its 95 % interval.

        >>> Estimate(np.array([3.0, 2.0]), stderr=np.array([0.1, 0.2]), n=10).plot("eigenvalue").panels[0].y.label
        'eigenvalue'
        """
        value, low, high = (np.ravel(np.asarray(part, dtype=float)) for part in (self.value, *self.interval()))
        index = np.arange(len(value))
        points = Series(label="estimate, 95 % interval", x=index, y=value, low=low, high=high, style="points")
        panel = Panel(x=Axis(label="entry", ticks=tuple(map(str, index))), y=Axis(label=label), series=[points])
        caption = f"{self.n} draws, {self.cost:g} gradient evaluations."
        return Figure(name="estimate", title=label, caption=caption, panels=[panel])

    def __format__(self, spec: str) -> str:
        """Write a single number as value ± stderr, each by `spec`."""
        spec = spec or ".4g"
        error = f" ± {self.stderr:{spec}}" if self.stderr else ""
        return f"{self.value:{spec}}{error}"


class NotConverged(LemmataError):
    """An instrument did not reach its tolerance; `best` is what it had, `residual` how far that is off.

    >>> raise NotConverged("Lanczos", best=1.0, residual=0.1, tolerance=1e-6, remedy="allow more iterations")
    Traceback (most recent call last):
    lemmata.estimate.NotConverged: Lanczos did not converge: residual 0.1, tolerance 1e-06; allow more iterations
    """

    def __init__(self, what: str, *, best: Any, residual: float, tolerance: float, remedy: str):
        self.best, self.residual, self.tolerance = best, residual, tolerance
        super().__init__(f"{what} did not converge: residual {residual:.3g}, tolerance {tolerance:.3g}; {remedy}")
