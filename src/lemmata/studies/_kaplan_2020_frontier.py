"""Compute-optimal students of `kaplan_2020`: the least loss at a budget C = N n, and the N that has it.

For N < n the bias is 0 and the loss has an exact mean over samples, (unseen + noise^2) (n - 1) / (n - N - 1) - noise^2.
With unseen = N^-b / b and n = C / N the least of N^-b / (1 - N^2 / C) is at

    N^2 / C = N / n = b / (b + 2),     loss of the order C^(-b/2),     N of the order C^(1/2),

for every alpha, if the labels have no noise. With noise the least of N^-b / b + noise^2 N^2 / C is at N of the
order C^(1 / (b + 2)), and the loss of the order C^(-b / (b + 2)).

All students of a seed see parts of one matrix, its first n rows and N columns. The place of the minimum is the vertex
of the parabola in log(N) through the least loss and its neighbours.
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from scipy.special import zeta

from lemmata.studies._conditional_risk import F64, ConditionalRisk
from lemmata.study import Config, Curve, Measurements


class Frontier(Config):
    """Students of all sizes at several budgets."""

    alpha: float = Field(default=1.5, gt=1, description="decay of the variances")
    b: float = Field(default=1.0, gt=0, description="source: decay of the signal, less 1")
    noise: float = Field(default=0.0, ge=0, description="standard deviation of the labels' noise")
    smallest: int = Field(default=10, ge=6, description="log2 of the smallest budget")
    largest: int = Field(default=16, ge=7, description="log2 of the largest budget")
    draws: int = Field(default=2, ge=1, description="matrices a seed")

    @property
    def budgets(self) -> np.ndarray:
        """C, powers of 2."""
        return 2.0 ** np.arange(self.smallest, self.largest + 1)

    def students(self, budget: float) -> list[tuple[int, int]]:
        """(N, n) with N n near the budget: N / n from 1/128 to 4, in steps of 2^(1/2)."""
        sizes = np.sqrt(budget * 2.0 ** np.arange(-7, 2.1, 0.5))
        return [(int(N), round(budget / N)) for N in sizes.round()]

    @property
    def variances(self) -> torch.Tensor:
        """Of as many features as the largest student has."""
        most = max(N for N, _ in self.students(self.budgets[-1]))
        return torch.arange(1, most + 1, dtype=F64) ** -self.alpha


def best_ratio(b: float) -> float:
    """N / n of the optimal student without noise.

    >>> round(best_ratio(1.0), 4)
    0.3333
    """
    return b / (b + 2)


def size_with_noise(budget: np.ndarray, b: float, noise: float) -> np.ndarray:
    """The N of the least N^-b / b + noise^2 N^2 / C, for a budget C.

    >>> float(size_with_noise(np.array([2.0]), 1.0, 1.0)[0])
    1.0
    """
    return (budget / (2 * noise**2)) ** (1 / (b + 2))


def measure_frontiers(configs: Sequence[Frontier]) -> list[Measurements]:
    """Members of one seed share their matrices: they differ in source and noise alone."""
    sources = sorted({config.b for config in configs})
    parts: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for config in configs:
        if config.seed not in parts:
            parts[config.seed] = bias_and_variance(config, sources)
    return [_measured(config, parts[config.seed][0][..., sources.index(config.b)], parts[config.seed][1])
            for config in configs]  # fmt: skip


def bias_and_variance(config: Frontier, sources: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Of every student, (budgets, students, sources) and, for noise of variance 1, (budgets, students)."""
    v = config.variances
    i = torch.arange(1, len(v) + 1, dtype=F64)
    truths = torch.stack([i ** ((config.alpha - 1 - b) / 2) for b in sources], 1)
    most = max(n for _, n in config.students(config.budgets[-1]))
    random = torch.Generator().manual_seed(config.seed)
    biases, variances = [], []
    for _ in range(config.draws):
        x = torch.randn(most, len(v), generator=random, dtype=F64) * v.sqrt()
        risks = [[ConditionalRisk(x[:n, :N], truths[:N], v[:N]) for N, n in config.students(C)] for C in config.budgets]
        biases.append([[risk.biases().numpy() for risk in row] for row in risks])
        variances.append([[risk.variance() for risk in row] for row in risks])
    return np.mean(biases, 0), np.mean(variances, 0)


def _measured(config: Frontier, biases: np.ndarray, variances: np.ndarray) -> Measurements:
    best, sizes, ratios = [], [], []
    for C, bias, variance in zip(config.budgets, biases, variances, strict=True):
        N = np.array([size for size, _ in config.students(C)])
        unseen = zeta(1 + config.b, N + 1)
        loss = unseen + bias + (unseen + config.noise**2) * variance
        size, least = vertex(N, loss)
        best.append(least)
        sizes.append(size)
        ratios.append(size**2 / C)
    logs = np.log(config.budgets)
    return Measurements.of(
        frontier=Curve(config.budgets, np.array(best)), size=Curve(config.budgets, np.array(sizes)),
        loss_exponent=np.polyfit(logs, np.log(best), 1)[0], size_exponent=np.polyfit(logs, np.log(sizes), 1)[0],
        ratio=float(np.exp(np.mean(np.log(ratios)))),
    )  # fmt: skip


def vertex(N: np.ndarray, loss: np.ndarray) -> tuple[float, float]:
    """The place and value of the minimum, by the parabola of log(loss) in log(N) through the least and its neighbours.

    At an end of the range the least itself.

    >>> N = np.array([1.0, 2.0, 4.0])
    >>> [round(number, 12) for number in vertex(N, np.exp(np.log(N / 2) ** 2))]
    [2.0, 1.0]
    """
    low = int(np.argmin(loss))
    if low in (0, len(N) - 1):
        return float(N[low]), float(loss[low])
    x, y = np.log(N[low - 1 : low + 2]), np.log(loss[low - 1 : low + 2])
    a, slope, level = np.polyfit(x - x[1], y, 2)
    return float(np.exp(x[1] - slope / (2 * a))), float(np.exp(level - slope**2 / (4 * a)))
