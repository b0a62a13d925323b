"""Exact worst cases of silver, constant and shuffled steps, and what they do on the two functions of one variable.

Steps are n = points - 1, so that silver schedules are whole where `points` is a power of two. A worst case is the value
of a semidefinite program with a bound proven in exact arithmetic (`lemmata.descent.worst_case`).
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from lemmata import descent
from lemmata.descent import Schedule, problems, schedules
from lemmata.estimate import NotConverged
from lemmata.study import Config, Measurements

RHO = 1 + math.sqrt(2)
EXPONENT = math.log2(RHO)


class Steps(Config):
    """A schedule of points - 1 steps: the silver ones, as many of length one, or the silver ones in random order."""

    points: int = Field(default=16, ge=2, description="steps + 1")
    order: Literal["silver", "constant", "shuffled"] = "silver"
    scale: float = Field(default=1.0, gt=0, description="what every step is multiplied with")


class OnFunction(Steps):
    """The same on one function of one variable with L = 1, from distance one."""

    function: Literal["huber", "quadratic"] = "huber"
    threshold: float = Field(default=1.0, gt=0, description="of the Huber function, over that of the worst one")


def steps_of(config: Steps) -> np.ndarray:
    """The steps (n,) of a configuration; only the shuffled ones depend on its seed."""
    n = config.points - 1
    if config.order == "constant":
        return config.scale * np.ones(n)
    silver = config.scale * schedules.silver(n).steps
    return np.random.default_rng(config.seed).permutation(silver) if config.order == "shuffled" else silver


def theorem(points: int) -> float:
    """Theorem 1.1: f_n - f* <= L D^2 / (1 + sqrt(4 rho^(2k) - 3)) for n + 1 = 2^k, in units of L D^2.

    >>> round(theorem(32), 5)
    0.00606
    """
    return 1 / (1 + math.sqrt(4 * RHO ** (2 * math.log2(points)) - 3))


def exact(points: int) -> float:
    """The exact worst case of whole silver schedules, 1 / (2 (2 rho^k - 1)) (Grimmer, Shu and Wang, 2024).

    >>> round(exact(32), 6)
    0.003067
    """
    return 1 / (2 * (2 * RHO ** math.log2(points) - 1))


def worst_cases(configs: Sequence[Steps]) -> list[Measurements]:
    """One semidefinite program for each different row of steps."""
    known: dict[bytes, Measurements] = {}
    for config in configs:
        steps = steps_of(config)
        if steps.tobytes() not in known:
            known[steps.tobytes()] = _worst(steps, config.points)
    return [known[steps_of(config).tobytes()] for config in configs]


def _worst(steps: np.ndarray, points: int) -> Measurements:
    try:
        found = descent.worst_case(steps)
    except NotConverged:
        return Measurements(status="diverged")
    value = float(found.bound)
    return Measurements.of(
        worst=value,
        known_to=found.gap,
        over_theorem=value / theorem(points),
        off_exact=abs(value / exact(points) - 1),
        theorem_over_worst=theorem(points) / value,
    )


def on_functions(configs: Sequence[OnFunction]) -> list[Measurements]:
    """Run each schedule on its function; what seeds share is run once."""
    known: dict[tuple, Measurements] = {}
    for config in configs:
        key = (steps_of(config).tobytes(), config.function, config.threshold)
        if key not in known:
            known[key] = _run(config)
    return [known[steps_of(config).tobytes(), config.function, config.threshold] for config in configs]


def _run(config: OnFunction) -> Measurements:
    steps = steps_of(config)
    threshold = config.threshold / (2 * float(steps.sum()) + 1)
    function = problems.huber(threshold=threshold) if config.function == "huber" else problems.quadratic([1.0])
    gap = float(descent.run(Schedule("steps", steps), function.at(torch.ones(1))).gap[0, -1])
    return Measurements.of(
        gap=max(gap, 1e-300), off_exact=abs(gap / exact(config.points) - 1), over_theorem=gap / theorem(config.points)
    )
