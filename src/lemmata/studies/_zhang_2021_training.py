"""The randomisation tests of Zhang et al. (2021): what a network is trained on, how, and what is measured.

A member is one network on one version of the data. Members that differ only in seed, labels, corruption, inputs and
regulariser are trained in one call. Each condition of a seed shares split, initial weights and batches, so that
comparisons are paired, and a member's outcome does not depend on which others it is trained with.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from lemmata import data, nets, training
from lemmata.data.corruption import corrupt_labels, gaussian_pixels, random_labels, random_pixels, shuffle_pixels
from lemmata.data.dataset import Dataset
from lemmata.data.preprocessing import mean_pool, whiten
from lemmata.studies._streams import Streams
from lemmata.study import Config, Curve, Measurements, Section
from lemmata.training.epochs import Epochs

STREAMS = Streams("split", "labels", "inputs", "weights", "batches")


class Network(Section):
    """A perceptron (`depth` 0 is a linear model) or a small convolutional network with `width` channels."""

    kind: Literal["mlp", "convnet"] = "mlp"
    width: int = Field(default=512, ge=1, description="hidden units, or channels")
    depth: int = Field(default=1, ge=0, description="hidden layers of the perceptron")


class Training(Section):
    """Stochastic gradient descent with momentum."""

    step_size: float = Field(default=0.05, gt=0)
    step_decay: float = Field(default=1.0, gt=0, le=1, description="factor of the step size after each epoch")
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0, description="used where the regulariser is weight decay")
    batch: int = Field(default=50, ge=1)
    epochs: int = Field(default=120, ge=1, description="at most")
    fitted: float = Field(default=0.005, gt=0, description="training ends when the mean training loss is below this")


class Randomisation(Config):
    """One network trained on one version of the data."""

    data: Literal["mnist-5k", "cifar10"] = "mnist-5k"
    pool: int = Field(default=2, ge=1, description="side of the blocks of pixels of a 28x28 image that are averaged")
    n: int = Field(default=1000, ge=1, description="training examples")
    n_test: int = Field(default=1500, ge=1)
    n_validation: int = Field(default=500, ge=1, description="examples that early stopping watches")
    labels: Literal["true", "random", "redrawn"] = "true"
    corruption: float = Field(default=0.0, ge=0, le=1, description="probability that a true label is redrawn")
    inputs: Literal["true", "shuffled", "random", "gaussian"] = "true"
    regulariser: Literal["none", "weight decay", "early stopping"] = "none"
    network: Network = Network()
    training: Training = Training()


def train_on_randomised(configs: Sequence[Randomisation]) -> list[Measurements]:
    """Train all members at once, those that are stopped early apart from the others; each is measured where it ends."""
    early = [config.regulariser == "early stopping" for config in configs]
    found: dict[int, Measurements] = {}
    for watched in (False, True):
        own = [i for i, stops in enumerate(early) if stops is watched]
        if own:
            found |= zip(
                own, _trained([configs[i] for i in own], CHECKS if watched else training.last_epoch), strict=True
            )
    return [found[i] for i in range(len(configs))]


def _trained(configs: Sequence[Randomisation], at: Epochs) -> list[Measurements]:
    """Train in one call; the test and validation examples are looked at where a network ends, and `at` some epochs."""
    setting = configs[0]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    whole = prepared(setting)
    samples = [[part.to(device) for part in randomised(config, whole)] for config in configs]
    x, y, x_test, y_test = (torch.stack(parts) for parts in zip(*samples, strict=True))
    del samples
    decay = [config.training.weight_decay * (config.regulariser == "weight decay") for config in configs]
    rule = training.SGD(lr=setting.training.step_size, momentum=setting.training.momentum, weight_decay=decay)
    checked = training.Probe(x_test[:, : setting.n_test], y_test[:, : setting.n_test], metric="error", at=at)
    watched = training.Probe(x_test[:, setting.n_test :], y_test[:, setting.n_test :], metric="error", at=at)
    result = training.train(
        [network(config, whole).to(device) for config in configs], x, y, optimiser=rule,
        batch_size=setting.training.batch, epochs=setting.training.epochs,
        seeds=[STREAMS.seed(config.seed, "batches") for config in configs],
        schedule=training.exponential(setting.training.step_decay), train_at=CHECKS,
        stop=training.Stop(train_loss_below=setting.training.fitted),
        probes={"test_error": checked, "validation_error": watched}, relabel=redraw(configs, y, whole.classes),
    )  # fmt: skip
    return [_measured(config, result, i) for i, config in enumerate(configs)]


def CHECKS(epochs: int) -> list[int]:  # noqa: N802  (a constant that depends on the length of the training)
    """The epochs after which errors are measured: all up to 20, then one in five."""
    return sorted({*range(1, min(epochs, 20) + 1), *range(20, epochs + 1, 5), epochs})


def prepared(setting: Randomisation) -> Dataset:
    """The whole dataset, each image cropped to its centre of 28x28 and averaged over blocks."""
    whole = data.load(setting.data)
    edge = (whole.x.shape[-1] - 28) // 2
    centre = slice(edge, edge + 28)

    def resized(x: Tensor | None) -> Tensor | None:
        return None if x is None else mean_pool(x[:, :, centre, centre], setting.pool)

    return replace(whole, x=resized(whole.x), x_test=resized(whole.x_test))


def randomised(config: Randomisation, whole: Dataset) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training inputs and labels as the tests want them, then test and validation examples, whose labels are true."""
    part = whole.split(config.n, config.n_test + config.n_validation, seed=STREAMS.seed(config.seed, "split"))
    assert part.x_test is not None
    assert part.y_test is not None
    x, x_test, draw = part.x, part.x_test, STREAMS.generator(config.seed, "inputs")
    if config.inputs == "shuffled":
        x, x_test = shuffle_pixels(x, x_test, generator=draw)
    elif config.inputs == "random":
        x, x_test = random_pixels(x, generator=draw), random_pixels(x_test, generator=draw)
    elif config.inputs == "gaussian":
        x, x_test = gaussian_pixels(x, generator=draw), gaussian_pixels(x_test, generator=draw)
    draw = STREAMS.generator(config.seed, "labels")
    if config.labels == "true":
        y = corrupt_labels(part.y, config.corruption, whole.classes, generator=draw)
    else:
        y = random_labels(config.n, whole.classes, generator=draw)
    return whiten(x), y, whiten(x_test), part.y_test


