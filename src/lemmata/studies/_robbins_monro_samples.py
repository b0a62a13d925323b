"""Stochastic approximation against sample averages on linear regression: the runs of `robbins_monro`, second part.

x ~ N(0, H), y = x' theta* + z, z ~ N(0, 1). The same samples are seen once, one by one, by stochastic descent, and all
at once by least squares, so that the two are compared in pairs. A seed is the mean over many independent streams. Of
least squares the mean gap is known, p / (2 (n - p - 1)).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

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
    """Sums x x' and x y of the samples that a run sees, and solves least squares at the marks."""

    def __init__(self, problem: StochasticProblem, config: Samples, streams: int):
        self.problem, self.config, self.streams, self.k = problem, config, streams, 0
        self.XX = torch.zeros(streams, config.p, config.p, dtype=problem.dtype)
        self.Xy = torch.zeros(streams, config.p, dtype=problem.dtype)
        self.gaps: list[Tensor] = []

    def gradient(self, theta: Tensor, draws: Draws) -> Tensor:
        """The problem's own gradient, its samples noted."""
        self.k += 1
        x, y = (part[: self.streams, 0] for part in draws)
        self.XX += x[:, :, None] * x[:, None]
        self.Xy += x * y[:, None]
        if self.k in self.config.marks:
            normal = self.XX / self.k + self.config.ridge * torch.eye(self.config.p, dtype=x.dtype)
            solution = torch.linalg.solve(normal, self.Xy / self.k)
            assert self.problem.expected is not None
            self.gaps.append(self.problem.expected(solution))
        return self.problem.gradient(theta, draws)


def learn(configs: Sequence[Samples]) -> list[Measurements]:
    """Run all seeds at once: averaged and last iterates, and least squares, all on the same samples."""
    first, seeds = configs[0], [config.seed for config in configs]
    problem, streams = first.problem, len(configs) * first.draws
    least_squares = _LeastSquares(problem, first, streams)
    steps = {
        name: torch.tensor([getattr(rule, name) for rule in first.rules]).double().repeat_interleave(streams)
        for name in ("c", "k0", "power")
    }
    run = stochastic_approximation(
        replace(problem, gradient=least_squares.gradient),
        step=StepSizes(**steps),
        iterations=first.n,
        marks=first.marks,
        seed=seeds + seeds,
        each=first.draws,
        theory=False,
    )
    assert run.averaged_gap is not None
    assert run.gap is not None
    assert problem.minimum is not None
    gaps = {
        "averaged": run.averaged_gap[:streams],
        "iterate": run.gap[streams:],
        "least_squares": torch.stack(least_squares.gaps, 1) - problem.minimum,
    }
    means = {name: gap.unflatten(0, (len(configs), first.draws)).mean(1).numpy() for name, gap in gaps.items()}
    return [_measured(first, {name: mean[i] for name, mean in means.items()}) for i in range(len(configs))]


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
