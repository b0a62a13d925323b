"""Stochastic approximation against sample averages on linear regression: the runs of `robbins_monro`, second part.

x ~ N(0, H), y = x' theta* + z, z ~ N(0, 1). The same samples are seen once, one by one, by stochastic descent, and all
at once by least squares, so that the two are compared in pairs. A seed is the mean over many independent streams. Of
least squares the mean gap is known, p / (2 (n - p - 1)).
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Generator, Tensor

from lemmata.regression.stochastic import (
    Moments,
    StepSizes,
    StochasticProblem,
    exact_moments,
    limit_gap,
    linear_regression,
    stochastic_approximation,
)
from lemmata.regression.stochastic.problem import Draws
from lemmata.study import Config, Curve, Measurements
from lemmata.study.kinds.scaling import exponent

SPREAD = 4.0  # the largest over the least eigenvalue of H
POINTS = 13


class Samples(Config):
    """One stream of n samples."""

    n: int = Field(default=30_000, ge=600)
    p: int = Field(default=5, ge=2)
    ridge: float = Field(default=0.0, ge=0, description="of the sample problem only: a bias that n does not remove")
    c: float = Field(default=1.0, gt=0, description="the averaged iterate's steps are c / (k + k0)^power")
    power: float = Field(default=0.7, ge=0)
    k0: float = Field(default=50.0, ge=0)
    own_c: float = Field(default=1.0, gt=0.5, description="the last iterate's steps are own_c / (k + 20), mu being 1")
    draws: int = Field(default=32, ge=2, description="independent streams that one seed averages")

    @property
    def problem(self) -> StochasticProblem:
        """The stream of samples."""
        H = torch.logspace(0, np.log10(SPREAD), self.p, dtype=torch.float64)
        return linear_regression(H, torch.eye(self.p, dtype=torch.float64)[0])

    @property
    def marks(self) -> list[int]:
        """Numbers of samples at which all are measured."""
        return np.unique(np.geomspace(300, self.n, POINTS).round().astype(int)).tolist()

    def exact(self) -> Moments:
        """The exact moments of the averaged iterate's run."""
        return exact_moments(self.problem, torch.zeros(self.p), self.rules[0], marks=self.marks)

    @property
    def rules(self) -> tuple[StepSizes, StepSizes]:
        """The step sizes of the averaged iterate, and of the last one."""
        return StepSizes(self.c, self.k0, self.power), StepSizes(self.own_c, 20.0)


def limit_gap_ratio(c: float = 1.0) -> float:
    """The limit of the gap of the last iterate over that of least squares: the mean of (c h)^2 / (2 c h - 1).

    >>> round(limit_gap_ratio(), 2)
    1.49
    """
    problem = Samples().problem
    return limit_gap(problem, c) / limit_gap(problem)


class _LeastSquares:
    """Notes what a problem draws, and has the sums x x' and x y of each stream at the marks: `products`."""

    def __init__(self, problem: StochasticProblem, config: Samples):
        self.problem, self.config = problem, config
        self.products = dict[Generator, list[Tensor]]()  # of (x, y) with itself: (draws, p + 1, p + 1) for each mark
        self._running = dict[Generator, tuple[int, Tensor]]()

    def draw(self, n: int, generator: Generator) -> Draws:
        """The problem's own samples, those of the streams of a seed by turns."""
        x, y = self.problem.draw(n, generator)
        z, size = torch.cat([x, y[:, None]], 1).unflatten(0, (-1, self.config.draws)), self.config.p + 1
        k, total = self._running.get(generator, (0, torch.zeros(self.config.draws, size, size, dtype=z.dtype)))
        seen = self.products.setdefault(generator, [])
        stops = [mark for mark in self.config.marks if k < mark <= k + len(z)]
        for first, last in pairwise(sorted({k, *stops, k + len(z)})):
            part = z[first - k : last - k].transpose(0, 1)
            total = total + part.mT @ part
            seen += [total] if last in stops else []
        self._running[generator] = k + len(z), total
        return x, y

    def gaps(self, ridge: float) -> Tensor:
        """F - f* of the solution on the samples so far, of every stream (streams, T)."""
        p, marks = self.config.p, torch.tensor(self.config.marks)[:, None, None, None]
        products = torch.cat([torch.stack(each) for each in self.products.values()], 1) / marks
        normal = products[..., :p, :p] + ridge * torch.eye(p, dtype=products.dtype)
        assert self.problem.expected is not None
        assert self.problem.minimum is not None
        return (self.problem.expected(torch.linalg.solve(normal, products[..., :p, p])) - self.problem.minimum).mT


def learn(configs: Sequence[Samples]) -> list[Measurements]:
    """Run all members at once: averaged and last iterates, and least squares, all on the same samples of a seed."""
    first, seeds = configs[0], list(dict.fromkeys(config.seed for config in configs))
    problem = first.problem
    least_squares = _LeastSquares(problem, first)
    runs = list(dict.fromkeys((rule, config.seed) for config in configs for rule in config.rules))
    steps = {
        name: torch.tensor([getattr(rule, name) for rule, _ in runs]).double().repeat_interleave(first.draws)
        for name in ("c", "k0", "power")
    }
    run = stochastic_approximation(
        replace(problem, draw=least_squares.draw), step=StepSizes(**steps), iterations=first.n, marks=first.marks,
        seed=[seed for _, seed in runs], each=first.draws, theory=False,
    )  # fmt: skip
    assert run.averaged_gap is not None
    assert run.gap is not None
    averaged, last = (gap.unflatten(0, (len(runs), first.draws)).mean(1).numpy() for gap in (run.averaged_gap, run.gap))
    solved = {
        ridge: least_squares.gaps(ridge).unflatten(0, (len(seeds), first.draws)).mean(1).numpy()
        for ridge in {config.ridge for config in configs}
    }
    place = {one: i for i, one in enumerate(runs)}
    return [
        _measured(
            config,
            {
                "averaged": averaged[place[config.rules[0], config.seed]],
                "iterate": last[place[config.rules[1], config.seed]],
                "least_squares": solved[config.ridge][seeds.index(config.seed)],
            },
        )
        for config in configs
    ]


def _measured(config: Samples, gaps: dict[str, np.ndarray]) -> Measurements:
    n = np.asarray(config.marks, dtype=float)
    found: dict[str, Any] = {f"{name}_gap": Curve(n, gap) for name, gap in gaps.items()}
    return Measurements.of(
        exponent=exponent(n, gaps["least_squares"]),
        over_exact=gaps["least_squares"][-1] / (config.p / (2 * (n[-1] - config.p - 1))),
        averaged_over_least_squares=gaps["averaged"][-1] / gaps["least_squares"][-1],
        iterate_over_least_squares=gaps["iterate"][-1] / gaps["least_squares"][-1],
        **found,
    )
