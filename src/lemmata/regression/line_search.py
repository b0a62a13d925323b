"""How far to go along a direction: Armijo's backtracking, the strong Wolfe conditions, and the exact step.

With phi(t) = f(x + t p), phi'(0) < 0:

    Armijo (1966)            phi(t) <= phi(0) + c1 t phi'(0)
    strong Wolfe (1969)      that, and |phi'(t)| <= c2 |phi'(0)|
    exact, f quadratic       t = -phi'(0) / (p^T H p)

Close to a minimum f(x + t p) - f(x) is lost in rounding long before the gradient is. There Armijo's condition is
replaced, where phi(t) and phi(0) differ by rounding only, by one on slopes that is equivalent for quadratics (Hager
and Zhang, 2005, the approximate Wolfe conditions): 0.9 phi'(0) <= phi'(t) <= (2 c1 - 1) phi'(0).
Cost: an evaluation of value and gradient a trial. Fails, and says so, where p does not descend, or f is not smooth.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from lemmata.errors import InvalidInput, LemmataError
from lemmata.regression.minimum import Point

Function = Callable[[Tensor], tuple[float, Tensor]]
ROUNDING = 1e2  # units in the last place of f within which two values do not differ

TURNED = 0.9  # the part of its slope that a line may keep where only slopes can tell

HUGE = 1e100  # a value or slope beyond which a cubic is no use


class LineSearchFailed(LemmataError):
    """No step along the direction satisfies the conditions: rounding, a wrong gradient, or a function not smooth."""


@dataclass(frozen=True)
class _Trial:
    t: float
    value: float
    slope: float
    point: Point


class _Line:
    """phi(t) = f(x + t p) with its slope, and the conditions."""

    def __init__(self, function: Function, start: Point, direction: Tensor, c1: float, c2: float):
        self.function, self.start, self.direction, self.c1, self.c2 = function, start, direction, c1, c2
        slope = float(start.gradient @ direction)
        if not slope < 0:
            raise LineSearchFailed(
                f"the direction has slope {slope:.3g}, and does not descend; check the gradient, by check_gradient"
            )
        self.zero = _Trial(0.0, start.value, slope, start)
        eps = 2.0**-52 if start.x.element_size() == 8 else 2.0**-23
        self.rounding = ROUNDING * eps * abs(start.value)

    def at(self, t: float) -> _Trial:
        x = self.start.x + t * self.direction
        value, gradient = self.function(x)
        return _Trial(t, value, float(gradient @ self.direction), Point(x, value, gradient, t))

    def falls(self, trial: _Trial) -> bool:
        """Armijo's condition, or the one on slopes where values can not tell."""
        if trial.value < self.zero.value and trial.value <= self.zero.value + self.c1 * trial.t * self.zero.slope:
            return True
        near = abs(trial.value - self.zero.value) <= self.rounding
        return near and TURNED * self.zero.slope <= trial.slope <= (2 * self.c1 - 1) * self.zero.slope

    def flat(self, trial: _Trial) -> bool:
        """The curvature condition."""
        return abs(trial.slope) <= self.c2 * abs(self.zero.slope)


def armijo(
    function: Function,
    start: Point,
    direction: Tensor,
    *,
    first: float = 1.0,
    decrease: float = 1e-4,
    shrink: float = 0.5,
    trials: int = 40,
) -> Point:
    """Try the step `first`, and shorten it until f falls by `decrease` times what its slope promises.

    A shorter step is the minimiser of the parabola through phi(0), phi'(0) and phi(t), kept between t / 10 and
    `shrink` t. `function`(x) gives f and its gradient; `start` is where they are known. Gives the point found.

    Raises `LineSearchFailed` after `trials`, and where the direction does not descend.

    >>> import torch
    >>> f = lambda x: (float(x @ x), 2 * x)
    >>> x = torch.tensor([1.0, 0.0])
    >>> armijo(f, Point(x, *f(x)), -f(x)[1]).x
    tensor([0., 0.])
    """
    if not 0 < decrease < 1 or not 0 < shrink < 1 or not first > 0:
        raise InvalidInput(f"decrease = {decrease}, shrink = {shrink} must be in (0, 1) and first = {first} positive")
    line, t = _Line(function, start, direction, decrease, 1.0), first
    for _ in range(trials):
        trial = line.at(t)
        if math.isfinite(trial.value) and line.falls(trial):
            return trial.point
        rise = trial.value - line.zero.value - t * line.zero.slope
        best = -0.5 * line.zero.slope * t**2 / rise if math.isfinite(rise) and rise > 0 else 0.0
        t = min(max(best, 0.1 * t), shrink * t)
    raise LineSearchFailed(f"f does not fall along the direction down to steps of {t:.1e} of its length; {_REMEDY}")


