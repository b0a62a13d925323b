"""Paths between permuted minima for the study of Simsek et al. (2021): the construction with a spare neuron, measured.

The network is a teacher itself, so that its loss is zero, and so is that of its r! permutations in each layer.
"""

from collections.abc import Sequence
from itertools import pairwise, permutations, product

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from lemmata.landscape import symmetry
from lemmata.landscape.symmetry.rebuilding import state_of
from lemmata.objective import Objective
from lemmata.study import Config, Curve, Measurements

INPUTS, SAMPLES = 3, 100
PER_SEGMENT = 4


class Exchange(Config):
    """All permutations of `layers` hidden layers of `width` neurons, with or without a spare one in each."""

    layers: int = Field(default=1, ge=1, le=2)
    width: int = Field(default=4, ge=2, le=4)
    spare: bool = True


class SoftplusLogistic(nn.Module):
    """softplus(z) + 1 / (1 + e^-z): neither it nor its sum with a linear function is even or odd."""

    def forward(self, z: Tensor) -> Tensor:
        """The activation of each entry."""
        return functional.softplus(z) + torch.sigmoid(z)


def exchange(configs: Sequence[Exchange]) -> list[Measurements]:
    """The largest loss on the paths to every permutation, over the variance of the targets."""
    return [_measured(config) for config in configs]


def _measured(config: Exchange) -> Measurements:
    random = torch.Generator().manual_seed(config.seed)
    model = teacher(config, random)
    x = torch.randn(SAMPLES, INPUTS, generator=random, dtype=torch.float64)
    with torch.no_grad():
        y = model(x)
    scale = float(y.var())
    start = state_of(model)
    if config.spare:
        for layer in range(config.layers):
            start = symmetry.with_spare(start, layer)
    objective = Objective(symmetry.module_with(model, start), loss="mse", data=(x, y))
    orders = list(product(permutations(range(config.width)), repeat=config.layers))
    ends, worst, shown = [], 0.0, torch.zeros(1)
    for order in orders:
        points = (_path if config.spare else _straight)(start, order)
        shown = objective.value({name: points[name] for name in objective.names}) / scale
        worst = max(worst, float(shown.max()))
        ends.append(objective.vector({name: points[name][-1] for name in objective.names}))
    reached = torch.stack(ends)
    curvature = torch.linalg.eigvalsh(objective.hessian().dense())
    return Measurements.of(
        largest_loss=worst,
        ends_over_permutations=len(torch.unique(reached, dim=0)) / len(orders),
        farthest=float((reached - objective.vector(objective.parameters)).norm(dim=1).max()),
        smallest_curvature=float(curvature[0] / curvature[-1]),
        along=Curve(np.linspace(0, 1, len(shown)), shown.numpy()),
    )


def teacher(config: Exchange, random: torch.Generator) -> nn.Sequential:
    """A network without biases, weights of variance 4 / inputs, in double precision."""
    sizes = [INPUTS, *[config.width] * config.layers, 1]
    modules: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        linear = nn.Linear(inputs, outputs, bias=False, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.randn(outputs, inputs, generator=random, dtype=torch.float64) * 2 / inputs**0.5)
        modules += [linear, SoftplusLogistic()]
    return nn.Sequential(*modules[:-1])


def _path(start: dict[str, Tensor], order: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """States along the exchange of the first layer's neurons, then of the second's."""
    pieces, here = [], start
    for layer, permutation in enumerate(order):
        path = symmetry.exchange_path(here, layer, permutation)
        pieces.append(path.points(PER_SEGMENT))
        here = {name: t[-1] for name, t in path.knots.items()}
    return {name: torch.cat([piece[name] for piece in pieces]) for name in start}


def _straight(start: dict[str, Tensor], order: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """States on the straight line to the permuted network: there is no neuron to spare."""
    end = dict(start)
    for layer, permutation in zip(symmetry.hidden_layers(start), order, strict=True):
        index = torch.tensor(permutation)
        for name in layer.incoming:
            end[name] = end[name][index]
        end[layer.outgoing] = end[layer.outgoing][:, index]
    t = torch.linspace(0, 1, 4 * PER_SEGMENT + 1, dtype=torch.float64)
    return {name: torch.stack([(1 - s) * start[name] + s * end[name] for s in t]) for name in start}
