"""The kernel interpolant of least norm of Zhang et al., on the labels of digits, true or random."""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch.nn.functional import one_hot

from lemmata import data
from lemmata.data.corruption import random_labels
from lemmata.kernels.regression import Gaussian, kernel_ridge
from lemmata.study import Config, Measurements


class Kernel(Config):
    """One solution of the kernel system."""

    data: Literal["mnist-5k", "mnist"] = "mnist-5k"
    n: int = Field(default=4000, ge=1, description="training digits; 60,000 is all of mnist, in its own order")
    n_test: int = Field(default=1000, ge=1)
    labels: Literal["true", "random"] = "true"
    bandwidth: float = Field(default=5.0, gt=0, description="s, in pixels of a range of 1")
    precision: Literal["float32", "float64"] = "float32"


INTERPOLATES = 1e-3  # the residual, as a share of the largest target, above which a solution is refused


def solve_kernel_systems(configs: Sequence[Kernel]) -> list[Measurements]:
    """Solve one system after the other: each takes all the memory there is."""
    return [_solved(config) for config in configs]


def _solved(config: Kernel) -> Measurements:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    whole = data.load(config.data, dtype=getattr(torch, config.precision), device=device).flat()
    part = whole if config.n == len(whole) else whole.split(config.n, config.n_test, seed=config.seed)
    assert part.x_test is not None
    y = part.y
    if config.labels == "random":
        y = random_labels(len(y), 10, generator=torch.Generator().manual_seed(config.seed)).to(device)
    f = kernel_ridge(Gaussian(config.bandwidth), one_hot(y, 10), x=part.x, method="cholesky", tolerance=INTERPOLATES)
    return Measurements.of(
        train_error=(f(part.x).argmax(1) != y).double().mean(),
        test_error=(f(part.x_test).argmax(1) != part.y_test).double().mean(),
        residual=f.residual,
    )
