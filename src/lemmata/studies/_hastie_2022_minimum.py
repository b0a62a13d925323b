"""The second descent of `hastie_2022`: where the overparametrised risk is least, from nested samples.

S = I, beta uniform on its sphere, so that the risk given X is exactly snr (1 - n/p) + tr (X X^T)^-1 for p > n. Features
are added column by column to one X: X X^T grows, and tr (X X^T)^-1 falls from one p to the next without any noise
between them. The minimum is the vertex of the parabola in log(p) through the least value and its neighbours.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from pydantic import Field

from lemmata.study import Config, Curve, Measurements


class SecondDescent(Config):
    """The risk curve over p > n of one size and signal."""

    n: int = Field(default=200, ge=2, description="samples")
    snr: float = Field(default=5.0, gt=0, description="|beta|^2, in units of the noise")
    largest: float = Field(default=12.0, gt=1.2, description="the largest gamma = p / n")
    points: int = Field(default=40, ge=5, description="of p, geometric from 1.1 n")
    draws: int = Field(default=5, ge=1, description="nested samples a seed")

    @property
    def features(self) -> np.ndarray:
        """The numbers of features, (points,)."""
        return np.unique(np.geomspace(1.1 * self.n, self.largest * self.n, self.points).round().astype(int))


def predicted_minimum(snr: float) -> float:
    """The gamma of the local minimum, sqrt(snr) / (sqrt(snr) - 1), for snr > 1.

    >>> round(predicted_minimum(5.0), 3), round(predicted_minimum(2.0), 3)
    (1.809, 3.414)
    """
    return snr**0.5 / (snr**0.5 - 1)


def measure_descents(configs: Sequence[SecondDescent]) -> list[Measurements]:
    """Members of one seed differ in their signal alone and share their samples."""
    traces = cache(inverse_traces)
    return [
        _measured(config, traces(config.seed, config.n, config.draws, tuple(config.features))) for config in configs
    ]


def inverse_traces(seed: int, n: int, draws: int, features: tuple[int, ...]) -> np.ndarray:
    """The mean over draws of tr (X X^T)^-1 at each p, (points,), X being the first p columns of one matrix."""
    random = torch.Generator().manual_seed(seed)
    total = np.zeros(len(features))
    for _ in range(draws):
        gram, before = torch.zeros(n, n, dtype=torch.float64), 0
        for place, p in enumerate(features):
            columns = torch.randn(n, p - before, generator=random, dtype=torch.float64)
            gram.addmm_(columns, columns.T)
            before = p
            total[place] += float(torch.cholesky_inverse(torch.linalg.cholesky(gram)).trace())
    return total / draws


def _measured(config: SecondDescent, traces: np.ndarray) -> Measurements:
    gamma = config.features / config.n
    risk = config.snr * (1 - 1 / gamma) + traces
    rise = float((risk - np.minimum.accumulate(risk)).max()) / config.snr
    place = vertex(gamma, risk)
    inner: dict[str, Any] = {} if np.isnan(place) else {"minimum": place}
    return Measurements.of(risk=Curve(gamma, risk), rise=rise, at_largest=float(risk[-1]) / config.snr, **inner)


def vertex(gamma: np.ndarray, risk: np.ndarray) -> float:
    """The place of an inner minimum, by the parabola in log(gamma) through three points; NaN without one.

    >>> round(vertex(np.array([1.0, 2.0, 4.0]), np.array([1.0, 0.0, 1.0])), 12)
    2.0
    """
    low = int(np.argmin(risk))
    if low in (0, len(risk) - 1):
        return float("nan")
    x, y = np.log(gamma[low - 1 : low + 2]), risk[low - 1 : low + 2]
    curvature, slope, _ = np.polyfit(x - x[1], y, 2)
    return float(np.exp(x[1] - slope / (2 * curvature)))
