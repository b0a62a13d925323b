"""Softmax regression on MNIST digits by samples and by all of them: the runs of `robbins_monro`, third part.

f is the mean cross-entropy over n digits, pooled to 14x14, plus a ridge. Stochastic methods draw batches from the
digits with replacement; the deterministic ones see all of them at each evaluation. Each is followed along passes over
the data (gradients of single digits over n; a product with the Hessian counts two) and along processor time of one
thread, measurements left out. A seed draws the digits.
"""

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata import data
from lemmata.estimate import NotConverged
from lemmata.regression.minimise import minimise
from lemmata.regression.stochastic import StepSizes, StochasticProblem, finite_sum, stochastic_approximation
from lemmata.study import Config, Curve, Measurements

DETERMINISTIC = {"l-bfgs": "lbfgs", "newton-cg": "newton-cg"}
POINTS = 40
EPSILON = 1e-10  # of AdaGrad, as in torch.optim


class Digits(Config):
    """One method on one draw of the digits."""

    data: Literal["mnist-5k", "mnist"] = "mnist-5k"
    n: int = Field(default=2500, ge=50)
    pool: Literal[1, 2, 4] = Field(default=1, description="side of the squares of pixels that are averaged")
    ridge: float = Field(default=1e-2, gt=0)
    method: Literal["sgd", "adam", "adagrad", "adagrad of the slide", "l-bfgs", "newton-cg"] = "sgd"
    batch: int = Field(default=10, ge=1)
    passes: float = Field(default=6.0, gt=0, description="over the data, for stochastic methods")
    c: float = Field(default=0.003, gt=0, description="step size of Adam and AdaGrad; SGD has 1 / (L + mu k)")


class AdaGradOfTheSlide(torch.optim.Optimizer):
    """AdaGrad as the course's slide has it: squares of the iterate are summed, not of the gradient, and no root."""

    def __init__(self, parameters: list[torch.nn.Parameter]):
        super().__init__(parameters, {"lr": 0.0})

    @torch.no_grad()
    def step(self, closure=None):
        """Move each parameter by lr g / (eps + sum theta^2)."""
        for group in self.param_groups:
            for theta in group["params"]:
                total = self.state[theta].setdefault("total", torch.zeros_like(theta))
                total.add_(theta.square())
                theta.addcdiv_(theta.grad, total + EPSILON, value=-group["lr"])


def classify(configs: Sequence[Digits]) -> list[Measurements]:
    """Run the members one after the other: each has its own digits, and its own clock."""
    return [_measured(config) for config in configs]


@lru_cache(maxsize=32)
def _problem(name: str, n: int, pool: int, ridge: float, seed: int) -> StochasticProblem:
    """The problem of a seed, its minimum to a gradient of 1e-9."""
    whole = data.load(name, dtype=torch.float64)
    rows = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed))[:n]
    x = torch.nn.functional.avg_pool2d(whole.x[rows], pool).flatten(1) if pool > 1 else whole.x[rows].flatten(1)
    return finite_sum(x, whole.y[rows], loss="cross_entropy", ridge=ridge, intercept=True)


def _measured(config: Digits) -> Measurements:
    problem = _problem(config.data, config.n, config.pool, config.ridge, config.seed)
    solve = _deterministic if config.method in DETERMINISTIC else _stochastic
    passes, seconds, gaps = solve(config, problem)
    gaps = gaps / gaps[0]
    return Measurements.of(gap_by_passes=Curve(passes, gaps), gap_by_seconds=Curve(seconds, gaps), last_gap=gaps[-1])


def _deterministic(config: Digits, problem: StochasticProblem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Follow a minimiser on all the digits, iterate by iterate, from zero."""
    assert problem.minimum is not None
    start, times = torch.zeros(problem.size, dtype=torch.float64), [0.0]
    begun = time.process_time()
    try:
        found = minimise(
            problem.whole, start, method=DETERMINISTIC[config.method], tolerance=1e-6,
            callback=lambda point: times.append(time.process_time() - begun),
        )  # fmt: skip
    except NotConverged as stopped:
        found = stopped.best
    history = found.history
    kept = np.flatnonzero(np.diff(times, prepend=-1.0) > 0)
    return history.costs[kept], np.asarray(times)[kept], np.maximum(history.values - problem.minimum, 1e-16)[kept]


def _stochastic(config: Digits, problem: StochasticProblem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Follow a stochastic method from zero (the slide's rule from small weights, which it divides by)."""
    iterations = round(config.passes * config.n / config.batch)
    start: Tensor | None = None
    if config.method.startswith("adagrad"):
        draw = torch.Generator().manual_seed(config.seed)
        start = 0.01 * torch.randn(problem.size, generator=draw, dtype=torch.float64)
    rule = AdaGradOfTheSlide if config.method == "adagrad of the slide" else config.method
    plain = StepSizes(1 / problem.mu, problem.L / problem.mu)
    run = stochastic_approximation(
        problem,
        start,
        step=plain if config.method == "sgd" else config.c,
        iterations=iterations,
        method=rule,
        batch=config.batch,
        seed=[config.seed],
        marks=[0, *np.unique(np.geomspace(1, iterations, POINTS).round().astype(int))],
        theory=False,
    )
    assert run.gap is not None
    seconds = np.maximum.accumulate(run.seconds + 1e-9 * np.arange(len(run.seconds)))
    return run.samples / config.n, seconds, np.maximum(run.gap[0].numpy(), 1e-16)
