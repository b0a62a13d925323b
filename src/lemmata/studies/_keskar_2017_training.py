"""Pairs of networks for the study of Keskar et al. (2017): one trained with small batches, one with large ones."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from lemmata import data, nets, training
from lemmata.data.dataset import Dataset
from lemmata.data.preprocessing import mean_pool
from lemmata.studies._streams import Streams
from lemmata.study import Config

STREAMS = Streams("split", "weights", "small", "large", "subspace")


class Pair(Config):
    """Two networks of one initialisation, on one training set, trained alike but for the size of the batch."""

    data: Literal["mnist-5k", "mnist"] = "mnist-5k"
    pool: int = Field(default=2, ge=1, description="side of the blocks of pixels of a 28x28 image that are averaged")
    n: int = Field(default=2000, ge=2, description="training examples")
    n_test: int = Field(default=3000, ge=1)
    width: int = Field(default=64, ge=1, description="units of each hidden layer")
    depth: int = Field(default=5, ge=1, description="hidden layers")
    norm: bool = Field(default=True, description="batch normalisation between each hidden layer and its ReLU")
    small: float = Field(default=0.01, gt=0, le=1, description="a small batch, as a share of the training set")
    large: float = Field(default=0.1, gt=0, le=1, description="a large batch")
    sizes: Literal["as named", "exchanged", "both large"] = "as named"
    step_size: float = Field(default=1e-3, gt=0, description="of Adam")
    epochs: int = Field(default=400, ge=1, description="at most")
    fitted: float = Field(default=0.005, ge=0, description="training ends when the mean training loss is below this")
    subspace: int = Field(default=100, ge=1, description="dimensions p of the random subspace")
    shrink: float = Field(default=1.0, gt=0, description="what the small-batch solution is divided by, if normalised")
    measured: Literal["all", "errors"] = Field(
        default="all", description="whether sharpness is measured, or errors only"
    )


def prepared(setting: Pair) -> Dataset:
    """The whole dataset, averaged over blocks of pixels."""
    whole = data.load(setting.data)
    pooled = None if whole.x_test is None else mean_pool(whole.x_test, setting.pool)
    return replace(whole, x=mean_pool(whole.x, setting.pool), x_test=pooled)


def network(setting: Pair, inputs: int, outputs: int, *, seed: int | torch.Generator) -> nn.Sequential:
    """A perceptron whose hidden layers are linear, batch normalisation (if asked for), ReLU."""
    plain = nets.mlp(inputs, [setting.width] * setting.depth, outputs, seed=seed)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name, module in plain.named_children():
        layers[name] = module
        if setting.norm and name.startswith("hidden"):
            layers[name.replace("hidden", "norm")] = nn.BatchNorm1d(setting.width)
    return nn.Sequential(layers)


def taken(sizes: str, place: str) -> str:
    """Which batch the network in this place of a pair is trained with, ``"small"`` or ``"large"``."""
    other = {"small": "large", "large": "small"}
    return {"as named": place, "exchanged": other[place], "both large": "large"}[sizes]


def batch(setting: Pair, name: str) -> int:
    """The number of examples in a batch that is called ``"small"`` or ``"large"``."""
    return max(1, round(getattr(setting, name) * setting.n))


def trained(setting: Pair, name: str, runs: Sequence[tuple[int, str]], parts: Mapping[int, Dataset]) -> training.Result:
    """Train a network with ``"small"`` or ``"large"`` batches for each run, all at once.

    A run is a seed and the place in a pair that the network is for, which has an order of examples of its own.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    x, y, x_test, y_test = (
        torch.stack([getattr(parts[seed], part) for seed, _ in runs]).to(device)
        for part in ("x", "y", "x_test", "y_test")
    )
    inputs, outputs = x[0, 0].numel(), parts[runs[0][0]].classes
    models = [network(setting, inputs, outputs, seed=STREAMS.seed(seed, "weights")).to(device) for seed, _ in runs]
    return training.train(
        models, x, y, optimiser=training.Adam(lr=setting.step_size), batch_size=batch(setting, name),
        epochs=setting.epochs, seeds=[STREAMS.seed(seed, place) for seed, place in runs],
        stop=training.Stop(train_loss_below=setting.fitted) if setting.fitted else None,
        probes={"test_error": training.Probe(x_test, y_test, at=training.log_epochs(20))},
    )  # fmt: skip
