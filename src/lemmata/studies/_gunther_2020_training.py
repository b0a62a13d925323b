"""Residual networks of several seeds trained at once, with layers in turn or solved by multigrid in layers."""

from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, flows
from lemmata.data.synthetic import peaks_classes
from lemmata.flows.parallel import LayerParallel, Multigrid
from lemmata.studies._disjoint_fifths import disjoint_fifths
from lemmata.studies._gunther_2020_convergence import STREAMS
from lemmata.study import Config, Curve, Measurements

Pair = tuple[Tensor, Tensor]


class Training(Config):
    """Full-batch Adam on a classification problem; weights are piecewise linear in time."""

    source: Literal["peaks", "mnist-5k"] = "peaks"
    mode: Literal["serial", "layer-parallel"] = "serial"
    layers: int = Field(default=32, ge=4)
    T: float = Field(default=2.0, gt=0)
    width: int = Field(default=8, ge=1)
    basis: int = Field(default=5, ge=2, description="nodes of the weights in time")
    m: int = Field(default=4, ge=2, description="coarsening factor, two levels")
    iterations: int = Field(default=2, ge=0, description="iterations of multigrid, either way, in a step of training")
    n: int = Field(default=500, ge=10, description="samples to train on")
    steps: int = Field(default=100, ge=1)
    lr: float = Field(default=0.05, gt=0, description="first step size, which falls linearly to 0")


class Several(flows.VectorField):
    """y' = tanh(K y + b) of S networks, each with its own weights and samples: states (S, n, width)."""

    def __init__(self, K: Tensor, basis: flows.PiecewiseLinear):
        super().__init__()
        self.basis, self.T = basis, basis.T
        self.K = nn.Parameter(K)
        self.b = nn.Parameter(K.new_zeros(*K.shape[:-2], 1, K.shape[-1]))

    def weights_at(self, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
        """Give K (N, S, width, width) and b (N, S, 1, width)."""
        return tuple(self.basis.evaluate(theta, times, inside) for theta in (self.K, self.b))

    def velocity(self, y: Tensor, *weights: Tensor) -> Tensor:
        """Give y'."""
        K, b = weights
        return torch.tanh(y @ K.mT + b)


class Linear(nn.Module):
    """Affine maps of S networks."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(weight.new_zeros(len(weight), 1, weight.shape[-1]))

    def forward(self, x: Tensor) -> Tensor:
        """Give x (S, n, in) W + b."""
        return x @ self.weight + self.bias


def trained(configs: Sequence[Training]) -> list[Measurements]:
    """Train the networks of all seeds in one batch; test them with their layers in turn."""
    config, seeds = configs[0], [c.seed + STREAMS for c in configs]
    (x, y), (tx, ty) = samples(config, seeds)
    opening, field, closing = _weights(config, seeds, x.shape[-1], int(y.max()) + 1)
    flow = flows.Flow(field, steps=config.layers, method="forward-euler")
    layers: nn.Module = flow
    if config.mode == "layer-parallel":
        scheme = Multigrid(m=config.m, relaxation="F")
        layers = LayerParallel(flow, scheme=scheme, iterations=config.iterations, warm=config.iterations > 0)
    network = nn.Sequential(opening, nn.Tanh(), layers, closing)
    rule, losses = torch.optim.Adam(network.parameters(), lr=config.lr), []
    for step in range(config.steps):
        for group in rule.param_groups:
            group["lr"] = config.lr * (1 - step / config.steps)
        rule.zero_grad()
        each = nn.functional.cross_entropy(network(x).flatten(0, 1), y.flatten(), reduction="none")
        each = each.view_as(y).mean(1)
        each.sum().backward()
        rule.step()
        losses.append(each.detach())
    serial = nn.Sequential(opening, nn.Tanh(), flow, closing)
    with torch.no_grad():
        error = (serial(tx).argmax(2) != ty).double().mean(1)
    curves = torch.stack(losses, 1).double().numpy()
    at = np.arange(config.steps)
    return [
        Measurements.of(error=float(error[i]), loss=float(curves[i, -1]), history=Curve(at, np.log10(curves[i])))
        for i in range(len(seeds))
    ]


def samples(config: Training, seeds: Sequence[int]) -> tuple[Pair, Pair]:
    """For each seed its samples to train on and to test, (S, n, d): its own draws, or disjoint fifths of the digits."""
    if config.source == "mnist-5k":
        (x, y), test = disjoint_fifths(*_digits(), seeds)
        if len(seeds) == 1:
            return (x[None, : config.n], y[None, : config.n]), (test[0][None], test[1][None])
        return (x[:, : config.n], y[:, : config.n]), test
    drawn = [peaks_classes(2 * config.n, generator=_draw(seed, 10), dtype=torch.float32) for seed in seeds]
    x, y = (torch.stack(part) for part in zip(*drawn, strict=True))
    return (x[:, : config.n], y[:, : config.n]), (x[:, config.n :], y[:, config.n :])


def _weights(config: Training, seeds: Sequence[int], inputs: int, classes: int) -> tuple[Linear, Several, Linear]:
    """The opening layer, the residual layers and the classifier, each seed's from its own stream."""
    width, size = config.width, config.basis
    opening, inner, closing = [], [], []
    for seed in seeds:
        draw = _draw(seed, 11)
        opening.append(torch.randn(inputs, width, generator=draw) * inputs**-0.5)
        inner.append(torch.randn(size, width, width, generator=draw) * 0.5 * width**-0.5)
        closing.append(torch.randn(width, classes, generator=draw) * width**-0.5)
    basis = flows.PiecewiseLinear(size, T=config.T)
    return Linear(torch.stack(opening)), Several(torch.stack(inner, 1), basis), Linear(torch.stack(closing))


def _draw(seed: int, use: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed, use]).generate_state(1)[0]))


@cache
def _digits() -> Pair:
    whole = data.load("mnist-5k").flat()
    if whole.x_test is None or whole.y_test is None:
        return whole.x, whole.y
    return torch.cat([whole.x, whole.x_test]), torch.cat([whole.y, whole.y_test])
