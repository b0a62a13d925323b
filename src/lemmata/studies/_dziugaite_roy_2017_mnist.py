"""The paper's own experiment: a bound on MNIST in two classes, its prior fixed before any image was seen.

Weights start from normals of deviation 0.04, cut at twice that, biases of the first layer from 0.1. SGD makes a network
of them, from which the means of the posterior start; the prior stays where they were.
"""

import copy
from collections.abc import Sequence
from functools import cache
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from lemmata import bounds, data, nets
from lemmata.studies._dziugaite_roy_2017_digits import STREAMS, measured
from lemmata.study import Config, Measurements

TRAINING_IMAGES = 55_000  # of the 60,000: the split of the paper
SPREAD = 0.04


class Mnist(Config):
    """One bound on MNIST: digits below five against the others."""

    labels: Literal["true", "random"] = "true"
    n: int = Field(default=TRAINING_IMAGES, ge=20, le=TRAINING_IMAGES)
    width: int = Field(default=600, ge=1, description="hidden units of each layer")
    depth: int = Field(default=1, ge=1, description="hidden layers")
    sgd_epochs: int = Field(default=20, ge=1)
    sgd_step: float = Field(default=0.01, gt=0)
    epochs: int = Field(default=30, ge=1, description="of the posterior's training")
    batch: int = Field(default=250, ge=1, description="images a step of the posterior's training")
    lr: float = Field(default=2e-3, gt=0, description="step size of the means")
    lr_deviation: float = Field(default=2e-2, gt=0, description="step size of the deviations' logarithms")
    deviation: float = Field(default=0.06, gt=0, description="that the posterior begins with")
    delta: float = Field(default=0.025, gt=0, lt=1, description="of the PAC-Bayes bound")
    delta_mc: float = Field(default=0.01, gt=0, lt=1, description="of the Gibbs risk's bound, on top")
    pairs: int = Field(default=150_000, ge=100, description="(weights, image) drawn to bound the Gibbs risk, at most")


def bound_on_mnist(configs: Sequence[Mnist]) -> list[Measurements]:
    """Train by SGD, then the posterior from there, and bound it."""
    return [_bounded(config) for config in configs]


def _bounded(config: Mnist) -> Measurements:
    (x, y), test = images(config)
    start = initial(config)
    posterior = bounds.gaussian_posterior(
        _trained(config, start, x, y), (x, y), prior=start, objective="mcallester", surrogate="logistic",
        deviation=config.deviation, epochs=config.epochs, batch=config.batch, lr=config.lr,
        lr_deviation=config.lr_deviation, delta=config.delta, seed=STREAMS.seed(config.seed, "posterior"),
    )  # fmt: skip
    bound = bounds.pac_bayes_bound(
        posterior, (x, y), delta=config.delta + config.delta_mc, delta_mc=config.delta_mc, pairs=config.pairs,
        holdout=test, seed=STREAMS.seed(config.seed, "bound"),
    )  # fmt: skip
    known = 0.5 if config.labels == "random" else None
    return measured(posterior, bound, known_risk=known, prior_deviation=posterior.history.deviation[-1])


def initial(config: Mnist) -> nn.Module:
    """The network before training."""
    network = nets.mlp(784, [config.width] * config.depth, 1, seed=0)
    draw = torch.Generator().manual_seed(STREAMS.seed(config.seed, "weights"))
    with torch.no_grad():
        for k, layer in enumerate(module for module in network.modules() if isinstance(module, nn.Linear)):
            nn.init.trunc_normal_(layer.weight, 0.0, SPREAD, -2 * SPREAD, 2 * SPREAD, generator=draw)
            layer.bias.fill_(0.0 if k else 0.1)
    return network


def _trained(config: Mnist, start: nn.Module, x: Tensor, y: Tensor) -> nn.Module:
    """A copy after SGD with momentum 0.9 on the logistic loss, in batches of 100."""
    network, draw = copy.deepcopy(start), torch.Generator().manual_seed(STREAMS.seed(config.seed, "prior"))
    rule = torch.optim.SGD(network.parameters(), lr=config.sgd_step, momentum=0.9)
    for _ in range(config.sgd_epochs):
        for rows in torch.randperm(len(x), generator=draw).split(100):
            loss = binary_cross_entropy_with_logits(network(x[rows])[:, 0], y[rows].to(x.dtype))
            rule.zero_grad()
            loss.backward()
            rule.step()
    return network


def images(config: Mnist) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The first n training images, and the test images; labels 0 below five, 1 above, or random."""
    whole = _whole()
    assert whole.x_test is not None
    assert whole.y_test is not None
    y, y_test = ((labels >= 5).long() for labels in (whole.y[: config.n], whole.y_test))
    if config.labels == "random":
        draw = torch.Generator().manual_seed(STREAMS.seed(config.seed, "labels"))
        y, y_test = (torch.randint(2, labels.shape, generator=draw) for labels in (y, y_test))
    return (whole.x[: config.n], y), (whole.x_test, y_test)


@cache
def _whole() -> data.Dataset:
    return data.load("mnist").flat()
