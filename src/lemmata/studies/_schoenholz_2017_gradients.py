"""Gradients sent back through random tanh networks, weights and all: the study of Schoenholz et al. (2017).

A network of L layers of N units starts at its fixed variance; a random derivative at its last layer is sent back. The
mean over networks of its squared norm at the first layer, over that at the last, is chi_1^L for infinite width; chi
here is its L-th root. Given the layers above, the squared norm at a layer of N units is a sum of N independent terms
phi'(z)^2 g^2 with normal z and g, so that its relative variance is

    (3 E phi'^4 / (E phi'^2)^2 - 1) / N,

and the deviation of log chi the root of this over L times the number of networks. (Left out: the variance q, on which
chi_1 depends, differs from network to network, too, which adds up to a tenth of this variance at sigma_b^2 = 0.05.)

All weight variances share their Gaussian draws, so that where log chi passes 0 is known better than any log chi. Cost:
L matrices of N^2 for each network, and 4 L N^2 operations for each weight variance.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.propagation.activations import nonlinearity
from lemmata.propagation.duals import diagonal
from lemmata.propagation.gaussian import gaussian_mean
from lemmata.study import Config, Curve, Measurements

GRID = np.geomspace(1.0, 3.2, 9)


class Gradients(Config):
    """Random tanh networks whose gradients are measured over a grid of weight variances."""

    bias_variance: float = Field(default=0.05, ge=0)
    width: int = Field(default=300, ge=2)
    depth: int = Field(default=20, ge=1)
    networks: int = Field(default=8, ge=1)
    theory_bias: float | None = Field(default=None, description="sigma_b^2 of the theory, if it is another")


def send_back(configs: Sequence[Gradients]) -> list[Measurements]:
    """The growth of squared gradients a layer, against the weight variance; the theory once for all seeds."""
    first = configs[0]
    q, expected = fixed_points(GRID, first.bias_variance)
    if first.theory_bias is not None:
        expected = fixed_points(GRID, first.theory_bias)[1]
    return [_measured(config, q, expected) for config in configs]


def _measured(config: Gradients, q: np.ndarray, expected: np.ndarray) -> Measurements:
    growth = log_growth(config, torch.tensor(GRID), torch.tensor(q)).numpy()
    off = np.abs(growth - np.log(expected))
    deviation = np.sqrt(relative_variance(q) / (config.width * config.depth * config.networks))
    edge = crossing(np.log(GRID), growth)
    found: dict[str, Any] = {} if np.isnan(edge) else {"log_edge": edge}
    return Measurements.of(
        growth=Curve(np.log(GRID), growth),
        theory=Curve(np.log(GRID), np.log(expected)),
        off=off.max(),
        off_errors=(off / deviation).max(),
        **found,
    )


def log_growth(config: Gradients, sw: Tensor, q: Tensor) -> Tensor:
    """Growth log chi for each weight variance sw (g,), whose networks start at variances q (g,): (g,)."""
    random = torch.Generator().manual_seed(config.seed)
    shape = config.networks, len(sw), config.width  # networks, weight variances, units
    gain = (sw / config.width).sqrt()[None, :, None]
    z = q.sqrt()[None, :, None] * torch.randn(shape, generator=random, dtype=torch.float64)
    weights, slopes = [], [1 - torch.tanh(z).square()]
    for _ in range(config.depth):
        G = torch.randn(config.networks, config.width, config.width, generator=random, dtype=torch.float64)
        b = torch.randn(config.networks, 1, config.width, generator=random, dtype=torch.float64)
        z = gain * (torch.tanh(z) @ G.mT) + config.bias_variance**0.5 * b
        weights.append(G)
        slopes.append(1 - torch.tanh(z).square())
    back = torch.randn(shape[0], 1, shape[2], generator=random, dtype=torch.float64).expand(shape)
    last = back.square().sum(2)
    for G, slope in zip(reversed(weights), reversed(slopes[:-1]), strict=True):
        back = gain * (back @ G) * slope
    return (back.square().sum(2) / last).mean(0).log() / config.depth


def fixed_points(weights: np.ndarray, bias: float) -> tuple[np.ndarray, np.ndarray]:
    """Variance q and growth chi_1 at the fixed point for each weight variance: `mean_field` without correlations.

    By Newton's method from above, where the variance map of tanh, which is concave, is below the diagonal.
    """
    phi, sw = nonlinearity("tanh"), torch.tensor(weights, dtype=torch.float64)
    q = sw + bias
    for _ in range(12):
        at = diagonal(phi, q)
        q = q - (sw * at.square + bias - q) / (sw * at.derivative - 1)
    return q.numpy(), (sw * diagonal(phi, q).square_slope).numpy()


def relative_variance(q: np.ndarray) -> np.ndarray:
    """N times the relative variance that a layer of N tanh units at variances q (g,) gives a squared gradient: (g,).

    >>> relative_variance(np.array([1e-12])).round(6)  # linear units: twice for the squares of normal numbers
    array([2.])
    """
    phi, at = nonlinearity("tanh"), torch.tensor(q, dtype=torch.float64)
    fourth, square = (gaussian_mean(lambda u, k=k: phi.slope(u) ** k, at, phi.kinks)[0] for k in (4, 2))
    return (3 * fourth / square**2 - 1).numpy()


def crossing(x: np.ndarray, y: np.ndarray) -> float:
    """Where y, between its points a line, first rises through 0; NaN where it does not.

    >>> crossing(np.array([0.0, 1.0, 2.0]), np.array([-3.0, -1.0, 1.0]))
    1.5
    """
    at = np.flatnonzero((y[:-1] < 0) & (y[1:] >= 0))
    if not len(at):
        return np.nan
    i = at[0]
    return float(x[i] - y[i] * (x[i + 1] - x[i]) / (y[i + 1] - y[i]))
