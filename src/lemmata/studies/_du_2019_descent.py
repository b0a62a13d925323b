"""What the study of Du, Zhai, Poczos, Singh (2019) measures: descent on synthetic points, distance and flips."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata.kernels import (
    EigendirectionRates,
    activation_flips,
    distance_from_initialisation,
    eigendirection_rates,
    two_layer_gram,
)
from lemmata.studies._two_layer_first_layer import FirstLayers, descend
from lemmata.study import Config, Curve, Measurements

DRAWN = 60  # points of a curve that are kept


class Descent(Config):
    """One two-layer network of which the first layer is trained, on points of the unit sphere with Gaussian labels."""

    n: int = Field(default=100, ge=3, description="points")
    d: int = Field(default=100, ge=2, description="dimensions")
    width: int = Field(default=1024, ge=1)
    scaling: Literal["ntk", "mean field"] = "ntk"
    parallel: bool = Field(default=False, description="the second point is the first again, with another label")
    eigenvalue: Literal["smallest", "largest"] = Field(default="smallest", description="whose rate is held against it")
    steps: int = Field(default=60, ge=1)


def measure(configs: Sequence[Descent]) -> list[Measurements]:
    """Train all seeds at once, each on its own points."""
    first = configs[0]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    draws = [torch.Generator().manual_seed(config.seed) for config in configs]
    x, y = (torch.stack(parts).to(device) for parts in zip(*map(problem, configs, draws), strict=True))
    networks = FirstLayers.drawn(first.width, first.d, draws, scaling=first.scaling).to(device)
    left = (y - networks.outputs(x)).cpu().double()
    grams = [two_layer_gram(points.cpu().double()) for points in x]
    rates = [
        eigendirection_rates(H, r, step_size=1 / float(H.eigenvalues[0])) for H, r in zip(grams, left, strict=True)
    ]
    steps = torch.tensor([found.step_size for found in rates], device=device)
    ran = descend(networks, x, y, step_sizes=steps, steps=first.steps)
    moved = distance_from_initialisation({"W": ran.networks.W}, {"W": networks.W}, members=True).neuron["W"]
    flips = [
        float(activation_flips({"0.weight": now}, {"0.weight": start}, points, model=units(start)).share)
        for now, start, points in zip(ran.networks.W, networks.W, x, strict=True)
    ]
    return [
        _measured(config, residual.cpu(), found, float(distance), share)
        for config, residual, found, distance, share in zip(configs, ran.residual, rates, moved, flips, strict=True)
    ]


def problem(config: Descent, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points uniform on the unit sphere (n, d) and standard Gaussian labels (n,)."""
    x = torch.randn(config.n, config.d, generator=draw)
    x = x / x.norm(dim=1, keepdim=True)
    y = torch.randn(config.n, generator=draw)
    if config.parallel:
        x[1], y[1] = x[0], -y[0].sign() * y[0].abs().clamp(min=1.0)
        y[0] = -y[1]
    return x, y


def units(W: Tensor) -> nn.Module:
    """The hidden layer (m, d) as a module, of which the flips are measured."""
    return nn.Sequential(nn.Linear(W.shape[1], W.shape[0], bias=False), nn.ReLU()).to(W)


def _measured(
    config: Descent, residual: Tensor, found: EigendirectionRates, distance: float, flips: float
) -> Measurements:
    if not bool(residual.isfinite().all()):
        return Measurements.of(status="diverged")
    spectrum, eta = found.projections.eigenvalues, found.step_size
    held = float(spectrum[-1] if config.eigenvalue == "smallest" else spectrum[0])
    steps = np.arange(len(residual))
    own, predicted = residual / residual[0], found.residual(torch.from_numpy(steps)) / residual[0]
    bound = (1 - eta * max(held, 0.0) / 2) ** (0.5 * steps)
    kept = np.unique(np.linspace(0, len(steps) - 1, DRAWN).round().astype(int))
    return Measurements.of(
        left=own[-1],
        over_bound=(own[1:].numpy() / bound[1:]).max(),
        rate_error=(own - predicted).abs().max(),
        distance=distance,
        flips=flips,
        smallest_eigenvalue=spectrum[-1],
        over_rounding=spectrum[-1] / found.projections.rounding,
        residual=Curve(steps[kept], own[kept].numpy()),
        predicted=Curve(steps[kept], predicted[kept].numpy()),
        bound=Curve(steps[kept], bound[kept]),
    )
