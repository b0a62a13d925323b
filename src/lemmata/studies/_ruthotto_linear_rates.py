"""CGLS and steepest descent by condition number, against the proven rates: a part of `ruthotto_linear`.

A diagonal A whose A'A has its eigenvalues at the zeros of a Chebyshev polynomial on [1/condition, 1]: the spectrum for
which the bound of conjugate gradients is nearly reached until there are as many steps as eigenvalues.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.linalg.operator import LinearOperator
from lemmata.regression import least_squares
from lemmata.study import Config, Curve, Measurements

DRAWN = 200
FLOOR = 1e-11  # of the first error: below it rounding is followed and not the method


class Convergence(Config):
    """One start: a Gaussian error in every eigenvector, of equal energy on average."""

    method: Literal["cgls", "steepest-descent"] = "cgls"
    condition: float = Field(default=100.0, gt=1, description="condition number of A'A")
    n: int = Field(default=800, ge=10)
    stated: float = Field(default=1.0, gt=0, description="condition number that the bound is told, over the true one")
    tolerance: float = Field(default=1e-6, gt=0, description="of the error in energy, relative to the first")


def run(configs: Sequence[Convergence]) -> list[Measurements]:
    """Run all starts at once, and follow the error |A (x - x*)| by the known solution."""
    first = configs[0]
    t = torch.arange(first.n, dtype=torch.float64)
    low, high = 1 / first.condition, 1.0
    angles = (2 * t + 1) * math.pi / (2 * first.n)
    nodes = (high + low) / 2 + (high - low) / 2 * angles.cos() / math.cos(math.pi / (2 * first.n))  # ends included
    s = nodes.sqrt()[:, None]
    draws = [torch.Generator().manual_seed(config.seed) for config in configs]
    truth = torch.cat([torch.randn(first.n, 1, generator=draw, dtype=torch.float64) for draw in draws], 1) / s
    A = LinearOperator(lambda V: s * V, (first.n, first.n), symmetric=True, dtype=torch.float64)
    energies = [(s * truth).norm(dim=0)]

    def follow(step: int, x: Tensor) -> bool:
        energies.append((s * (x - truth)).norm(dim=0))
        return bool((energies[-1] <= FLOOR * energies[0]).all())

    limit = math.ceil(30 * first.condition) if first.method == "steepest-descent" else 4 * first.n
    least_squares(A, s * truth, method=first.method, tolerance=0.0, iterations=limit, callback=follow)
    errors = (torch.stack(energies) / energies[0]).numpy()
    return [_measured(first, errors[:, i]) for i in range(len(configs))]


def bound(method: str, condition: float, steps: np.ndarray) -> np.ndarray:
    """The proven factor of the error in energy after so many steps.

    >>> bound("steepest-descent", 3.0, np.array([0, 1, 2]))
    array([1.  , 0.5 , 0.25])
    """
    if method == "cgls":
        root = math.sqrt(condition)
        return np.minimum(1.0, 2 * ((root - 1) / (root + 1)) ** steps)
    return ((condition - 1) / (condition + 1)) ** steps


def _measured(config: Convergence, errors: np.ndarray) -> Measurements:
    steps = np.arange(len(errors))
    followed = errors >= FLOOR
    proven = bound(config.method, max(config.stated * config.condition, 1 + 1e-12), steps)
    last = len(steps) - 1
    kept = np.unique(np.concatenate([np.geomspace(1, last, DRAWN), np.linspace(0, last, DRAWN)]).round().astype(int))
    reached = np.flatnonzero(errors <= config.tolerance)
    return Measurements.of(
        steps=float(reached[0]) if len(reached) else math.inf,
        over_bound=(errors[followed] / np.maximum(proven[followed], 1e-300)).max(),
        error=Curve(steps[kept], errors[kept]),
    )
