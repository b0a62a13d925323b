"""Theorem 1 of Zhang et al.: the network that takes any values on n points, and what is left of it with fewer units."""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field

from lemmata.regression import interpolating_net, misfit_by_units
from lemmata.study import Config, Curve, Measurements


class FiniteSample(Config):
    """Gaussian points with Gaussian values, and the network of Theorem 1."""

    n: int = Field(default=1000, ge=1, description="points")
    d: int = Field(default=50, ge=1, description="dimensions")
    units: float = Field(default=1.0, ge=0, le=1, description="share of the n hidden units that is kept")


def build_interpolating_nets(configs: Sequence[FiniteSample]) -> list[Measurements]:
    """Build each network, and take units away from it."""
    return [_built(config) for config in configs]


def _built(config: FiniteSample) -> Measurements:
    draw = torch.Generator().manual_seed(config.seed)
    x = torch.randn(config.n, config.d, generator=draw, dtype=torch.float64)
    y = torch.randn(config.n, generator=draw, dtype=torch.float64)
    net = interpolating_net(x, y, generator=draw)
    misfit = misfit_by_units(net, x, y, generator=draw)
    kept = round(config.units * config.n)
    largest = float((net(x) - y).abs().max()) if kept == config.n else float(misfit[kept])
    return Measurements.of(
        weights=net.weight_count,
        tolerance=net.tolerance,
        largest_error=largest,
        error_over_tolerance=largest / net.tolerance,
        units_needed=int((misfit <= net.tolerance).double().argmax()),
        misfit=Curve(np.arange(config.n + 1), misfit.numpy()),
    )
