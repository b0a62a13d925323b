"""A linear classifier, whose smoothed radius is known: the distance to its hyperplane, whatever the noise.

    f(x) = sign(w.x + b),   P(f(x + noise) = f(x)) = Phi(|w.x + b| / (sigma ||w||)),   so R = |w.x + b| / ||w||

Certified radii can fall short of it by what the samples leave open, and exceed it with probability alpha.
"""

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import nn

from lemmata.robustness import certify
from lemmata.study import Config, Measurements


class Linear(Config):
    """Random points at known distances, sigma / 2 to 2 sigma, on both sides of a random hyperplane.

    Nearer ones are often abstained from, however many samples there are: the class is chosen by 100.
    """

    dimensions: int = Field(default=20, ge=1)
    points: int = Field(default=20, ge=1)
    sigma: float = Field(default=0.5, gt=0)
    samples: int = Field(default=100_000, ge=1)
    alpha: float = Field(default=1e-6, gt=0, lt=1)


def certify_linear(configs: Sequence[Linear]) -> list[Measurements]:
    """Certify each member; random are hyperplane, points and noise."""
    return [_certified(config) for config in configs]


def _certified(config: Linear) -> Measurements:
    generator = torch.Generator().manual_seed(config.seed)
    w = torch.randn(config.dimensions, generator=generator, dtype=torch.float64)
    unit, b = w / w.norm(), float(torch.randn((), generator=generator, dtype=torch.float64))
    along = torch.randn(config.points, config.dimensions, generator=generator, dtype=torch.float64)
    distance = torch.linspace(0.5, 2, config.points, dtype=torch.float64) * config.sigma
    distance[::2] *= -1
    x = along - (along @ unit)[:, None] * unit + (distance - b / w.norm())[:, None] * unit
    model = nn.Linear(config.dimensions, 2, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.stack([-w, w]))
        model.bias.copy_(torch.tensor([-b, b], dtype=torch.float64))
    found = certify(
        model, x, (distance > 0).long(), sigma=config.sigma, n=config.samples, alpha=config.alpha, seed=config.seed
    )
    gap = (distance.abs() - found.radius) / config.sigma
    return Measurements.of(
        shortfall=float(gap.max()), overshoot=float(-gap.min()), wrong=int((~found.correct & ~found.abstained).sum()),
        distance=distance.abs().numpy(), radius=found.radius.numpy(),
    )  # fmt: skip
