"""How deep linear networks train from random weights in `saxe_2014`: orthogonal ones beside scaled Gaussian ones.

White inputs in 16 dimensions, 4 outputs, layers of 16 units, a target with singular values 1, 0.8, 0.6, 0.4. Orthogonal
layers keep the length of every vector at any depth; Gaussian layers of variance 1/16 keep it on average only, and
their product has one long direction and many short ones. The learning time is the number of steps until the loss is
a thousandth of that of the zero map, at the best of six step sizes c / N, tried together.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field

from lemmata.studies._deep_linear import orthonormal, step_down, suffixes
from lemmata.study import Config, Measurements

WIDTH, OUTPUTS = 16, 4
STRENGTHS = (1.0, 0.8, 0.6, 0.4)
CONSTANTS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
LEARNED = 0.001


class Initialisation(Config):
    """One draw of weights and target, trained at every step size."""

    depth: int = Field(default=16, ge=1, description="layers of weights, N")
    initial: Literal["orthogonal", "gaussian"] = Field(
        default="orthogonal", description="the law of the initial weights"
    )
    gain: float = Field(default=1.0, gt=0, description="multiplies the weights of every layer")
    most: int = Field(default=1000, ge=1, description="steps at most")


def learning_times(configs: Sequence[Initialisation]) -> list[Measurements]:
    """Train all draws at all step sizes in one batch; the steps of the best, infinite where none arrives."""
    first = configs[0]
    drawn = [_draw(config) for config in configs]
    shape = len(configs), len(CONSTANTS)
    layers = [
        torch.stack(part).repeat_interleave(len(CONSTANTS), 0) for part in zip(*(d[0] for d in drawn), strict=True)
    ]
    target = torch.stack([d[1] for d in drawn]).repeat_interleave(len(CONSTANTS), 0)
    eta = torch.tensor(CONSTANTS, dtype=torch.float64).repeat(len(configs))[:, None, None] / first.depth
    best = torch.full(shape, torch.inf, dtype=torch.float64)
    for step in range(first.most + 1):
        parts = suffixes(layers)
        error = parts[-1] - target
        share = error.square().sum((-1, -2)) / target.square().sum((-1, -2))
        best = torch.where((share.view(shape) <= LEARNED) & best.isinf(), float(step), best)
        if best.isfinite().any(1).all():
            break
        error = torch.where(share[:, None, None] < 1e6, error, 0.0)  # a step size that diverges is left where it is
        step_down(layers, parts, eta * error)
    values, which = best.min(1)
    return [Measurements.of(steps=values[i], constant=CONSTANTS[int(which[i])]) for i in range(len(configs))]


def _draw(config: Initialisation) -> tuple[list[torch.Tensor], torch.Tensor]:
    random = torch.Generator().manual_seed(config.seed)
    left, right = orthonormal(OUTPUTS, random), orthonormal(WIDTH, random)[:OUTPUTS]
    target = left @ (torch.tensor(STRENGTHS, dtype=torch.float64)[:, None] * right)
    if config.initial == "orthogonal":
        layers = [orthonormal(WIDTH, random) for _ in range(config.depth)]
    else:
        layers = [torch.randn(WIDTH, WIDTH, generator=random).double() / WIDTH**0.5 for _ in range(config.depth)]
    return [config.gain * layer for layer in (*layers[:-1], layers[-1][:OUTPUTS])], target
