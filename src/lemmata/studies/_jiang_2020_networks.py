"""The networks of the study of Jiang et al. (2020): every combination of five hyperparameters, trained alike."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, nets, training
from lemmata.data.dataset import Dataset
from lemmata.data.preprocessing import mean_pool, whiten
from lemmata.studies._streams import Streams
from lemmata.study import Config

STREAMS = Streams("split", "weights", "batches", "sharpness", "permutation", "noise")
States = dict[str, Tensor]


class Networks(Config):
    """A grid of perceptrons, all trained by SGD on one training set to one training loss, and how they are judged."""

    data: Literal["mnist-5k", "mnist"] = "mnist-5k"
    pool: int = Field(default=2, ge=1, description="side of the blocks of pixels of a 28x28 image that are averaged")
    n: int = Field(default=500, ge=2, description="training examples")
    n_test: int = Field(default=3500, ge=1)
    depths: tuple[int, ...] = Field(default=(2, 3, 4), description="hidden layers")
    widths: tuple[int, ...] = Field(default=(32, 64, 128), description="units of each hidden layer")
    batches: tuple[int, ...] = Field(default=(16, 64), description="examples a step")
    step_sizes: tuple[float, ...] = (0.05, 0.1, 0.2)
    decays: tuple[float, ...] = Field(default=(0.0, 2e-3), description="weight decay")
    epochs: int = Field(default=400, ge=1, description="at most")
    fitted: float = Field(default=0.01, gt=0, description="training ends when the mean training loss is below this")
    draws: int = Field(default=6, ge=1, description="perturbations whose mean training error is the sharpness's")
    measured: Literal["networks", "permuted", "noisy gap", "hyperparameters"] = Field(
        default="networks", description="what stands for the measures' values; anything but networks is a control"
    )

    def table(self) -> dict[str, list[float]]:
        """The hyperparameters of all networks, in the order in which they are trained."""
        rows = list(product(self.depths, self.widths, self.batches, self.step_sizes, self.decays))
        names = ("depth", "width", "batch", "step size", "weight decay")
        return {name: [row[place] for row in rows] for place, name in enumerate(names)}


@dataclass(frozen=True)
class Group:
    """The networks of all seeds that share depth, width and batch, the seed outermost: (seeds x members) of each.

    `initial` are the states before training; `x` (M, n, d) and `y` (M, n) each network's own training set.
    """

    depth: int
    result: training.Result
    initial: States
    x: Tensor
    y: Tensor

    @property
    def layers(self) -> list[str]:
        """The names of the linear layers in order."""
        return [*(f"hidden{place + 1}" for place in range(self.depth)), "output"]


def prepared(setting: Networks) -> Dataset:
    """The whole dataset, averaged over blocks of pixels."""
    whole = data.load(setting.data)
    pooled = None if whole.x_test is None else mean_pool(whole.x_test, setting.pool)
    return replace(whole, x=mean_pool(whole.x, setting.pool), x_test=pooled)


def network(part: Dataset, widths: list[int], seed: int) -> nn.Sequential:
    """An untrained perceptron for the examples of `part`: that of a seed, whatever it is trained with."""
    return nets.mlp(part.x[0].numel(), widths, part.classes, seed=STREAMS.seed(seed, "weights"))


def trained(setting: Networks, seeds: Sequence[int]) -> Iterator[Group]:
    """Train the grid of all seeds, in groups of one architecture and batch, each in one call."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    whole = prepared(setting)
    parts = [whole.split(setting.n, setting.n_test, seed=STREAMS.seed(seed, "split")) for seed in seeds]
    own = list(product(setting.step_sizes, setting.decays))
    x, y, x_test, y_test = (
        torch.stack([value for part in stacked for value in [part] * len(own)]).to(device)
        for stacked in zip(*map(_examples, parts), strict=True)
    )
    for depth, width, batch in product(setting.depths, setting.widths, setting.batches):
        fresh = [network(whole, [width] * depth, seed).to(device) for seed in seeds]
        models = [model for model in fresh for _ in own]
        rule = training.SGD(
            lr=[step for _ in seeds for step, _ in own], weight_decay=[decay for _ in seeds for _, decay in own]
        )
        result = training.train(
            models, x, y, optimiser=rule, batch_size=batch, epochs=setting.epochs,
            seeds=[STREAMS.seed(seed, "batches") for seed in seeds for _ in own],
            stop=training.Stop(train_loss_below=setting.fitted), train_at=training.last_epoch,
            probes={"test_error": training.Probe(x_test, y_test, at=training.last_epoch)},
        )  # fmt: skip
        initial = {name: torch.stack([model.state_dict()[name] for model in models]) for name in result.states}
        yield Group(depth, result, initial, x, y)


def _examples(part: Dataset) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    assert part.x_test is not None
    assert part.y_test is not None
    return whiten(part.x).flatten(1), part.y, whiten(part.x_test).flatten(1), part.y_test
