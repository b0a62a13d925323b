"""Networks of growing width on the unit circle: their tangent kernels before and after training.

Statistics of one network, with |.| the Frobenius norm over the kernel's matrix on 24 points of the circle and Theta the
limit: `deviation` |K_0 - Theta| / |Theta|, `overlap` <K_0, Theta> / |Theta|^2, and `change` |K_T - K_0| / |K_0|.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.kernels import FullyConnected, analytic_ntk
from lemmata.studies._jacot_2018_networks import BETA, drawn
from lemmata.study import Config, Curve, Measurements


class Circle(Config):
    """One network of `depth` weight layers, trained on f*(x) = x_1 x_2."""

    width: int = Field(default=256, ge=2)
    depth: int = Field(default=4, ge=2, description="weight layers")
    bottleneck: int = Field(default=0, ge=0, description="width of the first hidden layer; 0: like the others")
    parameterisation: Literal["ntk", "feature learning"] = "ntk"
    limit_depth: int = Field(default=0, ge=0, description="weight layers of the limit kernel; 0: the network's")
    samples: int = Field(default=16, ge=1, description="training inputs, standard normal in two dimensions")
    points: int = Field(default=24, ge=4, description="points on the circle where the kernel is looked at")
    steps: int = Field(default=50, ge=0)
    step_size: float = Field(default=4.0, gt=0)


def follow(configs: Sequence[Circle]) -> list[Measurements]:
    """Draw, look at, train and look again at all networks of a block at once."""
    first = configs[0]
    angles, circle, x, y = problem(first)
    limit = limit_kernel(first, circle.double())
    widths = [first.bottleneck or first.width] + [first.width] * (first.depth - 2)
    feature = first.parameterisation == "feature learning"
    nets = drawn([config.seed for config in configs], 2, widths, feature_learning=feature)
    before = nets.kernels(circle).double()
    for _ in range(first.steps):
        nets.descend(x, y, first.step_size)
    after = nets.kernels(circle).double() if first.steps else before
    return [_measured(angles, before[i], after[i], limit) for i in range(len(configs))]


def problem(config: Circle) -> tuple[np.ndarray, Tensor, Tensor, Tensor]:
    """Angles, the points of the circle at them, training inputs and targets: the same for every network."""
    angles = np.linspace(-math.pi, math.pi, config.points, endpoint=False)
    circle = torch.tensor(np.stack([np.cos(angles), np.sin(angles)], 1), dtype=torch.float32)
    x = torch.randn(config.samples, 2, generator=torch.Generator().manual_seed(2018))
    return angles, circle, x, x[:, 0] * x[:, 1]


def limit_kernel(config: Circle, x: Tensor) -> Tensor:
    """The kernel of infinitely wide networks at x (n, 2) float64."""
    law = FullyConnected(depth=config.limit_depth or config.depth, weight_variance=1.0, bias_variance=BETA**2)
    return analytic_ntk(x, network=law).values


def _measured(angles: np.ndarray, before: Tensor, after: Tensor, limit: Tensor) -> Measurements:
    at = int(np.argmin(np.abs(angles)))  # the row of the paper's point (1, 0)
    return Measurements.of(
        status="ok" if bool(after.isfinite().all()) else "diverged",
        deviation=float((before - limit).norm() / limit.norm()),
        overlap=float((before * limit).sum() / limit.square().sum()),
        change=float((after - before).norm() / before.norm()),
        before=Curve(angles, before[at].numpy()),
        after=Curve(angles, after[at].numpy()),
        limit=Curve(angles, limit[at].numpy()),
    )
