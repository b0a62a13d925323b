"""Perceptrons on noisy MNIST-1D: what one member of `nakkiran_2020` is, how it is trained, and what is read off it.

All seeds, label noises and weight decays of one width and one number of samples are trained in one call. A shorter
training with a constant step size is the beginning of a longer one, and early stopping chooses an epoch of it, so that
members which differ in these alone share one training.
"""

from collections.abc import Sequence
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata import nets
from lemmata.data import mnist1d
from lemmata.data.corruption import corrupt_labels
from lemmata.studies._streams import Streams
from lemmata.study import Config
from lemmata.training import SGD, Probe, epochs_at, train

POOL, VALIDATION, TEST = 1500, 1000, 2000
STREAMS = Streams("signals", "labels", "weights", "order", first=1000)
MARKS = (1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 50, 70, 100, 140, 200, 280, 400)
CURVES = ("train_error", "train_loss", "validation_loss", "test_loss", "test_error")


class Perceptrons(Config):
    """Perceptrons 40-h-h-10 with ReLU, by SGD with momentum and a constant step size."""

    label_noise: float = Field(
        default=0.15, ge=0, le=1, description="share of training labels replaced by another class"
    )
    weight_decay: float = Field(default=0.0, ge=0)
    epochs: int = Field(default=400, ge=1)
    stopping: Literal["none", "validation"] = Field(default="none", description="which epoch counts: last, or the best")
    step_size: float = Field(default=0.03, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    batch: int = Field(default=50, ge=1)

    @property
    def training(self) -> tuple[int, float, float]:
        """What tells one training of a block from another: seed, label noise, weight decay."""
        return self.seed, self.label_noise, self.weight_decay


SHARED = ("seed", "label_noise", "weight_decay", "epochs", "stopping")  # what members of one block may differ in


class History(NamedTuple):
    """Epochs (T,), and each of `CURVES` over them (T,)."""

    epochs: np.ndarray
    curves: dict[str, np.ndarray]

    def chosen(self, config: Perceptrons) -> dict[str, float]:
        """The measurements at the last epoch, or at that of the least loss on the validation set."""
        within = self.epochs <= config.epochs
        last = int(within.sum()) - 1
        best = int(self.curves["validation_loss"][within].argmin())
        place = best if config.stopping == "validation" else last
        return {name: float(values[place]) for name, values in self.curves.items()}


def histories(configs: Sequence[Perceptrons], *, n: int, width: int) -> list[History]:
    """Train every member's network on its first n samples, each training once, and follow it over the epochs."""
    unique = {config.training: config for config in configs}
    x, y = (torch.stack(part) for part in zip(*(samples(c, n) for c in unique.values()), strict=True))
    longest = max(config.epochs for config in configs)
    at = epochs_at([*(mark for mark in MARKS if mark < longest), longest])
    unseen = {
        part: [torch.stack(tensors) for tensors in zip(*(held_out(c, part) for c in unique.values()), strict=True)]
        for part in ("validation", "test")
    }
    result = train(
        [nets.mlp(x.shape[2], [width, width], 10, seed=STREAMS.seed(c.seed, "weights")) for c in unique.values()], x, y,
        optimiser=SGD(
            lr=configs[0].step_size, momentum=configs[0].momentum,
            weight_decay=[config.weight_decay for config in unique.values()],
        ),
        batch_size=configs[0].batch, epochs=longest, seeds=[STREAMS.seed(c.seed, "order") for c in unique.values()],
        train_at=at,
        probes={
            **{f"{part}_loss": Probe(*both, metric="cross_entropy", at=at) for part, both in unseen.items()},
            "test_error": Probe(*unseen["test"], metric="error", at=at),
        },
    )  # fmt: skip
    epochs = np.asarray(result.curves["test_loss"][0])
    of = {
        key: History(epochs, {name: result.curves[name][1][i].numpy() for name in CURVES})
        for i, key in enumerate(unique)
    }
    return [of[config.training] for config in configs]


def samples(config: Perceptrons, n: int) -> tuple[Tensor, Tensor]:
    """The first n of a seed's samples, (n, 40) and (n,), some labels wrong; nested in n and in the label noise."""
    x, y = _signals(config.seed)
    generator = torch.Generator().manual_seed(STREAMS.seed(config.seed, "labels"))
    return x[:n], corrupt_labels(y[:POOL], config.label_noise, 10, generator=generator, how="other")[:n]


def held_out(config: Perceptrons, part: str) -> tuple[Tensor, Tensor]:
    """Validation or test set of a seed, with true labels: they are not shared, so that seeds are independent."""
    x, y = _signals(config.seed)
    chosen = slice(POOL, POOL + VALIDATION) if part == "validation" else slice(POOL + VALIDATION, None)
    return x[chosen], y[chosen]


@cache
def _signals(seed: int) -> tuple[Tensor, Tensor]:
    x, y = mnist1d.generate(POOL + VALIDATION + TEST, seed=STREAMS.seed(seed, "signals"))
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)
