"""The small network of `dauphin_2014`: its loss as a function of one vector, and where searches start.

    L(theta) = 1/(2 n) sum_i |V tanh(W x_i + b) + c - y_i|^2 + (decay / 2) |theta|^2

for n digits of few pixels, standardised, and one-hot targets. The decay keeps critical points at finite weights:
without it the lowest ones lie at infinity, where units saturate, and Newton's method follows them there. Without hidden
units (`hidden` 0) the model is linear and L is strictly convex.
"""

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, one_hot

from lemmata import data
from lemmata.landscape import critical
from lemmata.objective import Objective
from lemmata.study import Config

CLASSES = 10
FRESH = 10_000  # added to every seed: what was chosen was chosen on streams without it


class Network(Config):
    """A perceptron of one hidden layer on a few digits."""

    side: int = Field(default=4, ge=1, description="pixels a side, by averaging")
    n: int = Field(default=60, ge=10, description="digits, the same for all seeds")
    hidden: int = Field(default=3, ge=0, description="hidden units; 0 is a linear model")
    decay: float = Field(default=0.003, gt=0, description="weight decay")


def objective(config: Network) -> Objective:
    """L as a function of theta (P,), float64."""
    whole = data.load("mnist-5k")
    rows = torch.randperm(len(whole), generator=torch.Generator().manual_seed(FRESH))[: config.n]
    x = adaptive_avg_pool2d(whole.x[rows], config.side).flatten(1).double()
    x = (x - x.mean(0)) / x.std()
    y = one_hot(whole.y[rows], CLASSES).double()
    shapes = layers(config)

    def loss(theta: Tensor) -> Tensor:
        parts = theta.split([rows * columns for rows, columns in shapes])
        z = x
        for i in range(0, len(shapes), 2):
            z = z @ parts[i].view(shapes[i]).T + parts[i + 1]
            if i + 2 < len(shapes):
                z = torch.tanh(z)
        return 0.5 * (z - y).square().sum(1).mean() + 0.5 * config.decay * theta.square().sum()

    return critical.function(loss, sum(rows * columns for rows, columns in shapes))


def seed_of(seed: int, purpose: int) -> int:
    """A seed for one purpose of the study, independent of those for the others."""
    return int(np.random.SeedSequence([FRESH + seed, purpose]).generate_state(1)[0])


def layers(config: Network) -> list[tuple[int, int]]:
    """Shapes of W, b, V, c (a bias has one column), as they lie in theta."""
    inputs, h = config.side**2, config.hidden
    return [(h, inputs), (h, 1), (CLASSES, h), (CLASSES, 1)] if h else [(CLASSES, inputs), (CLASSES, 1)]


def random_weights(config: Network, scales: Tensor, generator: torch.Generator) -> Tensor:
    """Points (M, P): weights normal with deviation `scales` (M,) over the root of the fan-in, biases 0."""
    parts = []
    for i, (rows, columns) in enumerate(layers(config)):
        drawn = torch.randn(len(scales), rows * columns, generator=generator, dtype=torch.float64)
        parts.append(scales[:, None] * drawn / columns**0.5 if i % 2 == 0 else torch.zeros_like(drawn))
    return torch.cat(parts, 1)
