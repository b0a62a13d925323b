"""Stochastic descent on a quadratic with additive noise: the runs behind the rates of `robbins_monro`.

f(theta) = theta' H theta / 2 in p dimensions, the eigenvalues of H geometrically from mu to 4 mu, gradients with
independent standard normal noise in every coordinate; the start lies at distance 1 along the flattest direction. A seed
is the mean of many independent runs, so that a power law in the mean is seen. Exact moments are known and drawn.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field

from lemmata.regression.stochastic import (
    Moments,
    StepSizes,
    StochasticProblem,
    exact_moments,
    limit_covariance,
    limit_gap,
    noisy_quadratic,
    stochastic_approximation,
)
from lemmata.study import Config, Curve, Measurements
from lemmata.study.kinds.scaling import exponent

SPREAD = 4.0  # the largest over the least eigenvalue
LATE = 0.1  # the share of the steps after which a power law is fitted
POINTS = 60


class Descent(Config):
    """One rule of step sizes c / (k + k0)^power on one quadratic."""

    mu: float = Field(default=1.0, gt=0, description="least eigenvalue of H")
    p: int = Field(default=5, ge=2)
    c: float = Field(default=1.0, gt=0)
    power: float = Field(default=1.0, ge=0)
    k0: float = Field(default=10.0, ge=0)
    average: bool = Field(default=False, description="measure the average of the iterates, not the last one")
    iterations: int = Field(default=10_000, ge=100)
    draws: int = Field(default=64, ge=1, description="independent runs that one seed averages")

    @property
    def problem(self) -> StochasticProblem:
        """The quadratic with its noise."""
        eigenvalues = torch.logspace(0, np.log10(SPREAD), self.p, dtype=torch.float64)
        return noisy_quadratic(self.mu * eigenvalues, 1.0)

    @property
    def start(self) -> torch.Tensor:
        """Distance 1 along the flattest direction."""
        return torch.eye(self.p, dtype=torch.float64)[0]

    @property
    def marks(self) -> list[int]:
        """Recorded steps, evenly spaced in their logarithm."""
        return np.unique(np.geomspace(1, self.iterations, POINTS).round().astype(int)).tolist()

    def exact(self) -> Moments:
        """The exact moments at the marks."""
        return exact_moments(self.problem, self.start, StepSizes(self.c, self.k0, self.power), marks=self.marks)


def descend(configs: Sequence[Descent]) -> list[Measurements]:
    """Run all members, each with its own step sizes, together; two that differ in what is measured share a run."""
    first, runs = configs[0], list(dict.fromkeys((c.c, c.k0, c.power, c.seed) for c in configs))
    rules = torch.tensor([rule for *rule, _ in runs], dtype=torch.float64).repeat_interleave(first.draws, 0)
    run = stochastic_approximation(
        first.problem, first.start, step=StepSizes(*rules.unbind(1)), iterations=first.iterations, marks=first.marks,
        seed=[seed for *_, seed in runs], each=first.draws, theory=False,
    )  # fmt: skip

    def means(*of: torch.Tensor | None) -> list[tuple[np.ndarray, ...]]:
        parts = (part.unflatten(0, (len(runs), first.draws)).mean(1).numpy() for part in of if part is not None)
        return list(zip(*parts, strict=True))

    last = dict(zip(runs, means(run.distance, run.gap, run.theta), strict=True))
    averaged = dict(zip(runs, means(run.averaged_distance, run.averaged_gap, run.averaged), strict=True))
    return [
        _measured(config, *(averaged if config.average else last)[config.c, config.k0, config.power, config.seed])
        for config in configs
    ]


def _measured(config: Descent, distance: np.ndarray, gap: np.ndarray, mean: np.ndarray) -> Measurements:
    """What the claims are about, of one seed."""
    marks = np.asarray(config.marks, dtype=float)
    late = marks >= LATE * config.iterations
    found: dict[str, Any] = {
        "exponent": exponent(marks[late], distance[late]),
        "late_gap": gap[late].mean(),
        "left": mean[0],
        "gap_over_optimal": marks[-1] * gap[-1] / limit_gap(config.problem),
        "distance": Curve(marks, distance),
        "gap": Curve(marks, gap),
    }
    if config.power == 1 and 2 * config.c * config.mu > 1:
        limit = float(limit_covariance(config.problem, config.c).trace())
        found["distance_over_limit"] = marks[-1] * distance[-1] / limit
    return Measurements.of(**found)
