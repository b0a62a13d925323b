"""Sample average approximation: draw n samples once, minimise their mean, and bound how far that is from optimal.

    v_n = min over theta of (1/n) sum_i F(theta; xi_i)

The mean of v_n is at most f* and grows with n, and for a candidate theta^ the difference taken on one sample,

    G_n = (1/n) sum_i F(theta^; xi_i) - v_n >= 0,      E G_n >= f(theta^) - f*,

so that replications give a confidence bound of the optimality gap: mean G + t s / sqrt(M) (Mak, Morton and Wood, 1999,
Operations Research Letters 24, 47-56; Shapiro, Dentcheva and Ruszczynski, 2009, section 5.6). It needs nothing to be
known of f, and no convexity beyond that the sample problems are solved.

Each sample problem is solved in closed form where the problem has one, else by `minimise`. The gap of its solution is
O(1/n): n E(f - f*) -> tr(H^-1 S) / 2, the same as for averaged stochastic approximation after n samples. Cost: M + 1
deterministic minimisations, of n samples each. Where it fails: G is biased upwards, by about the same O(1/n), so that
the bound is no tighter than that; and non-convex sample problems may be left in a local minimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import t as student
from torch import Generator, Tensor

from lemmata.errors import InvalidInput
from lemmata.estimate import Estimate
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.regression.minimise import minimise
from lemmata.regression.stochastic.checks import check_counts, check_point
from lemmata.regression.stochastic.problem import Draws, StochasticProblem
from lemmata.regression.stochastic.rates import limit_gap
from lemmata.regression.stochastic.seeds import Seed, generators


@dataclass(frozen=True, eq=False, kw_only=True)
class SampleAverage:
    """M sample problems of n samples each, and a candidate judged by them.

    `solutions` (M, p) are their minimisers, `values` (M,) the minima v_n, `candidate_gaps` (M,) the G_n of `candidate`
    (p,). `gap` (M,) is f - f* of each solution, `distance` (M,) |theta - theta*|^2, `true_gap` that of the candidate;
    None where the problem does not know. `expected_gap` is the limit of E(f - f*), tr(H^-1 S) / (2 n). `cost` counts
    gradients of single samples.
    """

    problem: StochasticProblem
    n: int
    solutions: Tensor
    values: Tensor
    candidate: Tensor
    candidate_gaps: Tensor
    gap: Tensor | None
    distance: Tensor | None
    true_gap: float | None
    expected_gap: float | None
    cost: float

    @property
    def optimality_gap(self) -> Estimate:
        """The mean of G_n, an upwards biased estimate of f(candidate) - f*, with its standard error."""
        return self._mean(self.candidate_gaps)

    @property
    def optimal_value(self) -> Estimate:
        """The mean of v_n, a downwards biased estimate of f*, with its standard error."""
        return self._mean(self.values)

    def gap_bound(self, level: float = 0.95) -> float:
        """A bound that f(candidate) - f* keeps with this confidence, by Student's t over the replications."""
        found = self.optimality_gap
        return float(found.value + self._quantile(level) * found.stderr)

    def value_bound(self, level: float = 0.95) -> float:
        """A lower bound of f* with this confidence."""
        found = self.optimal_value
        return float(found.value - self._quantile(level) * found.stderr)

    def plot(self) -> Figure:
        """Draw the distribution of the G_n, with their mean, the confidence bound, and the truth where it is known."""
        gaps = self.candidate_gaps.double().cpu().sort().values.numpy()
        share = (np.arange(len(gaps)) + 0.5) / len(gaps)
        lines = [
            Reference(label="95 % bound of the gap", value=self.gap_bound(), axis="x", role="theory"),
        ]
        mean = float(self.optimality_gap.value)
        if self.true_gap is not None:
            lines.append(Reference(label="true gap", value=self.true_gap, axis="x", role="paper"))
        panel = Panel(
            x=Axis(label="f_n(candidate) - v_n, gap on a sample"),
            y=Axis(label="share of replications below", limits=(0, 1)),
            series=[
                Series(label="replications", x=gaps, y=share, style="points"),
                Series(label="mean", x=[mean, mean], y=[0, 1], role="control"),
            ],
            references=lines,
        )
        caption = f"{len(gaps)} sample problems of n = {self.n} on {self.problem.name}."
        return Figure(name="sample-average", title="Sample average approximation", caption=caption, panels=[panel])

    def _mean(self, values: Tensor) -> Estimate:
        m = len(values)
        return Estimate(float(values.mean()), stderr=float(values.std()) / m**0.5, n=m, cost=self.cost)

    def _quantile(self, level: float) -> float:
        if not 0 < level < 1:
            raise InvalidInput(f"confidence level {level} is not between 0 and 1; take 0.95, say")
        return float(student.ppf(level, len(self.values) - 1))


