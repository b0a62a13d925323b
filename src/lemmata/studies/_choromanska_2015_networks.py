"""Many trainings of one small network in `choromanska_2015`: where they end, on the training and on test digits.

A member is one width of one seed: `nets` networks of one hidden layer, from independent weights and with independent
batch orders, on the same digits (10x10 pixels). All networks of one width, of all seeds, are trained in one call. What
is recorded of a member is the distribution of the final losses: its mean, its spread (the standard deviation over the
networks), its worst over its best, and the correlation of training and test losses. `measured` says of which losses:
those of the networks after training, or before.

Five seeds are tested on disjoint fifths of the data set, and each is trained on a draw of its own from the rest.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from lemmata import data, nets, training
from lemmata.studies._choromanska_2015_theory import FRESH
from lemmata.studies._disjoint_fifths import disjoint_fifths
from lemmata.studies._streams import Streams
from lemmata.study import Config, Measurements

STREAMS = Streams("split", "weights", "batches", first=FRESH)


class Networks(Config):
    """A width, and how many networks of it are trained."""

    data: Literal["mnist-5k", "mnist"] = "mnist-5k"
    side: int = Field(default=10, ge=2, description="pixels a side, by averaging")
    n: int = Field(default=500, ge=2, description="training digits")
    n_test: int = Field(default=1000, ge=2, description="test digits, at most a fifth of all")
    width: int = Field(default=16, ge=1, description="hidden units")
    nets: int = Field(default=20, ge=3, description="networks a seed, from independent weights")
    epochs: int = Field(default=40, ge=1)
    batch: int = Field(default=50, ge=1)
    step_size: float = Field(default=0.1, gt=0, description="at the start; it falls like half a cosine")
    measured: Literal["trained", "untrained"] = "trained"


def train_many(configs: Sequence[Networks]) -> list[Measurements]:
    """Train the networks of all seeds of the block, once, and summarise each member's."""
    setting, seeds = configs[0], sorted({config.seed for config in configs})
    x, y, x_test, y_test = digits(setting, seeds)
    models = [
        nets.mlp(
            setting.side**2,
            [setting.width],
            10,
            initialisation=unit_cube,
            seed=STREAMS.generator(seed, "weights", setting.width, i),
        )
        for seed in seeds
        for i in range(setting.nets)
    ]
    ends = training.epochs_at([0, setting.epochs])
    result = training.train(
        models, x, y, optimiser=training.SGD(lr=setting.step_size, momentum=0.9), epochs=setting.epochs,
        batch_size=setting.batch, schedule=training.cosine(), train_at=ends,
        seeds=[STREAMS.seed(seed, "batches", setting.width, i) for seed in seeds for i in range(setting.nets)],
        probes={
            "test": training.Probe(x_test, y_test, metric="cross_entropy", at=ends),
            "error": training.Probe(x_test, y_test, metric="error", at=ends),
        },
    )  # fmt: skip
    rows = {seed: slice(i * setting.nets, (i + 1) * setting.nets) for i, seed in enumerate(seeds)}
    curves = {name: values for name, (_, values) in result.curves.items() if name != "running_loss"}
    return [
        _measured(config, {name: values[rows[config.seed]].numpy() for name, values in curves.items()})
        for config in configs
    ]


def unit_cube(weight: Tensor, generator: torch.Generator) -> None:
    """The law of the initial weights: uniform on the cube of side 1 around 0, whatever the width."""
    torch.nn.init.uniform_(weight, -0.5, 0.5, generator=generator)


def _measured(config: Networks, ends: dict[str, np.ndarray]) -> Measurements:
    """Summarise the networks of a member; ends[...] (nets, 2) before and after training."""
    if not all(np.isfinite(values).all() for values in ends.values()):
        return Measurements(status="diverged")
    when = 0 if config.measured == "untrained" else 1
    train, test = ends["train_loss"][:, when], ends["test"][:, when]
    found: dict[str, Any] = {**summary(train, test), "error": ends["error"][:, when].mean()}
    return Measurements.of(**found, train_losses=train, test_losses=test)


def summary(train: np.ndarray, test: np.ndarray) -> dict[str, float]:
    """What a sample of training and test losses (nets,) says of their distribution.

    ``mean``, ``spread``   of the test losses: mean and standard deviation (with nets - 1)
    ``worst_over_best``    largest test loss over smallest
    ``correlation``        Pearson's, between training and test losses

    >>> found = summary(np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0]))
    >>> found["mean"], found["spread"], found["worst_over_best"], round(found["correlation"], 12)
    (2.0, 1.0, 3.0, 1.0)
    """
    return {
        "mean": float(test.mean()),
        "spread": float(test.std(ddof=1)),
        "worst_over_best": float(test.max() / test.min()),
        "correlation": float(np.corrcoef(train, test)[0, 1]),
    }


def digits(setting: Networks, seeds: Sequence[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training and test digits of every network: x (S nets, n, side^2), y (S nets, n), and the same of the test set."""
    whole = data.load(setting.data)
    x = adaptive_avg_pool2d(whole.x, setting.side).flatten(1)
    parts = [_sample(setting, x, whole.y, seed) for seed in seeds]
    columns = [torch.stack([part[i] for part in parts]) for i in range(4)]
    x, y, x_test, y_test = (column.repeat_interleave(setting.nets, 0) for column in columns)
    return x, y, x_test, y_test


def _sample(setting: Networks, x: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    (rest, labels), (held, held_labels) = disjoint_fifths(x, y, [FRESH + seed])
    rows = torch.randperm(len(rest), generator=STREAMS.generator(seed, "split"))[: setting.n]
    return rest[rows], labels[rows], held[: setting.n_test], held_labels[: setting.n_test]
