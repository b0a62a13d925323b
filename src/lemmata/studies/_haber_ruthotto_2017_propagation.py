"""How perturbations go through layers with given weights: the forward problems of `haber_ruthotto_2017`.

`propagate`: y' = tanh(K y), K = real I + rotation J with J a quarter turn, by forward Euler: a perturbation of a small
y grows by ln|1 + h lambda| a layer, lambda = real +- i rotation. `threshold`: q' = tanh(K p), p' = -tanh(K^T q) with a
random K of norm `gain`, by Verlet's staggered steps of many lengths, all in one call: bounded for h gain <= 2 only.
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import flows
from lemmata.study import Config, Curve, Measurements

STREAM = 5_231_000
SMALL = 1e-2
TINY = 1e-9
STEPS = np.round(np.arange(0.5, 3.001, 0.05), 2)


class Forward(Config):
    """Weights with both eigenvalues at real +- i rotation, the same in all layers."""

    real: float = Field(default=0.0, description="real part of the eigenvalues of K")
    rotation: float = Field(default=1.0, description="imaginary part")
    layers: int = Field(default=10, ge=1)
    h: float = Field(default=0.1, gt=0)
    n: int = Field(default=20, ge=1, description="inputs a seed averages")


class Turning(nn.Module):
    """y' = tanh(K y)."""

    def __init__(self, config: Forward):
        super().__init__()
        quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
        self.K = config.real * torch.eye(2, dtype=torch.float64) + config.rotation * quarter

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """Give y'."""
        return torch.tanh(y @ self.K.T)


def propagate(configs: Sequence[Forward]) -> list[Measurements]:
    """Follow one perturbation of each input; the seeds' inputs are samples of one batch."""
    first = configs[0]
    draws = [_normal(config.seed, 1, first.n, 2) for config in configs]
    flow = flows.Flow(Turning(first), steps=first.layers, T=first.layers * first.h, method="forward-euler")
    found = flows.perturbation_growth(flow, SMALL * torch.cat(draws), directions=1, seed=_seed(first.seed, 2))
    stretch = found.stretch.reshape(first.layers + 1, len(configs), first.n).mean(2)
    return [
        Measurements.of(total=path[-1], rate=path[-1] / found.times[-1], stretch=Curve(found.times, path))
        for path in stretch.T
    ]


class Verlet(Config):
    """Random weights of spectral norm `gain`, the same in all layers."""

    gain: float = Field(default=1.0, gt=0)
    width: int = Field(default=4, ge=1)
    layers: int = Field(default=30, ge=1)


class Each(flows.Partitioned):
    """The network's field with weights and a step of its own for each sample: time counts layers."""

    def __init__(self, K: Tensor, h: Tensor):
        super().__init__()
        self.K, self.h = K, h

    def weights_at(self, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
        """Give K (samples, width, width) and h (samples, 1) at each time."""
        return self.K.expand(len(times), *self.K.shape), self.h.expand(len(times), *self.h.shape)

    def first(self, p: Tensor, *weights: Tensor) -> Tensor:
        """Give h q'."""
        K, h = weights
        return h * torch.tanh(torch.einsum("sij,sj->si", K, p))

    def second(self, q: Tensor, *weights: Tensor) -> Tensor:
        """Give h p'."""
        K, h = weights
        return -h * torch.tanh(torch.einsum("sij,si->sj", K, q))


def threshold(configs: Sequence[Verlet]) -> list[Measurements]:
    """Measure the growth a layer at each step length; members and lengths are samples of one batch."""
    first, lengths = configs[0], len(STEPS)
    K = torch.stack([_normal(config.seed, 3, first.width, first.width) for config in configs])
    K = first.gain * K / torch.linalg.matrix_norm(K, 2)[:, None, None]
    start = torch.stack([_normal(config.seed, 4, 2, first.width) for config in configs])
    h = torch.as_tensor(STEPS).repeat(len(configs))[:, None]
    field = Each(K.repeat_interleave(lengths, 0), h)
    state = tuple((TINY * start[:, part]).repeat_interleave(lengths, 0) for part in (0, 1))
    flow = flows.Flow(field, steps=first.layers, T=float(first.layers), method="symplectic-euler")
    found = flows.perturbation_growth(flow, state, directions=1, seed=_seed(first.seed, 5))
    rates = (found.stretch[-1] / first.layers).reshape(len(configs), lengths)
    return [Measurements.of(rate=Curve(STEPS, rate)) for rate in rates]


def _normal(seed: int, stream: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(_seed(seed, stream)), dtype=torch.float64)


def _seed(seed: int, stream: int) -> int:
    return 100 * (STREAM + seed) + stream
