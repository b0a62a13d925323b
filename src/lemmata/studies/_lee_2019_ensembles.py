"""Ensembles of networks beside the closed form of their mean and covariance, for the study of Lee et al. (2019)."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata import kernels, training
from lemmata.studies._lee_2019_networks import Problem, critical_step, examples, law, marks, network
from lemmata.study import Curve, Measurements

Predicted = Literal["ensemble", "last layer only", "tangent kernel as prior"]


class Ensembles(Problem):
    """`members` networks of independent starts, trained on the same examples; the prediction they are held against."""

    n: int = Field(default=20, ge=2)
    test: int = Field(default=20, ge=1)
    width: int = Field(default=256, ge=1)
    steps: int = Field(default=100, ge=10)
    members: int = Field(default=50, ge=3)
    predicted: Predicted = "ensemble"


def run_ensembles(configs: Sequence[Ensembles]) -> list[Measurements]:
    """Train an ensemble a seed, whatever it is held against; mean and variance on the test examples at a few times."""
    first = configs[0]
    rule = training.GD(lr=first.step_size * critical_step(first, examples(first)[0]))
    times = [t for t in marks(first.steps) if t >= 3]
    trained = {config.seed: config for config in configs}
    networks = {seed: outputs(config, times, rule) for seed, config in trained.items()}
    return [_measured(config, times, networks[config.seed], prediction(config, times, rule)) for config in configs]


def prediction(config: Ensembles, times: Sequence[int], rule: training.SGD) -> kernels.EnsemblePrediction:
    """What infinite width says of the ensemble: with the kernels as they are, or with one in the place of the other."""
    x, y, z = (part.double() for part in examples(config))
    blocks = {kind: kernels.KernelBlocks.of(law(config).kernel(kind), x, z) for kind in ("ntk", "nngp")}
    theta = blocks["nngp" if config.predicted == "last layer only" else "ntk"]
    prior = blocks["ntk" if config.predicted == "tangent kernel as prior" else "nngp"]
    return kernels.predict_ensemble(theta, prior, y, times=list(times), rule=rule)


def outputs(config: Ensembles, times: Sequence[int], rule: training.SGD) -> Tensor:
    """Outputs of the trained networks on the test examples, (members, T, m), float64."""
    x, y, z = examples(config)
    models = [network(config, member) for member in range(config.members)]
    found = []
    for before, after in zip([0, *times], times, strict=False):
        result = training.train(models, x, y, loss="mse", optimiser=rule, epochs=after - before)
        with torch.no_grad():
            models = [result.model(i) for i in range(config.members)]
            found.append(torch.stack([model(z)[:, 0] for model in models]).double())
    return torch.stack(found, 1)


def _measured(
    config: Ensembles, times: list[int], networks: Tensor, expected: kernels.EnsemblePrediction
) -> Measurements:
    mean, variance = networks.mean(0), networks.var(0)
    predicted, spread = expected.mean[..., 0], expected.deviation.square()
    off = (mean - predicted).square() - variance / config.members  # unbiased for the square of what the mean is off by
    return Measurements.of(
        variance_ratio=float(variance.sum() / spread.sum()),
        mean_off=float(off.sum() / predicted.square().sum()),
        mean=Curve(np.array(times), mean[:, 0].numpy()),
        predicted_mean=Curve(np.array(times), predicted[:, 0].numpy()),
        deviation=Curve(np.array(times), variance.mean(1).sqrt().numpy()),
        predicted_deviation=Curve(np.array(times), spread.mean(1).sqrt().numpy()),
    )
