"""Curves over the number of samples at a fixed number of features: where more data hurt.

The samples of a seed are nested: those of a smaller n come first. The features of all seeds are factorised in one
batch for each n, by QR of Phi (n >= N) or of its adjoint (n < N); a ridge solves the smaller normal equations.
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.studies._belkin_2019_features import Digits, feature_map, images
from lemmata.study import Curve, Measurements

SIZES = (50, 100, 130, 140, 150, 160, 170, 200, 250, 280, 300, 320, 350, 400, 500, 700, 1000, 2000)


class OverSamples(Digits):
    """One curve over the number of training images, at most n."""

    n: int = Field(default=2000, ge=400, description="training images at most")
    label_noise: float = Field(
        default=0.2, ge=0, le=1, description="share of training labels replaced by another class"
    )
    features: int = Field(default=300, ge=2, description="random features, N")

    @property
    def sizes(self) -> list[int]:
        """The numbers of training images."""
        return [n for n in SIZES if n <= self.n]


def run_over_samples(configs: Sequence[OverSamples]) -> list[Measurements]:
    """Fit all numbers of samples, the seeds in one batch."""
    first, parts = configs[0], []
    for config in configs:
        shown = images(config)
        F, F_test = feature_map(config, shown)(config.features)
        parts.append((F, shown.targets(config.label_noise, config.seed), F_test, shown.y_test))
    F, y, F_test, y_test = (torch.stack(part) for part in zip(*parts, strict=True))
    errors = []
    for n in first.sizes:
        a = coefficients(F[:, :n], y[:, :n].to(F.dtype), first.ridge)
        outputs = F_test @ a
        wrong = (outputs.real if outputs.is_complex() else outputs).argmax(2) != y_test
        errors.append(wrong.double().mean(1))
    return [_member(config, torch.stack(errors, 1)[i]) for i, config in enumerate(configs)]


def coefficients(F: Tensor, y: Tensor, ridge: float) -> Tensor:
    """Minimise |F a - y|^2 + ridge N |a|^2, by the shortest a: F (..., n, N), y (..., n, k) to (..., N, k).

    F has full rank. Cost: 2 n N min(n, N) flops.

    >>> a = coefficients(torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0]]), 0.0)
    >>> bool((a - 1).abs().max() < 1e-6), tuple(a.shape)
    (True, (2, 1))
    """
    n, N = F.shape[-2:]
    if ridge:
        wide = n < N
        gram = F @ F.mH if wide else F.mH @ F
        gram.diagonal(dim1=-2, dim2=-1).add_(ridge * N)
        factor = torch.linalg.cholesky(gram)
        return F.mH @ torch.cholesky_solve(y, factor) if wide else torch.cholesky_solve(F.mH @ y, factor)
    if n >= N:
        Q, R = torch.linalg.qr(F)
        return torch.linalg.solve_triangular(R, Q.mH @ y, upper=True)
    Q, R = torch.linalg.qr(F.mH)
    return Q @ torch.linalg.solve_triangular(R.mH, y, upper=False)


def _member(config: OverSamples, error: Tensor) -> Measurements:
    at = config.sizes.index
    return Measurements.of(
        test_error=Curve(np.asarray(config.sizes), error.numpy()),
        hurt=error[at(config.features)] - error[at(100)],
        last_error=error[-1],
    )
