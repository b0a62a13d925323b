"""The CNTK against the recursion as Arora et al. (2019) write it down: the covariance of all pairs of positions.

The oracle, in float64, for small images: no displacements, no symmetry, no care of rounding.
"""

import math

import pytest
import torch
from torch import Tensor

from lemmata.kernels.cntk import Convolutional, cnn_gp, cntk


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


CASES = [
    ((2, 4, 5), Convolutional(4, "average")),
    ((3, 5, 4), Convolutional(3, "vanilla", train_first=True, train_last=True)),
    ((1, 5, 5), Convolutional(5, "local-average", window=3, train_last=True)),
    ((2, 4, 6), Convolutional(3, "average", filter=5, train_first=True)),
    ((2, 3, 3), Convolutional(4, "local-average", window=3, filter=1)),
    ((2, 1, 4), Convolutional(4, "average")),
]


@pytest.mark.parametrize("recursion", ["difference", "plain"])
@pytest.mark.parametrize(("shape", "network"), CASES)
def test_the_dense_recursion_agrees(shape: tuple[int, ...], network: Convolutional, recursion: str) -> None:
    """To 1e-7: on the diagonal the dense recursion takes the arc cosine of a cosine that rounds to 1, off by 2e-8."""
    x, z = images(2, *shape), images(3, *shape, seed=1)
    z[1] = x[0]
    for kernel, part in ((cntk, 0), (cnn_gp, 1)):
        found = kernel(x, z, network=network, backend="torch", recursion=recursion).values
        for i in range(2):
            for j in range(3):
                whole = dense(
                    x[i], z[j], depth=network.depth, filter=network.filter,
                    first=network.train_first, last=network.train_last,
                )[part]  # fmt: skip
                wanted = readout(whole, network.readout, network.window or 1)
                assert float(found[i, j]) == pytest.approx(wanted, rel=1e-7, abs=1e-12)


def dense(x: Tensor, z: Tensor, *, depth: int, filter: int, first: bool, last: bool) -> tuple[Tensor, Tensor]:
    """Theta^(L) and K^(L) of one pair of images (C, P, Q): each (P, Q, P, Q)."""
    covariances = [_patches(torch.einsum("cij,ckl->ijkl", *pair), filter) for pair in ((x, z), (x, x), (z, z))]
    theta = covariances[0] if first else torch.zeros_like(covariances[0])
    for layer in range(1, depth):
        variances = [_diagonal(covariance) for covariance in covariances[1:]]
        scales = [
            left[:, :, None, None] * right
            for left, right in ((variances[0], variances[1]), (variances[0],) * 2, (variances[1],) * 2)
        ]
        both = [_rectified(covariance, scale, filter) for covariance, scale in zip(covariances, scales, strict=True)]
        kernel, derivative = both[0]
        is_last = layer == depth - 1
        theta = theta * derivative + (kernel if last or not is_last else 0)
        if not is_last:
            theta = _patches(theta, filter)
            covariances = [_patches(k, filter) for k, _ in both]
    return theta, kernel


def readout(values: Tensor, kind: str, window: int = 1) -> float:
    """The sum over pairs of positions that each readout is, written out."""
    p, q = values.shape[:2]
    if kind == "vanilla":
        return float(torch.einsum("ijij->", values))
    if kind == "average":
        return float(values.mean())
    reach, total = window // 2, 0.0
    for i in range(p):
        for j in range(q):
            rows = slice(max(0, i - reach), i + reach + 1)
            columns = slice(max(0, j - reach), j + reach + 1)
            total += float(values[rows, columns, rows, columns].sum()) / window**4
    return total


def _patches(values: Tensor, filter: int) -> Tensor:
    """Sum over (i + n, i' + n) with n in the patch, zero outside."""
    p, q = values.shape[:2]
    reach, total = filter // 2, torch.zeros_like(values)
    for a in range(-reach, reach + 1):
        for b in range(-reach, reach + 1):
            to_rows, to_columns = slice(max(0, -a), p - max(0, a)), slice(max(0, -b), q - max(0, b))
            rows, columns = slice(max(0, a), p - max(0, -a)), slice(max(0, b), q - max(0, -b))
            total[to_rows, to_columns, to_rows, to_columns] += values[rows, columns, rows, columns]
    return total


def _diagonal(values: Tensor) -> Tensor:
    return torch.einsum("ijij->ij", values).sqrt()


def _rectified(covariance: Tensor, scale: Tensor, filter: int) -> tuple[Tensor, Tensor]:
    """2 / q^2 times E phi(u) phi(v) and E phi'(u) phi'(v)."""
    cosine = torch.where(scale > 0, covariance / scale, 0.0).clamp(-1, 1)
    angle = cosine.arccos()
    kernel = scale * (cosine * (math.pi - angle) + (1 - cosine**2).sqrt()) / math.pi
    return kernel / filter**2, (math.pi - angle) / math.pi / filter**2
