"""Exact worst cases of accelerated long steps, of the objective gap and the squared gradient norm; composed schedules.

Steps are points - 1. Worst cases are semidefinite programs whose bounds are proven in exact arithmetic
(`lemmata.descent.worst_case`); schedules too long for that are run on the two functions of one variable that attain it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from lemmata import descent
from lemmata.descent import Schedule, problems, schedules
from lemmata.estimate import NotConverged
from lemmata.studies._altschuler_parrilo_2023_worst import exact as silver_exact
from lemmata.study import Config, Measurements

# worst cases, to the digits known, of the steps found by branch and bound: Das Gupta, Van Parys and Ryu (2024)
BRANCH_AND_BOUND = {6: 0.0200983, 15: 0.0065921, 25: 0.0034757, 50: 0.0015414}


class LongSteps(Config):
    """A schedule of points - 1 steps, and what is asked of it: the gap from a distance, or the gradient from a gap."""

    schedule: Literal["gap", "gradient", "silver", "constant"] = "gap"
    points: int = Field(default=16, ge=4, description="steps + 1, a power of two")
    of: Literal["gap", "gradient"] = "gap"
    last: float = Field(default=1.0, gt=0, description="what the last step is multiplied with")
    stop: Literal["at the end", "after the longest", "before the longest"] = "at the end"


class Composed(Config):
    """A schedule of `steps` composed of shorter ones."""

    schedule: Literal["dominant", "primitive", "constant"] = "dominant"
    steps: int = Field(default=15, ge=1)
    last: float = Field(default=1.0, gt=0, description="what the last step is multiplied with")


def steps_of(config: LongSteps) -> np.ndarray:
    """The steps of a configuration, as far as it goes."""
    n, k = config.points - 1, config.points.bit_length() - 1
    if config.schedule == "constant":
        steps = np.ones(n)
    elif config.schedule == "silver":
        steps = schedules.silver(n).steps.copy()
    else:
        steps = schedules.accelerated_long_steps(k, of=config.schedule).steps.copy()
    steps[-1] *= config.last
    longest = n // 2  # in the middle of the gap's schedule and of the silver one
    return steps[: {"at the end": n, "after the longest": longest + 1, "before the longest": longest}[config.stop]]


def worst_cases(configs: Sequence[LongSteps]) -> list[Measurements]:
    """One semidefinite program for each different configuration; nothing is random."""
    first = configs[0]
    found = _worst(first, steps_of(first))
    return [found] * len(configs)


def _worst(config: LongSteps, steps: np.ndarray) -> Measurements:
    gap = config.of == "gap"
    try:
        case = descent.worst_case(steps, of=config.of, given="distance" if gap else "gap")
    except NotConverged:
        return Measurements(status="diverged")
    value, total = float(case.bound), float(steps.sum())
    found = Measurements.of(
        worst=value,
        known_to=case.gap,
        off_exact=abs(value * 2 * (2 * total + 1) - 1) if gap else abs(value * (2 * total + 1) / 2 - 1),
        over_constant=value * (4 * len(steps) + 2) if gap else value * (2 * len(steps) + 1) / 2,
    )
    return _with(found, over_silver=value / silver_exact(config.points)) if gap else found


def composed(configs: Sequence[Composed]) -> list[Measurements]:
    """Run each schedule on the Huber function that is worst for it and on the quadratic; nothing is random."""
    known = {config.steps: config for config in configs}
    found = {steps: _composed(config) for steps, config in known.items()}
    return [found[config.steps] for config in configs]


def _composed(config: Composed) -> Measurements:
    make = {"dominant": schedules.dominant, "primitive": schedules.primitive, "constant": schedules.constant}
    steps = make[config.schedule](config.steps).steps.copy()
    steps[-1] *= config.last
    method, start = Schedule("steps", steps), torch.ones(1)
    huber, bowl = (
        float(descent.run(method, function.at(start)).gap[0, -1])
        for function in (problems.huber(steps), problems.quadratic([1.0]))
    )
    worst = max(huber, bowl)
    found = Measurements.of(
        worst=worst,
        apart=abs(huber - bowl) / worst,
        over_constant=worst * (4 * config.steps + 2),
    )
    published = BRANCH_AND_BOUND.get(config.steps)
    return _with(found, over_branch_and_bound=worst / published) if published else found


def _with(found: Measurements, **more: float) -> Measurements:
    return replace(found, scalars={**found.scalars, **more})
