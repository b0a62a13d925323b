"""Two copies of a network, trained from step k on with different data orders, and the line between them."""

from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, nets, pruning
from lemmata.landscape import paths
from lemmata.studies._disjoint_fifths import disjoint_fifths
from lemmata.study import Config, Curve, Measurements
from lemmata.training import SGD, Adam, train
from lemmata.training.streams import derived

POINTS = 17  # of the line; the instability is read off every second, since the largest of many is too large
UNRELATED = 77  # what the orders of unrelated networks are drawn for
STREAMS = 200_000  # added to every seed; a multiple of five, so that five seeds share an order of the samples


class Copies(Config):
    """Two copies of a perceptron that part after so many epochs."""

    source: Literal["mnist1d", "mnist-5k"] = "mnist1d"
    layers: int = Field(default=5, ge=0, description="hidden layers of 100 units; 0 is softmax regression")
    part: float = Field(default=0.0, ge=0, description="epochs after which the copies part")
    unrelated: bool = Field(default=False, description="two networks with other initial weights in place of copies")
    reach: float = Field(default=1.0, gt=0, le=1, description="where the line ends, in units of the way to the second")
    n: int = Field(default=4000, ge=50, description="samples to train on")
    epochs: int = Field(default=20, ge=1)
    batch: int = Field(default=50, ge=1)
    lr: float = Field(default=0.05, gt=0, description="step size of SGD with momentum 0.9")


class LeNet(Copies):
    """The same of LeNet-300-100 on digits, trained by Adam."""

    source: Literal["mnist1d", "mnist-5k"] = "mnist-5k"
    epochs: int = Field(default=4, ge=1)
    batch: int = Field(default=60, ge=1)
    lr: float = Field(default=1.2e-3, gt=0, description="step size of Adam")


def instabilities(configs: Sequence[Copies]) -> list[Measurements]:
    """Train all copies of all seeds; measure on the line of each pair how far errors rise, and where."""
    first = configs[0]
    seeds = sorted({config.seed + STREAMS for config in configs})
    (x, y), test = disjoint_fifths(*_whole(first.source), seeds)
    x, y = (x[: first.n], y[: first.n]) if y.ndim == 1 else (x[:, : first.n], y[:, : first.n])
    steps = {config.part: round(config.part * -(-first.n // first.batch)) for config in configs}
    options = {"optimiser": _rule(first), "epochs": first.epochs, "batch_size": first.batch}
    found = None
    if not first.unrelated:
        found = pruning.instability(
            lambda seed: network(first, seed), (x, y), test=test, steps=list(steps.values()), seeds=seeds,
            points=POINTS, **options,
        )  # fmt: skip
    apart = unrelated(first, seeds, (x, y), test, options) if first.unrelated else None
    measured = []
    for config in configs:
        i = seeds.index(config.seed + STREAMS)
        if found is not None:
            errors = found.error[found.steps.index(steps[config.part]), i]
        else:
            assert apart is not None
            errors = apart[i]
        measured.append(_measured(errors.numpy(), config.reach))
    return measured


def _measured(errors: np.ndarray, reach: float) -> Measurements:
    """What a line says, of which the part from t = 0 to `reach` is looked at."""
    ends, every = (errors[0] + errors[-1]) / 2, errors[::2]
    part = errors[: round(reach * (POINTS - 1)) + 1]
    return Measurements.of(
        instability=float(every.max() - ends), error=float(ends), highest_at=float(part.argmax() / (len(part) - 1)),
        line=Curve(np.linspace(0, 1, len(every)), every),
    )  # fmt: skip


Pair = tuple[Tensor, Tensor]


def unrelated(config: Copies, seeds: Sequence[int], samples: Pair, test: Pair, options: dict) -> list[Tensor]:
    """The errors on the lines between two networks of each seed with independent initial weights."""
    ends = [
        train(
            [network(config, seed, other=other) for seed in seeds], *samples,
            seeds=derived(seeds, UNRELATED + other), **options,
        )
        for other in (0, 1)
    ]  # fmt: skip
    lines = []
    for i in range(len(seeds)):
        own = test if test[1].ndim == 1 else (test[0][i], test[1][i])
        a, b = (end.model(i) for end in ends)
        lines.append(torch.as_tensor(paths.linear(a, a, b, data=own, points=POINTS).error))
    return lines


def network(config: Copies, seed: int, *, other: int = 0) -> nn.Sequential:
    """A perceptron with He's weights on 40 numbers, or LeNet-300-100 with Glorot's on an image."""
    draw = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, 78 + other]).generate_state(1)[0]))
    if config.source == "mnist-5k":
        return nets.mlp(784, [300, 100], 10, initialisation="xavier_normal", seed=draw)
    return nets.mlp(40, [100] * config.layers, 10, initialisation="he", seed=draw)


def _rule(config: Copies) -> SGD | Adam:
    return Adam(lr=config.lr) if config.source == "mnist-5k" else SGD(lr=config.lr, momentum=0.9)


@cache
def _whole(source: str) -> Pair:
    whole = data.load(source).flat()
    if whole.x_test is None or whole.y_test is None:
        return whole.x, whole.y
    return torch.cat([whole.x, whole.x_test]), torch.cat([whole.y, whole.y_test])