def sample_average_approximation(
    problem: StochasticProblem,
    n: int,
    *,
    candidate: Tensor | None = None,
    start: Tensor | None = None,
    replications: int = 20,
    method: str = "newton-cg",
    tolerance: float = 1e-8,
    seed: Seed = 0,
    memory: int = 2**27,
) -> SampleAverage:
    """Solve `replications` sample problems of n samples each, and judge a candidate by them.

    `candidate` (p,) is by default the solution of one more sample problem, independent of the others. `start` (p,),
    zero by default, `method` and `tolerance` are those of `minimise`, for problems without a closed form. `seed` is as
    in `stochastic_approximation`; of a sequence, the first is the candidate's where none is given. Raises
    `InvalidInput` for n < 1 or fewer than two replications, `NotConverged` where a sample problem is not solved.

    >>> from lemmata.regression.stochastic import linear_regression
    >>> problem = linear_regression(torch.ones(3).double(), torch.ones(3), noise=1.0)
    >>> found = sample_average_approximation(problem, 100)
    >>> found.true_gap < found.gap_bound(), found.value_bound() < problem.minimum
    (True, True)
    """
    check_counts(n=n)
    check_counts(2, replications=replications)
    seeds = generators(seed, replications + 1 if candidate is None else replications)
    origin = _given("start", start, problem)
    solved = _Solver(problem, origin, method, tolerance)
    if candidate is None:
        candidate = solved(_drawn(problem, n, seeds[:1]))[0]
        seeds = seeds[1:]
    chosen = _given("candidate", candidate, problem)
    together = max(1, memory // (8 * n * (problem.size + 2)))
    solutions, values, gaps = [], [], []
    for i in range(0, len(seeds), together):
        draws = _drawn(problem, n, seeds[i : i + together])
        solutions.append(solved(draws))
        values.append(problem.loss(solutions[-1], draws))
        gaps.append(problem.loss(chosen.expand_as(solutions[-1]), draws) - values[-1])
    theta = torch.cat(solutions)
    known = problem.expected is not None and problem.minimum is not None
    gap = problem.expected(torch.cat([theta, chosen[None]])) - problem.minimum if known else None  # type: ignore[misc]
    return SampleAverage(
        problem=problem,
        n=n,
        solutions=theta,
        values=torch.cat(values),
        candidate=chosen,
        candidate_gaps=torch.cat(gaps),
        gap=None if gap is None else gap[:-1],
        distance=None if problem.minimiser is None else (theta - problem.minimiser).square().sum(-1),
        true_gap=None if gap is None else float(gap[-1]),
        expected_gap=None if problem.covariance is None else limit_gap(problem) / n,
        cost=solved.cost * n,
    )


class _Solver:
    """Minimises the means over samples (M, n, ...), in closed form or one after the other; counts gradients."""

    def __init__(self, problem: StochasticProblem, start: Tensor, method: str, tolerance: float):
        self.problem, self.start, self.method, self.tolerance = problem, start, method, tolerance
        self.cost = 0.0

    def __call__(self, draws: Draws) -> Tensor:
        if self.problem.solve is not None:
            self.cost += len(draws[0])
            return self.problem.solve(draws)
        return torch.stack([self._one(tuple(part[i : i + 1] for part in draws)) for i in range(len(draws[0]))])

    def _one(self, draws: Draws) -> Tensor:
        function = _SampleMean(self.problem, draws)
        found = minimise(function, self.start, method=self.method, tolerance=self.tolerance)
        self.cost += found.cost
        assert isinstance(found.x, Tensor)
        return found.x


class _SampleMean:
    """The mean of F over one sample, with its derivatives."""

    def __init__(self, problem: StochasticProblem, draws: Draws):
        self.problem, self.draws = problem, draws

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        return self.problem.loss(theta[None], self.draws)[0], self.problem.gradient(theta[None], self.draws)[0]

    def hvp(self, v: Tensor, theta: Tensor) -> Tensor:
        pull = torch.func.vjp(lambda point: self.problem.gradient(point[None], self.draws)[0], theta)[1]
        return pull(v)[0]  # the Jacobian of a gradient is symmetric


def _drawn(problem: StochasticProblem, n: int, seeds: list[Generator]) -> Draws:
    """A sample of n for each seed: (M, n, ...)."""
    drawn = [problem.draw(n, generator) for generator in seeds]
    return tuple(torch.stack([one[i] for one in drawn]) for i in range(len(drawn[0])))


def _given(name: str, theta: Tensor | None, problem: StochasticProblem) -> Tensor:
    if theta is None:
        return torch.zeros(problem.size, dtype=problem.dtype, device=problem.device)
    check_point(name, theta, problem.size)
    return theta.to(problem.device, problem.dtype).detach()
