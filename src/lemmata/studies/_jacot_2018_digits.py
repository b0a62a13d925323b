"""Training along one direction of the data: a principal component of the limit kernel on digits, or a random one.

The target is f_0 + v / 2 at the n digits, where v has mean square 1 and is the k-th eigenvector of Theta on them
(or random), as in the paper's experiment. With r_t = f_t - f_0 - v / 2,

    c_t = <v, r_t> / <v, r_0>,    rate  (1 - c_T^(1/T)) n / eta,    bend  max_t |f_t - f_0 - p_t v| / |p_end v|,

p_t v the part of f_t - f_0 along v. Were Theta the kernel of the network, c_t would be (1 - eta lambda_k / n)^t, the
rate lambda_k, and the bend 0. T is when that c_t is below 1 / e (or the end), so that the rate is not of what is left.
`half_time` is eta t when c_t is first at most 1 / 2, infinite where it never is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata import data
from lemmata.data.preprocessing import mean_pool
from lemmata.kernels import FullyConnected, analytic_ntk
from lemmata.studies._jacot_2018_networks import BETA, drawn
from lemmata.study import Config, Curve, Measurements


class Digits(Config):
    """One network of `depth` weight layers, trained along one direction in the space of outputs on n digits."""

    width: int = Field(default=512, ge=2)
    depth: int = Field(default=4, ge=2, description="weight layers")
    n: int = Field(default=128, ge=4, description="digits: the first of a random order, the same for every network")
    pool: int = Field(default=4, ge=1, description="blocks of pixels that are averaged, each way")
    component: int = Field(default=2, ge=1, description="rank of the eigenvalue")
    direction: Literal["principal", "random"] = "principal"
    parameterisation: Literal["ntk", "feature learning"] = "ntk"
    steps: int = Field(default=90, ge=1)


def along(configs: Sequence[Digits]) -> list[Measurements]:
    """Train all networks of a block at once, each along its own direction."""
    first = configs[0]
    x = inputs(first)
    values, vectors = principal_components(first, x)
    directions = torch.stack([_direction(config, vectors) for config in configs])
    feature = first.parameterisation == "feature learning"
    widths = [first.width] * (first.depth - 1)
    nets = drawn([config.seed for config in configs], x.shape[1], widths, feature_learning=feature, purpose=1)
    start = nets.outputs(x)
    target = start + 0.5 * directions
    step_size = 0.8 * len(x) / float(values[0])
    moved = [nets.descend(x, target, step_size) - start for _ in range(first.steps)]
    path = torch.stack([*moved, nets.outputs(x) - start]).double()
    return [
        _measured(path[:, i], directions[i].double(), float(values[config.component - 1]), step_size)
        for i, config in enumerate(configs)
    ]


def inputs(config: Digits) -> Tensor:
    """Digits (n, d), averaged over blocks, centred, with mean squared norm d."""
    whole = data.load("mnist-5k").split(config.n, 1, seed=0)
    x = mean_pool(whole.x, config.pool).flatten(1)
    x = x - x.mean(0)
    return x / x.square().mean().sqrt()


def principal_components(config: Digits, x: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues of the limit kernel, largest first, float64 (n,), and eigenvectors of mean square 1 as rows."""
    law = FullyConnected(depth=config.depth, weight_variance=1.0, bias_variance=BETA**2)
    values, vectors = torch.linalg.eigh(analytic_ntk(x.double(), network=law).values)
    return values.flip(0), len(x) ** 0.5 * vectors.flip(1).mT


def _direction(config: Digits, vectors: Tensor) -> Tensor:
    if config.direction == "principal":
        return vectors[config.component - 1].float()
    draw = torch.Generator().manual_seed(1000 * config.seed + config.component)
    v = torch.randn(vectors.shape[1], generator=draw)
    return v / v.square().mean().sqrt()


def _measured(path: Tensor, v: Tensor, eigenvalue: float, step_size: float) -> Measurements:
    """What came of the moves f_t - f_0 (T + 1, n) of one network."""
    n, steps = len(v), len(path) - 1
    part = path @ v / n
    left = (1 - 2 * part).numpy()
    bend = (path - part[:, None] * v).square().mean(1).sqrt().max() / part[-1].abs()
    predicted = (1 - step_size * eigenvalue / n) ** np.arange(steps + 1)
    at = max(1, min(steps, int((predicted > np.exp(-1)).sum())))
    rate = (1 - np.clip(left[at], 1e-12, None) ** (1 / at)) * n / step_size
    times = step_size * np.arange(steps + 1)
    return Measurements.of(
        status="ok" if np.isfinite(left).all() else "diverged",
        rate=rate,
        relative_rate=rate / eigenvalue,
        half_time=float(times[left <= 0.5][0]) if (left <= 0.5).any() else float("inf"),
        eigenvalue=eigenvalue,
        bend=float(bend),
        left=Curve(times, left),
        predicted=Curve(times, predicted),
    )
