"""A shallow student of digits, with its first weight matrix free or factored: loss by updates, by flops, by seconds.

The student 784 - H - 10 regresses on the logits of a perceptron. Factored at rank r its first layer has r (784 + H)
weights in the place of 784 H, and a step costs multiplications in proportion to the weights. Every student gets the
multiplications of `epochs` epochs of the free one, at most `MOST` times as many epochs, and at least `epochs`.
"""

import time
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, nets
from lemmata.nets.bottleneck import bottleneck
from lemmata.study import Config, Curve, Measurements
from lemmata.training import SGD, Adam, Probe, epochs_at, last_epoch, log_epochs, train
from lemmata.training.mimic_targets import mimic_targets

INPUTS, CLASSES, TEST = 784, 10, 1000
BATCH = 100
MOST = 4


class Factored(Config):
    """One shallow student of digits."""

    factored: bool = True
    rank: int = Field(default=50, ge=1, description="of the first weight matrix, where it is factored")
    hidden: int = Field(default=1000, ge=1)
    n: int = Field(default=2000, ge=BATCH, multiple_of=BATCH)
    epochs: int = Field(default=4, ge=1, description="of the student that is not factored")


def train_factored(configs: Sequence[Factored]) -> list[Measurements]:
    """Train a seed's students one after the other, since their seconds are measured; one free one for all ranks."""
    taught = lesson(configs[0])
    found: dict[int | None, Measurements] = {}
    for config in configs:
        rank = config.rank if config.factored else None
        if rank not in found:
            found[rank] = _measured(config, taught)
    return [found[config.rank if config.factored else None] for config in configs]


def student(config: Factored) -> nn.Sequential:
    """The untrained student.

    >>> sum(p.numel() for p in student(Factored()).parameters())
    100210
    """
    if config.factored:
        return bottleneck(INPUTS, config.rank, config.hidden, CLASSES, seed=config.seed)
    return nets.mlp(INPUTS, [config.hidden], CLASSES, seed=config.seed)


def multiplications(config: Factored) -> int:
    """Of a forward pass of one sample: the number of weights, without biases."""
    r, h = config.rank, config.hidden
    return (r * (INPUTS + h) if config.factored else INPUTS * h) + h * CLASSES


def affordable_epochs(config: Factored) -> int:
    """The epochs that cost as much as `epochs` of the student that is not factored: 1 to `MOST` times as many."""
    free = multiplications(config.model_copy(update={"factored": False}))
    return max(1, min(MOST * config.epochs, round(config.epochs * free / multiplications(config))))


def _measured(config: Factored, taught: tuple[Tensor, Tensor, Tensor, Tensor]) -> Measurements:
    x, z, x_test, y_test = taught
    afforded, an_epoch = affordable_epochs(config), config.n // BATCH
    total = max(afforded, config.epochs)
    net = student(config)
    started = time.process_time()
    train([net], x, z, loss="mse", optimiser=RULE, batch_size=BATCH, epochs=1, seeds=[config.seed],
          train_at=last_epoch)  # fmt: skip
    seconds = time.process_time() - started
    result = train(
        [net], x, z, loss="mse", optimiser=RULE, batch_size=BATCH, epochs=total, seeds=[config.seed],
        train_at=epochs_at({*log_epochs(6)(total), config.epochs, afforded}),
        probes={"accuracy": Probe(x_test, y_test, metric="accuracy", at=last_epoch)},
    )  # fmt: skip
    epochs, losses = (part.numpy() for part in result.curves["train_loss"])
    loss_after = dict(zip(epochs.tolist(), losses[0].tolist(), strict=True))
    updates = epochs * an_epoch
    return Measurements.of(
        status="diverged" if bool(result.diverged[0]) else "ok",
        seconds_per_update=seconds / an_epoch,
        loss_by_updates=loss_after[config.epochs],
        loss_by_flops=loss_after[afforded],
        accuracy=result.final["accuracy"][0],
        by_updates=Curve(updates, losses[0]),
        by_flops=Curve(updates * BATCH * 6e-9 * multiplications(config), losses[0]),
    )


RULE = SGD(lr=0.05, momentum=0.9)


def lesson(config: Factored) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Digits (n, 784) with the centred logits of a perceptron 784-300-100-10 that learned their labels; test digits."""
    seed = int(np.random.SeedSequence([config.seed, 0]).generate_state(1)[0])
    part = data.load("mnist-5k").flat().split(config.n, TEST, seed=seed)
    assert part.x_test is not None
    assert part.y_test is not None
    teacher = nets.mlp(INPUTS, [300, 100], CLASSES, seed=seed)
    learned = train([teacher], part.x, part.y, optimiser=Adam(lr=1e-3), batch_size=BATCH, epochs=8, train_at=last_epoch)
    with torch.no_grad():
        return part.x, mimic_targets(learned.model(0)(part.x)), part.x_test, part.y_test


class Size(Config):
    """An untrained network: the student or the deep network of signals, or the student of digits, free or factored."""

    net: Literal["SNN", "DNN", "free", "factored"] = "SNN"
    hidden: int = Field(default=496, ge=1, description="hidden units of the SNN")
    wider: int = Field(default=1, ge=1, description="factor of the SNN's hidden units")
    width: int = Field(default=100, ge=1, description="of the three hidden layers of the DNN")
    rank: int = Field(default=50, ge=1)


def count_parameters(configs: Sequence[Size]) -> list[Measurements]:
    """Count the parameters of each network."""
    return [Measurements.of(parameters=sum(p.numel() for p in sized(config).parameters())) for config in configs]


def sized(config: Size) -> nn.Module:
    """The untrained network."""
    if config.net == "SNN":
        return nets.mlp(40, [config.wider * config.hidden], CLASSES, seed=config.seed)
    if config.net == "DNN":
        return nets.mlp(40, [config.width] * 3, CLASSES, seed=config.seed)
    return student(Factored(factored=config.net == "factored", rank=config.rank, seed=config.seed))
