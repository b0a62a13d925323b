"""Which depths train at which weight variance: tanh networks on the digits, of the study of Schoenholz et al. (2017).

Networks of one depth and all weight variances of a grid are trained at once, by stochastic gradient descent for a fixed
number of steps. A network that ends with half of its examples right has trained; the boundary in the ordered phase is
the lowest weight variance at which one does, between points of the grid a line in its logarithm.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import nn

from lemmata import data, nets, training
from lemmata.propagation import mean_field
from lemmata.study import Config, Curve, Measurements

GRID = np.geomspace(0.8, 4.0, 8)
TRAINED = 0.5  # of the examples are right
CHANCE = 0.1


class Depths(Config):
    """Networks of one depth, a weight variance each."""

    depth: int = Field(default=48, ge=1, description="hidden layers")
    bias_variance: float = Field(default=0.05, ge=0)
    width: int = Field(default=64, ge=1)
    n: int = Field(default=1536, ge=10, description="training examples")
    epochs: int = Field(default=4, ge=1)
    batch: int = Field(default=32, ge=1)
    step_size: float = Field(default=0.01, gt=0)
    theory_bias: float | None = Field(default=None, description="sigma_b^2 of the theory, if it is another")


def train_depths(configs: Sequence[Depths]) -> list[Measurements]:
    """Train all members at all weight variances of the grid at once, those that differ in the theory alone once."""
    networks = [config.model_copy(update={"theory_bias": None}) for config in configs]
    distinct = list(dict.fromkeys(networks))
    rows = dict(zip(distinct, _accuracies(distinct), strict=True))
    return [_measured(config, rows[trained]) for config, trained in zip(configs, networks, strict=True)]


def _accuracies(configs: Sequence[Depths]) -> np.ndarray:
    """Accuracy on the training set after training: (members, weight variances)."""
    first = configs[0]
    whole = data.load("digits")
    x = whole.x.flatten(1)
    x, y = ((x - x.mean(0)) / (x.std(0) + 0.1))[: first.n], whole.y[: first.n]
    result = training.train(
        [network(config, float(sw)) for config in configs for sw in GRID], x, y,
        optimiser=training.SGD(lr=first.step_size), epochs=first.epochs, batch_size=first.batch,
        seeds=[config.seed for config in configs for _ in GRID], train_at=training.last_epoch,
    )  # fmt: skip
    return (1 - result.final["train_error"]).nan_to_num(CHANCE).numpy().reshape(len(configs), len(GRID))


def network(config: Depths, weight_variance: float) -> nn.Module:
    """An untrained network: weights of variance sigma_w^2 / fan-in, biases of sigma_b^2, the same draws for all."""
    random = torch.Generator().manual_seed(config.seed)
    made = nets.mlp(
        64, [config.width] * config.depth, 10, activation="tanh", seed=random,
        initialisation=lambda w, g: w.normal_(0, (weight_variance / w.shape[1]) ** 0.5, generator=g),
    )  # fmt: skip
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, config.bias_variance**0.5, generator=random)
    return made


def _measured(config: Depths, right: np.ndarray) -> Measurements:
    """What the claims are about; a boundary only where there is one, its depth scale where theory has one."""
    found: dict[str, Any] = {"accuracy": Curve(np.log(GRID), right), "best": right.max(), "lowest": right[0]}
    weights = np.clip(right - CHANCE, 0, None) ** 2
    if weights.sum() > 0:
        found["centre"] = weights @ np.log(GRID) / weights.sum()
    low = boundary(np.log(GRID), right)
    if not np.isnan(low):
        bias = config.bias_variance if config.theory_bias is None else config.theory_bias
        theory = mean_field("tanh", float(np.exp(low)), bias)
        found["boundary"] = low
        if theory.phase == "ordered":
            found |= {"xi": theory.xi_c, "depths_of_xi": config.depth / theory.xi_c}
    return Measurements.of(**found)


def boundary(x: np.ndarray, right: np.ndarray) -> float:
    """Where the accuracy, between the points a line, first rises to one half; NaN where it does not.

    >>> boundary(np.array([0.0, 1.0, 2.0]), np.array([0.1, 0.3, 0.7]))
    1.5
    """
    at = np.flatnonzero((right[:-1] < TRAINED) & (right[1:] >= TRAINED))
    if not len(at):
        return np.nan
    i = at[0]
    return float(x[i] + (TRAINED - right[i]) * (x[i + 1] - x[i]) / (right[i + 1] - right[i]))