def network(config: Randomisation, whole: Dataset) -> torch.nn.Module:
    """An untrained network, the same for all conditions of a seed."""
    seed, kind = STREAMS.generator(config.seed, "weights"), config.network
    if kind.kind == "convnet":
        depth, height, width = whole.x.shape[1:]
        return nets.convnet(kind.width, image=(depth, height, width), outputs=whole.classes, seed=seed)
    return nets.mlp(whole.x[0].numel(), [kind.width] * kind.depth, whole.classes, seed=seed)


def redraw(configs: Sequence[Randomisation], y: Tensor, classes: int) -> Callable[[int], Tensor] | None:
    """What gives each epoch its labels: those members that ask for it get new random ones; None if there are none."""
    draws = {i: STREAMS.generator(c.seed, "labels") for i, c in enumerate(configs) if c.labels == "redrawn"}
    if not draws:
        return None
    labels = y.clone()

    def relabel(epoch: int) -> Tensor:
        for i, draw in draws.items():
            labels[i] = random_labels(labels.shape[1], classes, generator=draw).to(labels.device)
        return labels

    return relabel


def _measured(config: Randomisation, result: training.Result, i: int) -> Measurements:
    """Errors at the end of training or, stopped early, after the epoch with the least validation error."""
    last, fitted = int(result.stopped_at[i]), bool(result.stopped[i])
    errors = {name: float(result.final[name][i]) for name in ("train_error", "test_error")}
    if config.regulariser == "early stopping":
        epochs, validation = result.curves["validation_error"]
        best = int(validation[i].argmin())  # a network that has stopped keeps its error
        errors = {name: float(result.curves[name][1][i, best]) for name in errors}
        last = min(last, int(epochs[best]))
    epochs, losses = (part.numpy() for part in result.curves["train_loss"])
    return Measurements.of(
        status="diverged" if bool(result.diverged[i]) else "ok",
        epochs_to_fit=float(result.stopped_at[i]) if fitted else float("inf"),
        last_epoch=last,
        **errors,
        train_loss=Curve(epochs, losses[i]),
    )
