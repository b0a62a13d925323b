"""Two concentric spheres, and a wide network that learns them without learning where their points are not.

    class 0: x uniform on the sphere of radius 1;  class 1: on that of radius r = 1.1;  equally likely, in d dimensions

S' moves every training point to the other sphere, along its ray, with the label of that sphere: its law is that of S.
The network, one hidden layer of rectifiers, is trained by SGD on cross-entropy until its mean training loss is below
0.01. The risk is estimated from 4,000 fresh points.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from lemmata import nets
from lemmata.bounds import uniform_convergence_gap
from lemmata.study import Config, Measurements
from lemmata.training import SGD, Stop, WeightProbe, last_epoch, train

FIRST = 128  # samples whose losses are looked at first


class Spheres(Config):
    """One network and its training sample."""

    d: int = Field(default=300, ge=2, description="dimensions")
    m: int = Field(default=2048, ge=1, description="training samples")
    outer: float = Field(default=1.1, ge=1, description="radius of the outer sphere; the inner one's is 1")
    width: int = Field(default=2048, ge=1, description="hidden units")
    step_size: float = Field(default=2.0, gt=0)
    batch: int = Field(default=64, ge=1)
    epochs: int = Field(default=400, ge=1, description="at most")
    fitted: float = Field(default=0.01, gt=0, description="training ends when the mean training loss is below this")
    n_test: int = Field(default=4000, ge=1, description="fresh points")
    projected: Literal["training", "fresh"] = Field(default="training", description="points that are moved")


def train_on_spheres(configs: Sequence[Spheres]) -> list[Measurements]:
    """Train the networks one after the other: the weights of one fill a cache."""
    return [_trained(config) for config in configs]


def _trained(config: Spheres) -> Measurements:
    """Train one network until it has fitted its sample, and measure it."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    random = torch.Generator().manual_seed(config.seed)
    sample = points(config, config.m, random)
    x, y = (part.to(device) for part in sample)
    model = nets.mlp(config.d, [config.width], 2, seed=random).to(device)
    result = train(
        [model], x, y, optimiser=SGD(lr=config.step_size), batch_size=config.batch, epochs=config.epochs,
        train_at=last_epoch, seeds=[config.seed], probes={"unfitted": _looks(model, x, y, config.fitted)},
        stop=Stop(monitor="unfitted", patience=1),
    )  # fmt: skip
    held = points(config, config.n_test, random)
    moved = sample if config.projected == "training" else points(config, config.m, random)
    gap = uniform_convergence_gap(result.model(0).cpu(), sample, to_other_sphere(config, *moved), holdout=held)
    return Measurements.of(
        status="diverged" if bool(result.diverged[0]) else "ok",
        train_error=gap.train_error,
        test_error=gap.test_error,
        turned_error=gap.transformed_error,
        gap=gap.value,
        gap_low=gap.low,
        gap_alpha=gap.alpha,
        epochs_trained=int(result.stopped_at[0]),
    )


def _looks(model: nn.Module, x: Tensor, y: Tensor, least: float) -> WeightProbe:
    """A number that falls after each epoch until the mean training loss is below `least`, and no more then."""
    numbers = count()

    def look(states: Mapping[str, Tensor]) -> Tensor:
        weights = {name: state[0] for name, state in states.items()}
        number = -float(next(numbers))
        return torch.tensor([math.inf if loss_is_below(model, weights, x, y, least) else number])

    return WeightProbe(look, last_epoch)


@torch.no_grad()
def loss_is_below(model: nn.Module, weights: dict[str, Tensor], x: Tensor, y: Tensor, least: float) -> bool:
    """Whether the mean cross-entropy is below `least`, from as few samples as tell, since no loss is negative."""
    total, start, size = 0.0, 0, FIRST
    while start < len(x) and total < least * len(x):
        part = slice(start, start + size)
        total += float(cross_entropy(functional_call(model, weights, (x[part],)), y[part], reduction="sum"))
        start, size = start + size, 2 * size
    return total < least * len(x)


def points(config: Spheres, n: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw n points x (n, d) and their spheres y (n,)."""
    y = torch.randint(2, (n,), generator=random)
    ray = torch.randn(n, config.d, generator=random)
    radius = torch.where(y == 1, config.outer, 1.0)
    return ray * (radius / ray.norm(dim=1))[:, None], y


def to_other_sphere(config: Spheres, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Move points to the other sphere, with its label."""
    return x * torch.where(y == 1, 1 / config.outer, config.outer)[:, None], 1 - y
