"""The density of log10 |lambda|, which shows a spectrum over many decades (Papyan, 2019).

    psi+(u) = phi(10^u) 10^u log 10   for the positive, likewise psi- for the negative eigenvalues

smoothed by a Gaussian in u, so that the smoothing is relative: a tenth of a decade is a quarter of the eigenvalue,
wherever it is. Nodes closer to zero than the rounding of the products, eps max |lambda|, are counted apart.
All mass closer to zero than the nodes lie to each other there (`resolution`) sits on one or two of them, so that the
peak below it tells how much there is, and not where.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lemmata.curvature.over_probes import over_probes
from lemmata.errors import InvalidInput
from lemmata.estimate import Estimate

if TYPE_CHECKING:
    from lemmata.curvature.density import Density


@dataclass(frozen=True)
class LogDensity:
    """Densities per decade (G,) at `exponents` (G,) = log10 |lambda|, of `positive` and `negative` eigenvalues.

    `zero` is the share of eigenvalues that are zero within rounding, |lambda| <= `rounding`; with the integrals of the
    two densities it adds up to 1. `width` is that of the Gaussian, in decades; closer to zero than `resolution`, an
    eigenvalue, the nodes do not tell eigenvalues apart.
    """

    exponents: Tensor
    positive: Estimate
    negative: Estimate
    zero: Estimate
    rounding: float
    resolution: float
    width: float


def log_density(density: Density, grid: Tensor | None, *, width: float) -> LogDensity:
    """Make the densities at the exponents `grid` (G,), by default from rounding to the largest |node|."""
    if not width > 0:
        raise InvalidInput(f"width = {width}: the Gaussian needs a positive width in decades, such as 0.1")
    size = density.nodes.abs()
    largest = max(float(size[density.weights > 0].max()), torch.finfo(torch.float64).tiny)
    rounding = density.eps * largest
    if grid is None:
        least = math.log10(float(size[density.weights > 0].clamp(min=rounding).min())) - 4 * width
        start = max(least, math.log10(rounding))
        grid = torch.linspace(start, math.log10(largest) + 4 * width, 400, dtype=torch.float64)
    exponents = torch.as_tensor(grid, dtype=torch.float64)
    u = size.clamp(min=rounding).log10()
    bumps = torch.exp(-0.5 * ((exponents[:, None, None] - u) / width).square()) / (width * math.sqrt(2 * math.pi))

    def of(part: Tensor) -> Estimate:
        return over_probes((bumps * (density.weights * part)).sum(-1).T, cost=density.cost)

    beyond = size > rounding
    zero = density.integral(lambda nodes: (nodes.abs() <= rounding).double())
    positive, negative = of(beyond & (density.nodes > 0)), of(beyond & (density.nodes < 0))
    return LogDensity(exponents, positive, negative, zero, rounding, _resolution(density), width)


def _resolution(density: Density) -> float:
    """The median over the probes of the distance between the two nodes next to zero."""
    m = density.nodes.shape[1]
    above = (density.nodes <= 0).sum(1).clamp(1, m - 1) if m > 1 else torch.zeros(len(density.nodes), dtype=torch.long)
    pairs = density.nodes.gather(1, torch.stack([(above - 1).clamp(min=0), above], 1))
    return float((pairs[:, 1] - pairs[:, 0]).median())
