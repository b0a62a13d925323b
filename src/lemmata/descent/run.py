"""Methods run on a problem: the value and the gradient's norm after each step, for all methods and starts at once.

At each step the points of all methods are stacked, and the problem evaluates one batch: with data of n examples and d
variables, M methods from S starts cost two products of an (M S, d) matrix with the data, where one by one they would
read the data M S times. What is recorded at step k is the method's *output*, the point that its guarantee is about;
where that is not the point of the next gradient (Nesterov's method), it is evaluated beside it.

Cost: one gradient and one value a step and method, and both again for a method whose output is another point.
A run that leaves the range of floating point is recorded as infinite from there on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lemmata.descent.method import Method, State
from lemmata.descent.problems.problem import Problem
from lemmata.descent.schedules.length import whole
from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """A method from S starts, n steps: `value` and `gradient_norm` (S, n + 1) at the outputs, and the last `output`.

    `output` has the shape of the problem's `x0`. Numpy float64 whatever the problem computes in.
    """

    method: Method
    problem: Problem = field(repr=False)
    value: np.ndarray = field(repr=False)
    gradient_norm: np.ndarray = field(repr=False)
    output: Tensor = field(repr=False)

    @property
    def n(self) -> int:
        """The number of steps."""
        return self.value.shape[1] - 1

    @property
    def gap(self) -> np.ndarray:
        """f_k - f* (S, n + 1), with the upper end of f*'s bracket; the error is its width and the rounding of f."""
        return self.value - self.problem.minimum.high

    @property
    def rounding(self) -> float:
        """What a value can be off by for rounding: 64 units in the last place of the largest one."""
        finite = np.abs(self.value[np.isfinite(self.value)])
        return 64 * torch.finfo(self.problem.x0.dtype).eps * float(finite.max(initial=0.0))

    @property
    def cost(self) -> int:
        """Gradient evaluations by each start."""
        return self.n

    def plot(self) -> Figure:
        """Draw objective gap and gradient norm at each step, every start and their geometric mean."""
        steps = np.arange(self.n + 1)
        panels = []
        for label, values in (("objective gap f − f*", self.gap), ("gradient norm", self.gradient_norm)):
            drawn = np.maximum(values, 1e-300)
            mean = np.exp(np.log(drawn).mean(0))
            series = Series(label=self.method.name, x=steps, y=mean, seeds=drawn if len(drawn) > 1 else None)
            panels.append(Panel(x=Axis(label="step"), y=Axis(label=label, log=True), series=[series]))
        caption = f"{self.problem.name}, {len(self.value)} start(s), {self.n} steps; thick: geometric mean."
        return Figure(name="run", title=self.method.name, caption=caption, panels=panels)


def run(method: Method, problem: Problem, n: int | None = None) -> Run:
    """Run a method for n steps (its own length by default) from every start of the problem.

    Nothing is random. Raises `InvalidInput` for n < 1, beyond the method's length, or left open where it has no end.

    >>> from lemmata.descent import Schedule, problems
    >>> found = run(Schedule("two steps", [1.0, 1.5]), problems.quadratic([1.0, 0.5]))
    >>> found.gap.round(4).tolist()
    [[0.75, 0.0625, 0.0039]]
    """
    return run_all([method], problem, n)[0]


def run_all(methods: Sequence[Method], problem: Problem, n: int | None = None) -> list[Run]:
    """Run several methods together; one that is shorter than n stops at its length, if there are others."""
    if not methods:
        raise InvalidInput("no methods to run; give at least one")
    lengths = [_length(method, n, alone=len(methods) == 1) for method in methods]
    lanes = [_Lane(method, problem, length) for method, length in zip(methods, lengths, strict=True)]
    with torch.no_grad():
        for _ in range(max(lengths) + 1):
            running = [lane for lane in lanes if not lane.done]
            wanted = [point for lane in running for point in lane.points]
            points = torch.stack(wanted)
            values, gradients = problem.value_at(points), problem.gradient_at(points)
            place = 0
            for lane in running:
                end = place + len(lane.points)
                lane.take(values[place:end], gradients[place:end])
                place = end
    return [lane.recorded() for lane in lanes]


class _Lane:
    """One method under way from all starts."""

    def __init__(self, method: Method, problem: Problem, length: int):
        self.method, self.problem, self.length = method, problem, length
        self.states: list[State] = [method.start(start, L=problem.L) for start in self._groups()]
        self.values: list[Tensor] = []
        self.norms: list[Tensor] = []

    def _groups(self) -> list[Tensor]:
        """All starts at once, or one by one where the steps depend on the values met."""
        starts = self.problem.starts
        return list(starts[:, None]) if getattr(self.method, "adaptive", False) else [starts]

    @property
    def done(self) -> bool:
        return len(self.values) > self.length

    @property
    def points(self) -> list[Tensor]:
        """Where values and gradients are wanted, each (S, d): at x, and at the output if that is another point."""
        x, output = (torch.cat([getattr(state, name) for state in self.states]) for name in ("x", "output"))
        same = all(state.x is state.output for state in self.states)
        return [x] if same else [x, output]

    def take(self, values: Tensor, gradients: Tensor) -> None:
        self.values.append(values[-1])
        self.norms.append(gradients[-1].norm(dim=-1))
        if self.done:
            return
        sizes = [len(state.x) for state in self.states]
        parts = zip(self.states, values[0].split(sizes), gradients[0].split(sizes), strict=True)
        self.states = [self._advanced(state, value, gradient) for state, value, gradient in parts]

    def _advanced(self, state: State, value: Tensor, gradient: Tensor) -> State[Any]:
        return self.method.advance(state, gradient, float(value[0]) if len(value) == 1 else None)

    def recorded(self) -> Run:
        value, norm = (_finite(torch.stack(kept, 1)) for kept in (self.values, self.norms))
        output = torch.cat([state.output for state in self.states]).reshape(self.problem.x0.shape)
        return Run(method=self.method, problem=self.problem, value=value, gradient_norm=norm, output=output)


def _finite(values: Tensor) -> np.ndarray:
    """As float64, infinite wherever it is or was not a number."""
    found = values.double().cpu().numpy()
    lost = np.maximum.accumulate(~np.isfinite(found), axis=1)
    return np.where(lost, np.inf, found)


def _length(method: Method, n: int | None, *, alone: bool) -> int:
    if n is None:
        if method.length is None:
            raise InvalidInput(f"{method.name} has no end; say for how many steps it should run")
        return method.length
    n = whole(n)
    if method.length is not None and n > method.length:
        if alone:
            raise InvalidInput(f"{method.name} has {method.length} steps, {n} are asked for; make it for {n} steps")
        return method.length
    return n
