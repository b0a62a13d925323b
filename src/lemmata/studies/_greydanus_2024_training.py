"""The four networks of MNIST-1D, trained on its signals, on the same with their pixels shuffled, or on digits.

Members that differ in seed and in the order of the pixels are trained in one call. A seed fixes initial weights, order
of the samples and the permutation, so that the two orders of a seed are paired.
"""

from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, nets
from lemmata.data import mnist1d
from lemmata.data.corruption import shuffle_pixels
from lemmata.data.preprocessing import mean_pool
from lemmata.nets.gru import gru
from lemmata.nets.residual_mlp import residual_mlp
from lemmata.studies._streams import Streams
from lemmata.study import Config, Curve, Measurements
from lemmata.training import Adam, Probe, epochs_at, last_epoch, train

STREAMS = Streams("weights", "samples", "pixels", "split", first=2000)  # none of a pilot or an earlier run
TRAIN, TEST = 4000, 1000
FRESH, FRESH_SEED = 10_000, 43  # signals of the same law, on which networks are judged; the published have seed 42
POINTS = 24  # times at which the accuracy is recorded
Model = Literal["linear", "mlp", "cnn", "gru"]


class Classifier(Config):
    """One network trained on one data set."""

    model: Model = "cnn"
    data: Literal["mnist1d", "mnist-5k"] = "mnist1d"
    order: Literal["kept", "shuffled"] = Field(default="kept", description="of a signal's pixels, the same for all")
    steps: int = Field(default=2200, ge=40, description="on signals")
    digit_steps: int = Field(default=600, ge=40, description="on digits")
    batch: int = Field(default=100, ge=1)
    step_size: float = Field(default=0.01, gt=0)


def train_classifiers(configs: Sequence[Classifier]) -> list[Measurements]:
    """Train all members at once; curves are on the 1,000 test samples, judged is on 10,000 fresh signals."""
    setting = configs[0]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    x, y, x_test, y_test, x_fresh, y_fresh = (
        torch.stack(part).to(device) for part in zip(*map(samples, configs), strict=True)
    )
    steps = setting.steps if setting.data == "mnist1d" else setting.digit_steps
    epochs = max(1, round(steps * setting.batch / TRAIN))
    at = epochs_at(sorted({*np.linspace(0, epochs, POINTS + 1).round().astype(int).tolist()}))
    result = train(
        [network(config, x[0, 0].shape).to(device) for config in configs], x, y, optimiser=Adam(lr=setting.step_size),
        batch_size=setting.batch, epochs=epochs, seeds=[STREAMS.seed(config.seed, "samples") for config in configs],
        train_at=last_epoch, probes={
            "test": Probe(x_test, y_test, metric="accuracy", at=at),
            "fresh": Probe(x_fresh, y_fresh, metric="accuracy", at=last_epoch),
        },
    )  # fmt: skip
    times, accuracies = (part.numpy() for part in result.curves["test"])
    return [
        Measurements.of(
            status="diverged" if bool(result.diverged[i]) else "ok",
            accuracy=result.final["fresh"][i],
            test_accuracy=result.final["test"][i],
            train_error=result.final["train_error"][i],
            accuracy_curve=Curve(times * (TRAIN // setting.batch), accuracies[i]),
        )
        for i in range(len(configs))
    ]


def samples(config: Classifier) -> tuple[Tensor, ...]:
    """Samples and labels to train, to test, and to judge: signals (n, 40) or digits (n, 196), in order or not."""
    whole = data.load(config.data)
    if config.data == "mnist-5k":
        whole = whole.split(TRAIN, TEST, seed=STREAMS.seed(config.seed, "split"))
    assert whole.x_test is not None
    assert whole.y_test is not None
    x, x_test = whole.x, whole.x_test
    if config.data == "mnist-5k":
        x, x_test = mean_pool(x, 2).flatten(1), mean_pool(x_test, 2).flatten(1)
    x_fresh, y_fresh = fresh_signals() if config.data == "mnist1d" else (x_test, whole.y_test)
    if config.order == "shuffled":
        permutation = torch.Generator().manual_seed(STREAMS.seed(config.seed, "pixels"))
        x, x_test, x_fresh = shuffle_pixels(x, x_test, x_fresh, generator=permutation)
    return x, whole.y, x_test, whole.y_test, x_fresh, y_fresh


@cache
def fresh_signals() -> tuple[Tensor, Tensor]:
    """Signals (10000, 40) that are neither of the published sets, and their labels."""
    x, y = mnist1d.generate(FRESH, seed=FRESH_SEED)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


def network(config: Classifier, shape: Sequence[int]) -> nn.Module:
    """An untrained network for flat samples of this shape; both orders of a seed have the same."""
    (inputs,) = shape
    seed = STREAMS.seed(config.seed, "weights")
    if config.data == "mnist-5k" and config.model == "cnn":
        side = round(inputs**0.5)
        image = nets.convnet(8, image=(1, side, side), hidden=32, seed=seed)
        return nn.Sequential(nn.Unflatten(1, (1, side, side)), *image)
    return published(config.model, inputs, seed=seed)


def published(model: Model, inputs: int = 40, *, width: int | None = None, seed: int) -> nn.Module:
    """A network of the paper's kind; without `width` (hidden units, or channels) of the published size.

    >>> sum(p.numel() for p in published("linear", seed=0).parameters())
    410
    """
    if model == "linear":
        return nets.mlp(inputs, [], 10, seed=seed)
    if model == "mlp":
        return residual_mlp(inputs, width or 100, seed=seed)
    if model == "gru":
        return gru(width or 6, length=inputs, seed=seed)
    net = nets.convnet1d(width or 25, length=inputs, fused=True, seed=seed)
    return nn.Sequential(nn.Unflatten(1, (1, inputs)), net)


class Architecture(Config):
    """An untrained network, whose parameters are counted."""

    model: Model = "cnn"
    inputs: int = Field(default=40, ge=1)
    width: int | None = Field(default=None, ge=1, description="hidden units, or channels; by default the published")


def count_parameters(configs: Sequence[Architecture]) -> list[Measurements]:
    """Count what each network has to learn."""
    nets_ = [published(c.model, c.inputs, width=c.width, seed=c.seed) for c in configs]
    return [Measurements.of(parameters=sum(p.numel() for p in net.parameters())) for net in nets_]
