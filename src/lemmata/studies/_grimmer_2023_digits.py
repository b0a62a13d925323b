"""The patterns on a real problem, in `grimmer-2023`: which of ten digits belong to a random half of them, by a line.

Logistic regression with a ridge; every seed draws its digits and its five positive classes. L is proven, f* known to
the last digits, and R, the radius of the level set, at most sqrt(2 (f_0 - f*) / mu): all that a guarantee wants.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from lemmata import data
from lemmata.descent import Method, Schedule, constant, grimmer, nesterov, problems
from lemmata.descent.problems import Problem
from lemmata.descent.rates import compare
from lemmata.study import Config, Curve, Measurements

NESTEROV, CONSTANT = 0, 1  # in the place of a pattern's length


class Digits(Config):
    """A method on a classification of digits into two random halves."""

    data: Literal["mnist-5k", "mnist"] = "mnist-5k"
    n: int = Field(default=500, ge=10, description="examples")
    ridge: float = Field(default=1e-3, gt=0)
    iterations: int = Field(default=1016, ge=127, description="steps; counted at the last end of a cycle")
    t: Literal[0, 1, 3, 7, 15, 31, 63, 127] = Field(
        default=3, description="steps of the pattern; 1: constant step 1/L; 0: Nesterov's method"
    )
    order: Literal["published", "longest first"] = Field(default="published", description="order of the steps")
    baseline: bool = Field(default=False, description="the constant step 1/L in the place of every method")

    def method(self) -> Method:
        """The method, with its guarantee, if what is run is what is proven."""
        if self.baseline or self.t == CONSTANT:
            return constant(self.iterations)
        if self.t == NESTEROV:
            return nesterov()
        pattern = grimmer(self.t)
        if self.order == "published":
            return pattern
        steps = np.sort(pattern.steps)[::-1].copy()
        return Schedule(f"{pattern.name}, longest first", steps, cyclic=True, guarantee=pattern.guarantee)

    @property
    def cycle(self) -> int:
        """After how many steps the guarantee speaks."""
        return max(self.t, 1)


def digits(configs: Sequence[Digits]) -> list[Measurements]:
    """Run all methods of a seed at once, and hold each against what is proven of it at the ends of its cycles."""
    result: dict[int, Measurements] = {}
    for seed in {config.seed for config in configs}:
        own = [k for k, config in enumerate(configs) if config.seed == seed]
        problem = of_seed(configs[own[0]])
        methods = {(method := configs[k].method()).name: method for k in own}
        rates = compare(list(methods.values()), problem, configs[0].iterations, exact="none")
        for k in own:
            rate = rates[configs[k].method().name]
            ends = np.arange(configs[k].cycle, rate.n + 1, configs[k].cycle)
            gap, bound, unit = rate.run.gap[0], rate.bound[0], problem.L * float(problem.D) ** 2
            shown = ends[np.unique(np.geomspace(1, len(ends), 40).astype(int)) - 1]
            result[k] = Measurements.of(
                log10_gap=float(np.log10(gap[ends[-1]])),
                over_bound=float((gap[ends] / bound[ends]).max()),
                highest=float(gap.max() / gap[0]),
                slack=float(bound[ends[-1]] / gap[ends[-1]]),
                gap=Curve(shown, gap[shown] / unit),
                bound=Curve(shown, bound[shown] / unit),
            )
    return [result[k] for k in range(len(configs))]


def of_seed(config: Digits) -> Problem:
    """The problem of a seed."""
    part = data.load(config.data).split(config.n, 1, seed=config.seed)
    positive = torch.randperm(10, generator=torch.Generator().manual_seed(config.seed))[:5]
    return problems.logistic(part.x.flatten(1).double(), torch.isin(part.y, positive), config.ridge)
