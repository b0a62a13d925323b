"""A linear classifier, whose smoothed radius is known: the distance to its hyperplane, whatever the noise.

    f(x) = sign(w.x + b),   P(f(x + noise) = f(x)) = Phi(|w.x + b| / (sigma ||w||)),   so R = |w.x + b| / ||w||

Certified radii can fall short of it by what the samples leave open, and exceed it with probability alpha.
"""

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata.bernoulli import clopper_pearson
from lemmata.robustness import Certificates, Gaussian, certify
from lemmata.study import Config, Measurements

ROWS = 5000  # copies that are classified together: on this few dimensions ten times fewer cost twice the time


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
    """Certify each member; those that differ in their level alone share their votes, counted once.

    Random are hyperplane, points and noise. Votes are in float32: rounding shifts a point by about 1e-6 sigma, and its
    probability by less than a thousandth of what 100,000 samples leave open.
    """
    loosest: dict[Linear, float] = {}
    for config in configs:
        problem = _problem_of(config)
        loosest[problem] = max(config.alpha, loosest.get(problem, 0.0))
    found = {problem: _voted(problem, alpha) for problem, alpha in loosest.items()}
    return [_certified(config, *found[_problem_of(config)]) for config in configs]


def _problem_of(config: Linear) -> Linear:
    """What members have in common that share their votes."""
    return config.model_copy(update={"alpha": 0.5})


def _voted(config: Linear, alpha: float) -> tuple[Tensor, Certificates]:
    """Signed distances of the points, and their certificates at the level alpha."""
    generator = torch.Generator().manual_seed(config.seed)
    w = torch.randn(config.dimensions, generator=generator, dtype=torch.float64)
    unit, b = w / w.norm(), float(torch.randn((), generator=generator, dtype=torch.float64))
    along = torch.randn(config.points, config.dimensions, generator=generator, dtype=torch.float64)
    distance = torch.linspace(0.5, 2, config.points, dtype=torch.float64) * config.sigma
    distance[::2] *= -1
    x = along - (along @ unit)[:, None] * unit + (distance - b / w.norm())[:, None] * unit
    model = nn.Linear(config.dimensions, 2)
    with torch.no_grad():
        model.weight.copy_(torch.stack([-w, w]))
        model.bias.copy_(torch.tensor([-b, b]))
    return distance, certify(
        model, x.float(), (distance > 0).long(), sigma=config.sigma, n=config.samples, alpha=alpha, seed=config.seed,
        batch=ROWS, memory_format="plain",
    )  # fmt: skip


def _certified(config: Linear, distance: Tensor, found: Certificates) -> Measurements:
    """Radii at the member's own level, from the hits of those certified at the loosest."""
    assert found.hits is not None
    assert found.drawn is not None
    lower = clopper_pearson(found.hits.numpy(), found.drawn.numpy(), alpha=config.alpha, side="lower")
    radius = torch.from_numpy(Gaussian(config.sigma).radius(lower)).where(~found.abstained, 0.0)
    gap = (distance.abs() - radius) / config.sigma
    return Measurements.of(
        shortfall=float(gap.max()), overshoot=float(-gap.min()), wrong=int((~found.correct & (radius > 0)).sum()),
        distance=distance.abs().numpy(), radius=radius.numpy(),
    )  # fmt: skip
