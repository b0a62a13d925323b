"""Stochastic approximation: minimise E F(theta; xi) by steps along the gradients of single samples.

    theta_k = theta_{k-1} - mu_k grad F(theta_{k-1}; xi_k),      mu_k = c / (k + k0)^p

(Robbins and Monro, 1951), and the average of the iterates (Ruppert, 1988; Polyak and Juditsky, 1992); or momentum,
AdaGrad (Duchi, Hazan and Singer, 2011) and Adam (Kingma and Ba, 2015) by torch.optim. All repeats advance together.

Where theory knows more, the result says so: the bound of `mean_square_bound` at every step for plain steps on a problem
whose constants are known, and the exact moments on a quadratic. Cost: a gradient of `batch` samples a step and repeat.
Where it fails: c below 1 / (2 mu) slows the rate from k^-1 to k^(-2 c mu), far above it the first steps explode; a
constant step stops at a floor in proportion to it; high accuracy costs ten times the samples for each digit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.estimate import Estimate
from lemmata.figures import Axis, Figure, Panel, Series, mean_and_band
from lemmata.regression.stochastic.checks import check_counts, check_tensors, sorted_marks
from lemmata.regression.stochastic.moments import Moments, exact_moments
from lemmata.regression.stochastic.problem import Draws, Steps, StochasticProblem
from lemmata.regression.stochastic.rates import mean_square_bound
from lemmata.regression.stochastic.seeds import Seed, generators
from lemmata.regression.stochastic.step_sizes import StepSizes, as_steps

Rule = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
Walk = Callable[[int, Draws], None]  # takes the steps after k, in place, one for each of the draws (n, D, batch, ...)
TOGETHER = 2**24  # bytes of iterates that wait to be measured
RULES: dict[str, Rule] = {
    "momentum": lambda theta: torch.optim.SGD(theta, lr=0.0, momentum=0.9),
    "nesterov": lambda theta: torch.optim.SGD(theta, lr=0.0, momentum=0.9, nesterov=True),
    "adagrad": lambda theta: torch.optim.Adagrad(theta, lr=0.0),
    "adam": lambda theta: torch.optim.Adam(theta, lr=0.0),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class StochasticRun:
    """S independent runs, measured after the steps `marks` (T,).

    `theta` (S, p) are the last iterates, `averaged` (S, p) the averages. `distance` (S, T) is |theta - theta*|^2 and
    `gap` (S, T) f(theta) - f*, `averaged_distance` and `averaged_gap` the same of the averages; each is None where the
    problem does not know it, and infinite once a run has overflowed. `bound` (T,) is proven of the mean of `distance`,
    `moments` exact, where there are such. `seconds` (T,) is the processor time of all runs together, without the
    measurements, `cost` the gradients of single samples taken in each run.
    """

    problem: StochasticProblem
    method: str
    marks: np.ndarray
    batch: int
    theta: Tensor
    averaged: Tensor
    distance: Tensor | None
    gap: Tensor | None
    averaged_distance: Tensor | None
    averaged_gap: Tensor | None
    bound: np.ndarray | None
    moments: Moments | None
    seconds: np.ndarray
    cost: int

    @property
    def samples(self) -> np.ndarray:
        """The samples seen by each run at the marks (T,)."""
        return self.marks * self.batch

    def final(self, quantity: str = "gap") -> Estimate:
        """The mean over runs of a measured quantity after the last step, with its standard error.

        It has `converged=False` where a run has overflowed.
        """
        values = getattr(self, quantity, None)
        if values is None:
            raise InvalidInput(f"{quantity!r} was not measured on {self.problem.name!r}, whose minimum is not known")
        last = values[:, -1].double()
        error = float(last.std() / len(last) ** 0.5) if len(last) > 1 else 0.0
        finite = bool(last.isfinite().all()) and math.isfinite(error)
        return Estimate(float(last.mean()), stderr=error, n=len(last), converged=finite, cost=float(self.cost))

    def plot(self) -> Figure:
        """Draw distance and gap of iterates and averages against the steps, with bands, and what theory says."""
        panels = []
        for name, label in (("distance", "squared distance to the minimiser"), ("gap", "f - f*")):
            series = [
                _over_runs(of, self.marks, values)
                for of, values in (("iterate", getattr(self, name)), ("average", getattr(self, f"averaged_{name}")))
                if values is not None
            ]
            if self.moments is not None:
                exact = (("exact mean, iterate", name), ("exact mean, average", f"averaged_{name}"))
                series += [_theory(of, self.marks, getattr(self.moments, quantity)) for of, quantity in exact]
            if name == "distance" and self.bound is not None:
                series.append(_theory("proven bound, iterate", self.marks, self.bound))
            if series:
                axis = Axis(label="step", log=True)
                panels.append(Panel(x=axis, y=Axis(label=label, log=True), series=series))
        caption = f"{self.method} on {self.problem.name}: {len(self.theta)} runs, batches of {self.batch}; 95 % bands."
        return Figure(name="stochastic-approximation", title="Stochastic approximation", caption=caption, panels=panels)


def stochastic_approximation(
    problem: StochasticProblem,
    start: Tensor | None = None,
    *,
    step: float | StepSizes,
    iterations: int,
    method: str | Rule = "sgd",
    batch: int = 1,
    average_from: int = 0,
    repeats: int = 20,
    seed: Seed = 0,
    each: int = 1,
    marks: Sequence[int] | None = None,
    theory: bool = True,
    memory: int = 2**26,
) -> StochasticRun:
    """Run `repeats` independent runs together, from `start` (p,) or (S, p), zero by default.

    `step` is a number or `StepSizes`; of plain steps (``method="sgd"``) it may hold one number a repeat.
    ``"momentum"``, ``"nesterov"`` (both 0.9), ``"adagrad"``, ``"adam"``, or a function from a list of parameters to a
    torch optimiser, whose ``lr`` is set to the step size. Averages are those of the iterates after step `average_from`.
    `seed` is one number, a generator, or one number for each repeat, in which case a run does not depend on its
    company; every seed serves `each` repeats in a row, and repeats of one seed share their draws. `marks` are the steps
    measured, by default 60 evenly spread on a log scale. `memory` bytes bound the samples drawn ahead.

    Raises `InvalidInput` for settings that make no run; a run that overflows goes on and has infinite distances.

    >>> from lemmata.regression.stochastic import noisy_quadratic
    >>> problem = noisy_quadratic(torch.tensor([1.0, 2.0]).double(), 1.0)
    >>> run = stochastic_approximation(problem, torch.ones(2), step=StepSizes(1.0, 1), iterations=500)
    >>> run.theta.shape, bool(run.final("distance").value < 3 * run.bound[-1])
    (torch.Size([20, 2]), True)
    """
    steps = as_steps(step)
    _check(iterations, batch, average_from, each)
    source = _Source(problem, seed, repeats, each)
    theta = _started(problem, start, source.repeats)
    recorder = _Recorder(problem, _marks(marks, iterations), average_from)
    walk = _walk(source, theta, recorder.total(theta), steps, method)
    begun = recorder.see(0, theta)
    with torch.no_grad():
        for done, draws in source.ahead(iterations, batch, memory):
            if not done:
                begun += _seconds(walk, 0, tuple(part[:0] for part in draws))  # what compiling takes
            for k, to in recorder.pieces(done, len(draws[0])):
                walk(k, tuple(part[k - done : to - done] for part in draws))
                begun = recorder.see(to, theta, begun)
    scalar = all(torch.as_tensor(part).ndim == 0 for part in (steps.c, steps.k0, steps.power))
    known = theory and method == "sgd" and scalar and theta.ndim == 2 and (start is None or start.ndim == 1)
    origin = theta.new_zeros(problem.size) if start is None else start
    exact = known and problem.name in ("noisy quadratic", "linear regression") and average_from == 0
    bounded = known and problem.mu > 0 and np.isfinite([problem.L_each, problem.noise]).all()
    at = recorder.marks.tolist()
    return StochasticRun(
        problem=problem,
        method=method if isinstance(method, str) else getattr(method, "__name__", "torch optimiser"),
        batch=batch,
        theta=theta.detach().clone(),
        cost=iterations * batch,
        bound=mean_square_bound(problem, origin, steps, marks=at, batch=batch) if bounded else None,
        moments=exact_moments(problem, origin, steps, marks=at, batch=batch) if exact else None,
        **recorder.measured(),
    )


def _seconds(walk: Walk, k: int, draws: Draws) -> float:
    start = time.process_time()
    walk(k, draws)
    return time.process_time() - start


def _walk(source: _Source, theta: Tensor, total: Tensor, steps: StepSizes, method: str | Rule) -> Walk:
    """The steps of a method from `theta`; `total` sums the iterates."""
    plain_steps = source.problem.plain_steps
    if method == "sgd":
        _check_number(steps, len(theta))
        if plain_steps is not None and theta.device.type == "cpu" and theta.dtype in {torch.float32, torch.float64}:
            return _compiled(plain_steps, source, theta, total, steps)
    update = _plain(theta, steps) if method == "sgd" else _by_torch(theta, steps, method)

    def walk(k: int, draws: Draws) -> None:
        for i in range(len(draws[0])):
            update(k + i + 1, source.problem.gradient(theta, source.rows(draws, i)))
            total.add_(theta)

    return walk


def _compiled(plain_steps: Steps, source: _Source, theta: Tensor, total: Tensor, steps: StepSizes) -> Walk:
    each = [torch.as_tensor(part, dtype=torch.float64).cpu().expand(len(theta)) for part in vars(steps).values()]
    rules, place = torch.stack(each, 1).unique(dim=0, return_inverse=True)  # many runs have few rules
    c, k0, power = rules.numpy().T
    points, sums, stream, rule = theta.numpy(), total.numpy(), source.stream.numpy(), place.numpy()

    def walk(k: int, draws: Draws) -> None:
        given = tuple(part.numpy() for part in draws)
        sizes = c / (np.arange(k + 1.0, k + 1.0 + len(given[0]))[:, None] + k0) ** power
        plain_steps(points, sums, given, stream, sizes.astype(points.dtype), rule)

    return walk


def _plain(theta: Tensor, steps: StepSizes) -> Callable[[int, Tensor], None]:
    def update(k: int, gradient: Tensor) -> None:
        size = steps(k)
        if isinstance(size, Tensor):
            theta.addcmul_(gradient, size.to(theta)[..., None], value=-1)
        else:
            theta.add_(gradient, alpha=-size)

    return update


def _check_number(steps: StepSizes, repeats: int) -> None:
    if any(isinstance(part, Tensor) and part.ndim and len(part) != repeats for part in vars(steps).values()):
        raise InvalidInput(f"step sizes for another number of repeats than {repeats}; give one number for each")


def _by_torch(theta: Tensor, steps: StepSizes, method: str | Rule) -> Callable[[int, Tensor], None]:
    if isinstance(method, str) and method not in RULES:
        raise UnknownName("method", method, ["sgd", *RULES])
    if any(isinstance(part, Tensor) and part.ndim for part in vars(steps).values()):
        raise InvalidInput("torch optimisers have one step size for all repeats; give numbers, or take method='sgd'")
    leaf = nn.Parameter(theta)  # shares its memory
    optimiser = (RULES[method] if isinstance(method, str) else method)([leaf])

    def update(k: int, gradient: Tensor) -> None:
        for group in optimiser.param_groups:
            group["lr"] = float(steps(k))
        leaf.grad = gradient
        optimiser.step()

    return update


class _Source:
    """The samples of all repeats, from a generator for each different seed; a seed serves `each` repeats in a row."""

    def __init__(self, problem: StochasticProblem, seed: Seed, repeats: int, each: int):
        self.problem, self.each = problem, each
        named = isinstance(seed, Sequence)
        different = list(dict.fromkeys(seed)) if named else seed
        self.generators = generators(different, repeats)
        place = {one: i for i, one in enumerate(different)} if isinstance(different, list) else {}
        self.order = [place[one] for one in seed] if named else list(range(len(self.generators)))
        self.repeats = len(self.order) * each

        streams = torch.tensor(self.order)[:, None] * each + torch.arange(each)
        self.stream = streams.flatten()  # the stream that each repeat sees
        self.shared = len(self.order) > len(self.generators)

    def ahead(self, iterations: int, batch: int, memory: int) -> Iterator[tuple[int, Draws]]:
        """The number of steps done, and the draws of the next ones, (n, D, batch, ...) for D streams."""
        size = 8 * (self.problem.size + 1)  # of a sample, at most
        chunk = max(1, min(iterations, memory // (2 * size * batch * self.repeats), 4096))
        for done in range(0, iterations, chunk):
            steps = min(chunk, iterations - done)
            drawn = [self.problem.draw(steps * self.each * batch, generator) for generator in self.generators]
            columns = zip(*drawn, strict=True)
            yield done, tuple(torch.cat([p.unflatten(0, (steps, self.each, batch)) for p in c], 1) for c in columns)

    def rows(self, draws: Draws, i: int) -> Draws:
        """The draws of one step, (S, batch, ...)."""
        stream = self.stream.to(draws[0].device)
        return tuple(part[i][stream] if self.shared else part[i] for part in draws)


class _Recorder:
    """Sums the iterates, and measures iterates and averages at the marks; that takes no part of the runs' time."""

    def __init__(self, problem: StochasticProblem, marks: np.ndarray, average_from: int):
        self.problem, self.marks, self.average_from = problem, marks, average_from
        self.wanted, self.spent = set(marks.tolist()), 0.0
        self.sum, self.average = torch.zeros(()), torch.zeros(())
        self.points: list[Tensor] = []  # iterate and average (2, S, p) at each mark that is not measured yet
        self.rows: list[tuple[Tensor | None, ...]] = []
        self.times: list[float] = []

    def total(self, theta: Tensor) -> Tensor:
        """Zeros, to which the walk adds each iterate."""
        self.sum = torch.zeros_like(theta)
        return self.sum

    def pieces(self, done: int, count: int) -> Iterator[tuple[int, int]]:
        """The next `count` steps, cut where iterates are to be seen."""
        stops = {k for k in (*self.wanted, self.average_from) if done < k < done + count}
        return pairwise([done, *sorted(stops), done + count])

    def see(self, k: int, theta: Tensor, begun: float = 0.0) -> float:
        if k == self.average_from:
            self.sum.zero_()
        if k not in self.wanted:
            return begun if k else time.process_time()
        self.spent += time.process_time() - begun if k else 0.0
        count = k - self.average_from
        self.average = self.sum / count if count > 0 else theta.clone()
        self.times.append(self.spent)
        self.points.append(torch.stack([theta, self.average]))
        if len(self.points) * self.points[0].nbytes > TOGETHER:
            self._measure()
        return time.process_time()

    def _measure(self) -> None:
        """Measure what waits: many points at once, and not between two steps, whose data it would drive from caches."""
        errors = [[None] * len(self.points) if e is None else e for e in self._errors(torch.stack(self.points))]
        self.rows += [
            tuple(None if part is None else part[which] for which in (0, 1) for part in parts)
            for parts in zip(*errors, strict=True)
        ]
        self.points.clear()

    def _errors(self, theta: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Squared distance and gap of points (..., p), where they are known."""
        problem, distance, gap = self.problem, None, None
        if problem.minimiser is not None:
            distance = (theta - problem.minimiser).square().sum(-1).nan_to_num(nan=torch.inf, posinf=torch.inf)
        if problem.expected is not None and problem.minimum is not None:
            gap = (problem.expected(theta) - problem.minimum).nan_to_num(nan=torch.inf, posinf=torch.inf)
        return distance, gap

    def measured(self) -> dict:
        if self.points:
            self._measure()
        names = ("distance", "gap", "averaged_distance", "averaged_gap")
        columns = {
            name: None if column[0] is None else torch.stack([part for part in column if part is not None], 1)
            for name, column in zip(names, zip(*self.rows, strict=True), strict=True)
        }
        return {**columns, "averaged": self.average, "marks": self.marks, "seconds": np.array(self.times)}


def _started(problem: StochasticProblem, start: Tensor | None, repeats: int) -> Tensor:
    theta = torch.zeros(problem.size, dtype=problem.dtype, device=problem.device) if start is None else start
    check_tensors(start=theta)
    if theta.shape not in ((problem.size,), (repeats, problem.size)) or not theta.isfinite().all():
        wanted = f"({problem.size},) or ({repeats}, {problem.size})"
        raise InvalidInput(f"start of shape {tuple(theta.shape)}; expected {wanted}, finite")
    return theta.to(problem.device, problem.dtype).detach().expand(repeats, -1).clone()


def _marks(marks: Sequence[int] | None, iterations: int) -> np.ndarray:
    spread = np.unique(np.geomspace(1, iterations, 60).round().astype(int)) if marks is None else sorted_marks(marks)
    if spread[0] < 0 or spread[-1] > iterations:
        raise InvalidInput(f"marks from {spread[0]} to {spread[-1]}; they must lie between 0 and {iterations}")
    return np.union1d(spread, [iterations]).astype(int)


def _check(iterations: int, batch: int, average_from: int, each: int) -> None:
    check_counts(batch=batch, each=each, iterations=iterations)
    check_counts(0, average_from=average_from)
    if average_from >= iterations:
        raise InvalidInput(f"average_from = {average_from}; it must lie between 0 and {iterations - 1}")


def _over_runs(label: str, marks: np.ndarray, values: Tensor) -> Series:
    runs, shown = values.double().cpu().numpy(), marks > 0
    mean, low, high = mean_and_band(runs[:, shown])
    low = np.maximum(low, mean / 100)  # an interval by t may reach below zero, where a log axis has no place
    return Series(label=label, x=marks[shown], y=mean, low=low, high=high)


def _theory(label: str, marks: np.ndarray, values: np.ndarray) -> Series:
    return Series(label=label, x=marks[marks > 0], y=values[marks > 0], role="theory")
