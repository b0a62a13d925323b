"""Deep networks of three kinds trained on classes that lie along curves: the runs of `haber_ruthotto_2017`.

The plane is widened by zeros, goes through N residual layers on [0, T], h = T / N, and a linear classifier; all is
trained by Adam on all samples. Every layer has its own weights; at the beginning they are the same, as after the
refinement of a shallow network.

    plain           y' = tanh(K y + b)                                        forward Euler
    antisymmetric   y' = tanh((K - K^T) y + b)                                forward Euler
    verlet          y' = tanh(K z + b),  z' = -tanh(K^T y + b),  z(0) = 0     Verlet's staggered steps
"""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import flows, training
from lemmata.data import curves, synthetic
from lemmata.flows.layers.residual import Layer
from lemmata.studies._haber_ruthotto_2017_propagation import STREAM
from lemmata.study import Config, Measurements


class Deep(Config):
    """One network on one law of data."""

    kind: Literal["plain", "antisymmetric", "verlet"] = "verlet"
    law: Literal["circles", "swiss roll", "peaks"] = "circles"
    layers: int = Field(default=128, ge=1)
    T: float = Field(default=16.0, gt=0)
    width: int = Field(default=8, ge=2)
    n: int = Field(default=200, ge=1)
    n_test: int = Field(default=512, ge=1)
    steps: int = Field(default=50, ge=1, description="steps of Adam on all samples")
    lr: float = Field(default=0.01, gt=0)


class Inspired(Layer, flows.Partitioned):
    """q' = tanh(K p + b), p' = -tanh(K^T q + b)."""

    def first(self, p: Tensor, *weights: Tensor) -> Tensor:
        """Give q'."""
        K, b = weights
        return torch.tanh(p @ K.mT + b)

    def second(self, q: Tensor, *weights: Tensor) -> Tensor:
        """Give p'."""
        K, b = weights
        return -torch.tanh(q @ K + b)


KINDS = {
    "plain": (flows.Plain, "forward-euler"),
    "antisymmetric": (flows.Antisymmetric, "forward-euler"),
    "verlet": (Inspired, "symplectic-euler"),
}


class Widened(nn.Module):
    """The features with zeros beside them."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """Append zeros."""
        return nn.functional.pad(x, (0, self.width - x.shape[-1]))


def network(config: Deep, classes: int) -> nn.Sequential:
    """The network with its initial weights."""
    kind, method = KINDS[config.kind]
    generator = _stream(config, 8)
    field = kind(config.width, flows.PiecewiseConstant(config.layers, T=config.T), seed=generator)
    with torch.no_grad():
        for theta in field.coefficients.values():
            theta.copy_(theta[:1].clone().expand_as(theta))
        last = nn.utils.skip_init(nn.Linear, config.width, classes)
        for parameter in last.parameters():
            parameter.copy_((2 * torch.rand(parameter.shape, generator=generator) - 1) / config.width**0.5)
    return nn.Sequential(Widened(config.width), flows.Flow(field, steps=config.layers, method=method), last)


def samples(config: Deep, n: int, stream: int) -> tuple[Tensor, Tensor]:
    """So many samples of the law, features of about the size 1."""
    generator = _stream(config, stream)
    if config.law == "circles":
        return curves.circles(n, noise=0.1, generator=generator, dtype=torch.float32)
    if config.law == "swiss roll":
        return curves.swiss_roll(n, generator=generator, dtype=torch.float32)
    x, y = synthetic.peaks_classes(n, generator=generator, dtype=torch.float32)
    return x / 3, y


def learn(configs: Sequence[Deep]) -> list[Measurements]:
    """Train all seeds of one setting together."""
    first = configs[0]
    classes = 5 if first.law == "peaks" else 2
    x, y = (torch.stack(part) for part in zip(*(samples(c, c.n, 9) for c in configs), strict=True))
    models = [network(config, classes) for config in configs]
    run = training.train(
        models, x, y, optimiser=training.Adam(lr=first.lr), epochs=first.steps, train_at=training.last_epoch
    )
    return [_measured(config, models[i], run.model(i)) for i, config in enumerate(configs)]


def _measured(config: Deep, before: nn.Module, after: nn.Module) -> Measurements:
    x, y = samples(config, config.n_test, 10)
    with torch.no_grad():
        accuracy = float((after(x).argmax(1) == y).double().mean())
        start, flow = before[0](x[:4]), before[1]  # type: ignore[index]
        found = flows.perturbation_growth(flow, start, directions=1, seed=_stream(config, 11))
    return Measurements.of(accuracy=accuracy, stretch=found.stretch[-1].mean())


def _stream(config: Deep, stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(100 * (STREAM + config.seed) + stream)
