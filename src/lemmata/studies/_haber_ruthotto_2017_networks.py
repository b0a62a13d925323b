"""The deep networks of `haber_ruthotto_2017`, one at a time, and their data.

The plane is widened by zeros, goes through N residual layers on [0, T], h = T / N, and a linear classifier. Every layer
has its own weights; at the beginning they are the same, as after the refinement of a shallow network.

    plain           y' = tanh(K y + b)                                        forward Euler
    antisymmetric   y' = tanh((K - K^T + r I) y + b), r = 0                   forward Euler
    verlet          y' = tanh(K z + b),  z' = -tanh(K^T y + b),  z(0) = 0     Verlet's staggered steps
"""

from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import flows
from lemmata.data import curves, synthetic
from lemmata.flows.layers.residual import Layer
from lemmata.studies._haber_ruthotto_2017_propagation import STREAM
from lemmata.study import Config

CLASSES = {"circles": 2, "swiss roll": 2, "peaks": 5}


class Initial(Config):
    """One network with its initial weights, on one law of data."""

    kind: Literal["plain", "antisymmetric", "verlet"] = "verlet"
    law: Literal["circles", "swiss roll", "peaks"] = "circles"
    layers: int = Field(default=128, ge=1)
    T: float = Field(default=16.0, gt=0)
    real: float = Field(default=0.0, ge=0, description="r, added to the diagonal of antisymmetric weights")
    width: int = Field(default=8, ge=2)
    n_test: int = Field(default=512, ge=4)


class Deep(Initial):
    """The network, trained."""

    n: int = Field(default=200, ge=1)
    steps: int = Field(default=50, ge=1, description="steps of Adam on all samples")
    lr: float = Field(default=0.01, gt=0)


class Lifted(flows.Antisymmetric):
    """y' = tanh((K - K^T + r I) y + b), whose eigenvalues have real parts above 0 for r > 0."""

    def __init__(self, *arguments: Any, real: float = 0.0, **options: Any):
        super().__init__(*arguments, **options)
        self.real = real

    def velocity(self, y: Tensor, *weights: Tensor) -> Tensor:
        """Give y'."""
        K, b = weights
        return torch.tanh(self.inner(K - K.mT, b, y) + self.real * y)


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


METHODS = {"plain": "forward-euler", "antisymmetric": "forward-euler", "verlet": "symplectic-euler"}


class Widened(nn.Module):
    """The features with zeros beside them."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """Append zeros."""
        return nn.functional.pad(x, (0, self.width - x.shape[-1]))


def network(config: Initial) -> nn.Sequential:
    """The network with its initial weights."""
    generator, basis = stream(config, 8), flows.PiecewiseConstant(config.layers, T=config.T)
    options: dict[str, Any] = {"seed": generator}
    if config.kind == "antisymmetric":
        field: Layer = Lifted(config.width, basis, real=config.real, **options)
    else:
        field = {"plain": flows.Plain, "verlet": Inspired}[config.kind](config.width, basis, **options)
    with torch.no_grad():
        for theta in field.coefficients.values():
            theta.copy_(theta[:1].clone().expand_as(theta))
        last = nn.utils.skip_init(nn.Linear, config.width, CLASSES[config.law])
        for parameter in last.parameters():
            parameter.copy_((2 * torch.rand(parameter.shape, generator=generator) - 1) / config.width**0.5)
    flow = flows.Flow(field, steps=config.layers, method=METHODS[config.kind])
    return nn.Sequential(Widened(config.width), flow, last)


def samples(config: Initial, n: int, purpose: int) -> tuple[Tensor, Tensor]:
    """So many samples of the law, features of about the size 1."""
    generator = stream(config, purpose)
    if config.law == "circles":
        return curves.circles(n, noise=0.1, generator=generator, dtype=torch.float32)
    if config.law == "swiss roll":
        return curves.swiss_roll(n, generator=generator, dtype=torch.float32)
    x, y = synthetic.peaks_classes(n, generator=generator, dtype=torch.float32)
    return x / 3, y


def stream(config: Initial, purpose: int) -> torch.Generator:
    """The random numbers that a seed draws for one purpose."""
    return torch.Generator().manual_seed(100 * (STREAM + config.seed) + purpose)