def strong_wolfe(
    function: Function,
    start: Point,
    direction: Tensor,
    *,
    first: float = 1.0,
    decrease: float = 1e-4,
    curvature: float = 0.9,
    trials: int = 30,
) -> Point:
    """A step that satisfies the strong Wolfe conditions (Nocedal and Wright, 2006, algorithms 3.5 and 3.6).

    Steps grow until one is too long, and the interval is then cut at the minimiser of the cubic through its ends.
    `curvature` is c2: 0.9 for quasi-Newton directions, 0.1 to 0.4 for conjugate gradients. As `armijo` otherwise.

    >>> import torch
    >>> f = lambda x: (float(x @ x), 2 * x)
    >>> x = torch.tensor([1.0, 0.0])
    >>> round(strong_wolfe(f, Point(x, *f(x)), -f(x)[1], first=0.01, curvature=0.1).step, 6)
    0.5
    """
    if not 0 < decrease < curvature < 1 or not first > 0:
        raise InvalidInput(
            f"want 0 < decrease = {decrease} < curvature = {curvature} < 1, and first = {first} positive"
        )
    line = _Line(function, start, direction, decrease, curvature)
    best: _Trial | None = None
    for trial in _trials(line, line.zero, first, trials):
        if line.falls(trial) and line.flat(trial):
            return trial.point
        if line.falls(trial) and (best is None or trial.value < best.value):
            best = trial
    if best is not None:
        return best.point
    raise LineSearchFailed(f"no step satisfies the strong Wolfe conditions after {trials} trials; {_REMEDY}")


def _trials(line: _Line, low: _Trial, t: float, trials: int) -> Iterator[_Trial]:
    """Growing steps, then cuts of the interval [low, high], where low is the best step that falls."""
    high: _Trial | None = None
    for _ in range(trials):
        trial = line.at(t)
        yield trial
        worse = not line.falls(trial) or (low.t > 0 and trial.value >= low.value + line.rounding)
        if not math.isfinite(trial.value) or worse:
            high = trial
        elif trial.slope * ((high.t if high else math.inf) - low.t) >= 0:
            low, high = trial, low
        else:
            low = trial
        t = _cut(low, high) if high is not None else _longer(line.zero, trial)


def _longer(zero: _Trial, trial: _Trial) -> float:
    """Where the slope, carried on along its secant, would vanish: between 2 t and 10 t."""
    change = trial.slope - zero.slope
    wanted = trial.t * -zero.slope / change if change > 0 else math.inf
    return min(max(wanted, 2 * trial.t), 10 * trial.t)


def _cut(low: _Trial, high: _Trial) -> float:
    """The minimiser of the cubic through both ends, a tenth of the interval away from either, or the middle."""
    a, b = sorted((low.t, high.t))
    middle, margin = (a + b) / 2, 0.1 * (b - a)
    if not (abs(high.value) < HUGE and abs(high.slope) < HUGE):
        return a + margin
    d1 = low.slope + high.slope - 3 * (low.value - high.value) / (low.t - high.t)
    under = d1**2 - low.slope * high.slope
    if under < 0:
        return middle
    d2 = math.copysign(math.sqrt(under), high.t - low.t)
    denominator = high.slope - low.slope + 2 * d2
    t = high.t - (high.t - low.t) * (high.slope + d2 - d1) / denominator if denominator else middle
    return min(max(t, a + margin), b - margin) if math.isfinite(t) else middle


def exact_step(slope: float, curvature: float) -> float:
    """The minimiser -phi'(0) / phi'' of a quadratic along a line, from its slope and curvature p^T H p.

    Raises `InvalidInput` where the curvature is not positive: the quadratic has no minimum on the line.

    >>> exact_step(-2.0, 4.0)
    0.5
    """
    if not curvature > 0:
        raise InvalidInput(f"the curvature along the direction is {curvature:.3g}; a minimum there needs it positive")
    return -slope / curvature


_REMEDY = "check the gradient (check_gradient), take float64, or a larger tolerance"
