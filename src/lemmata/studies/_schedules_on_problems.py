"""Schedules and momentum on regressions of digits: gap and gradient norm at each step, beside what is proven of them.

The problems of a seed are a draw of digits, pooled to 14x14, and a random start of length one. Methods of a block run
together. `assumed` is what L is taken to be, in units of what is proven of it: below 1 every step is too long.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from lemmata import data, descent
from lemmata.data.preprocessing import mean_pool
from lemmata.descent import Method, problems, schedules
from lemmata.study import Config, Curve, Measurements

MethodName = Literal[
    "constant", "silver", "dominant", "gradient-dominant", "accelerated gap", "accelerated gradient", "nesterov"
]


class Regression(Config):
    """One method on one regression."""

    problem: Literal["logistic", "softmax", "least-squares"] = "logistic"
    method: MethodName = "silver"
    steps: int = Field(default=127, ge=1, description="for some methods 2^k - 1")
    examples: int = Field(default=1000, ge=10)
    ridge: float = Field(default=1e-3, gt=0)
    assumed: float = Field(default=1.0, gt=0, description="the L of the steps over the proven L")


def on_problems(configs: Sequence[Regression]) -> list[Measurements]:
    """Run the methods of a block on the problem of each seed."""
    found: dict[tuple[int, str], Measurements] = {}
    names: list[MethodName] = sorted({config.method for config in configs})
    for seed in sorted({config.seed for config in configs}):
        own = regression(configs[0], seed)
        methods = {name: method(name, configs[0].steps) for name in names}
        rates = descent.compare(list(methods.values()), own, configs[0].steps, exact="none")
        found |= {(seed, name): _measured(rate) for name, rate in zip(methods, rates, strict=True)}
    return [found[config.seed, config.method] for config in configs]


def regression(config: Regression, seed: int) -> descent.Problem:
    """The problem of a seed: its digits, and a start in a random direction."""
    digits = data.load("mnist-5k").split(config.examples, 1, seed=seed)
    x = mean_pool(digits.x, 2).flatten(1).double()
    if config.problem == "least-squares":
        own = problems.least_squares(x, torch.where(digits.y < 5, 1.0, -1.0).double(), config.ridge)
    elif config.problem == "softmax":
        own = problems.softmax(x, digits.y, config.ridge)
    else:
        own = problems.logistic(x, digits.y < 5, config.ridge)
    start = torch.randn(own.d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return replace(own.at(start / start.norm()), L=config.assumed * own.L)


def method(name: MethodName, steps: int) -> Method:
    """The method of a name, for this many steps."""
    k = (steps + 1).bit_length() - 1
    return {
        "constant": schedules.constant,
        "silver": lambda: schedules.silver(steps),
        "dominant": lambda: schedules.dominant(steps),
        "gradient-dominant": lambda: schedules.gradient_dominant(steps),
        "accelerated gap": lambda: schedules.accelerated_long_steps(k),
        "accelerated gradient": lambda: schedules.accelerated_long_steps(k, of="gradient"),
        "nesterov": schedules.nesterov,
    }[name]()


def _measured(rate: descent.Rate) -> Measurements:
    """What is left after the last step, and the largest share of a proven bound that any step takes up."""
    run = rate.run
    if not np.isfinite(run.value).all():
        return Measurements.of(largest_share=np.inf, at_the_end=np.inf, log_gap=np.inf, log_gradient=np.inf)
    share = rate.measured[0, 1:] / rate.bound[0, 1:]
    steps = np.arange(run.n + 1.0)
    proven = np.isfinite(rate.bound[0])
    return Measurements.of(
        largest_share=float(share.max()),
        at_the_end=float(share[-1]),
        log_gap=float(np.log10(max(run.gap[0, -1], 1e-300))),
        log_gradient=float(np.log10(run.gradient_norm[0, -1] ** 2)),
        gap=Curve(steps, np.maximum(run.gap[0], 1e-300)),
        gradient=Curve(steps, run.gradient_norm[0] ** 2),
        bound=Curve(steps[proven], rate.bound[0, proven]),
    )
