"""First-order methods whose steps are fixed beforehand, and what is proven of them.

In units of 1/L, L the Lipschitz constant of the gradient, n steps of such a method are

    x_{k+1} = x_0 - (1/L) sum_{j <= k} H[k, j] g(x_j)

with a lower triangular matrix H (Drori and Teboulle, 2014), from which a worst case is computed. A run needs no
matrix: gradient descent, momentum, Nesterov's and the optimised gradient method are all one recursion,

    w_{k+1} = decay_k w_k - intake_k g(x_k) / L,        w_0 = 0
    x_{k+1} = x_k - step_k g(x_k) / L + w_{k+1}

of three numbers a step and one vector w beside x. To run a method:

    state = method.start(x0, L=L)
    for _ in range(n):
        state = method.advance(state, gradient(state.x), value(state.x))    # the value is for Polyak's step alone
    state.output

`state.x` is where the next gradient is wanted; `state.output` is the point that the guarantee for k steps speaks of.
The two differ where a method ends otherwise than it goes on: Nesterov's ends on the gradient step before its
extrapolation, the optimised gradient method on a shorter momentum, an average on the mean. The last row of
`matrix(n)` is the output's. Fails for methods that choose their steps as they run (line searches, Polyak's step):
these have the same `start` and `advance` and no matrix.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np

from lemmata.descent.numbers import is_positive
from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Reference, Series

Measure = Literal["gap", "gradient"]
Given = Literal["distance", "gap", "level"]
V = TypeVar("V", bound=Any)  # a numpy array or a torch tensor of any shape


@dataclass(frozen=True)
class Guarantee:
    """What is proven after n steps on every convex function with L-Lipschitz gradient; D = |x_0 - x*|.

        of gap,      given distance:   f_n - f* <= bound(n) L D^2
        of gradient, given gap:        |g_n|^2  <= bound(n) L (f_0 - f*)
        of gradient, given distance:   |g_n|^2  <= bound(n) L^2 D^2
        of gap,      given level:      f_n - f* <= bound(n) L R^2,  R = max {|x - x*| : f(x) <= f(x_0)} >= D

    `tight` says that some function attains the bound, at every n or, for a schedule that ends, at its end. `mu` (in
    units of L): only mu-strongly convex functions are meant; `on`: only quadratics. The bound is infinite at an n of
    which nothing is proven.

    >>> Guarantee("gap", "distance", lambda n: 1 / (4 * n + 2), where="Drori and Teboulle (2014)", tight=True).bound(10)
    0.023809523809523808
    """

    of: Measure
    given: Given
    bound: Callable[[int], float]
    where: str
    tight: bool = False
    mu: float = 0.0
    on: Literal["convex", "quadratic"] = "convex"


class Coefficients(NamedTuple):
    """The three numbers of a step: w <- decay w - intake g/L, then x <- x - step g/L + w."""

    step: float
    decay: float = 0.0
    intake: float = 0.0


@dataclass(frozen=True, eq=False)
class State(Generic[V]):
    """A run after k steps: `x`, where the next gradient is wanted, and `output`, what the guarantee speaks of.

    `memory` is w_k (None while it is zero), `best` the least value met, for methods that are told values.
    """

    x: V
    output: V
    memory: V | None = None
    k: int = 0
    L: float = 1.0
    best: float = float("inf")


@dataclass(frozen=True, eq=False)
class Method(ABC):
    """A first-order method with fixed steps: `coefficients(k)` gives those of step k, from x_k to x_{k+1}."""

    name: str
    guarantee: Guarantee | None = field(default=None, kw_only=True)
    source: str = field(default="", kw_only=True)

    @property
    def length(self) -> int | None:
        """How many steps there are; None where there is no end."""
        return None

    @abstractmethod
    def coefficients(self, k: int) -> Coefficients:
        """Give the numbers of step k = 0, 1, ... where more steps follow."""

    def last(self, k: int) -> Coefficients:
        """Give the numbers of step k where the run ends with it; most methods end as they go on."""
        return self.coefficients(k)

    def matrix(self, n: int) -> np.ndarray:
        """Give H (n, n), lower triangular, float64; its last row leads to the output. n^2 flops.

        Raises `InvalidInput` for n < 1 and beyond the method's length.
        """
        self._require(n)
        H, W = np.zeros((n, n)), np.zeros(n)
        for k in range(n):
            step, decay, intake = self.last(k) if k == n - 1 else self.coefficients(k)
            W *= decay
            W[k] = intake
            H[k] = W if k == 0 else H[k - 1] + W
            H[k, k] += step
        return H

    def start(self, x0: V, *, L: float = 1.0) -> State[V]:
        """Begin at x0, an array or tensor of any shape, which is never written to."""
        if not is_positive(L):
            raise InvalidInput(f"L = {L}; it must be positive and finite: estimate the gradient's Lipschitz constant")
        return State(x0, x0, L=L)

    def advance(self, state: State[V], gradient: V, value: float | None = None) -> State[V]:
        """Take the step from x_k by the gradient there. One or two vectors are made, nothing is written to.

        Raises `InvalidInput` beyond the method's length. `value`, f(x_k), is for methods that need it.
        """
        self._require(state.k + 1)
        onward, ending = self.coefficients(state.k), self.last(state.k)
        x, memory = _stepped(state, gradient, onward)
        output = x if ending == onward else _stepped(state, gradient, ending)[0]
        return State(x, output, memory, state.k + 1, state.L)

    def _require(self, n: int) -> None:
        if n < 1:
            raise InvalidInput(f"{self.name}: {n} steps are asked for; take at least 1")
        if self.length is not None and n > self.length:
            raise InvalidInput(f"{self.name} has {self.length} steps, {n} are asked for; make it for {n} steps")


@dataclass(frozen=True, eq=False)
class Schedule(Method):
    """Gradient descent with the steps `steps` (N,), float64, in units of 1/L: x_{k+1} = x_k - (steps[k]/L) g(x_k).

    A `cyclic` schedule is a pattern that is repeated for as long as one runs. Raises `InvalidInput` where the steps
    are not a row of finite numbers.

    >>> Schedule("pattern", np.array([1.5, 4.9, 1.5]), cyclic=True).take(5).tolist()
    [1.5, 4.9, 1.5, 1.5, 4.9]
    """

    steps: np.ndarray
    cyclic: bool = field(default=False, kw_only=True)

    def __post_init__(self):
        steps = np.array(self.steps, dtype=np.float64)
        if steps.ndim != 1 or not len(steps) or not np.isfinite(steps).all():
            raise InvalidInput(f"{self.name}: steps {self.steps!r:.80}; expected at least one finite number in a row")
        steps.flags.writeable = False
        object.__setattr__(self, "steps", steps)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def length(self) -> int | None:
        """How many steps there are; None for a cyclic schedule."""
        return None if self.cyclic else len(self.steps)

    def take(self, n: int) -> np.ndarray:
        """Give the first n steps (n,). Raises `InvalidInput` where the schedule ends before."""
        self._require(n)
        return np.resize(self.steps, n) if self.cyclic else self.steps[:n].copy()

    def coefficients(self, k: int) -> Coefficients:
        """Give step k, without momentum."""
        return Coefficients(float(self.steps[k % len(self.steps)]))

    def matrix(self, n: int) -> np.ndarray:
        """Give H (n, n) with H[k, j] = steps[j] for j <= k."""
        return np.tril(np.broadcast_to(self.take(n), (n, n)))

    def plot(self) -> Figure:
        """Draw the steps against their number, with 2/L, beyond which a step alone need not descend.

        >>> Schedule("pattern", np.array([1.5, 4.9, 1.5]), cyclic=True).plot().panels[0].y.label
        'step'
        """
        steps = Series(label=self.name, x=np.arange(1, len(self) + 1), y=self.steps, style="points")
        limit = Reference(label="2/L", value=2.0, role="theory")
        y = Axis(label="step", unit="1/L", log=bool(self.steps.min() > 0))
        panel = Panel(x=Axis(label="number of the step"), y=y, series=[steps], references=[limit])
        repeated = ", repeated without end" if self.cyclic else ""
        largest = f"the largest {self.steps.max():.4g}"
        caption = f"{len(self)} steps{repeated}; their average is {self.steps.mean():.4g}, {largest}."
        return Figure(name="schedule", title=self.name, caption=caption, panels=[panel])


def _stepped(state: State[V], gradient: V, numbers: Coefficients) -> tuple[V, V | None]:
    step, decay, intake = numbers
    if decay == intake == 0:
        return state.x - (step / state.L) * gradient, None
    memory: Any = -(intake / state.L) * gradient
    if state.memory is not None:
        memory = memory + decay * state.memory
    x = state.x + memory
    return (x - (step / state.L) * gradient if step else x), memory
