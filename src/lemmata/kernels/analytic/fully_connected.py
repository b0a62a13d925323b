"""The kernels of infinitely wide fully-connected networks: neural tangent (NTK) and Gaussian process (NNGP)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lemmata.kernels.analytic.network import FullyConnected
from lemmata.kernels.analytic.pairs import Covariance, Deficit, Pairs
from lemmata.kernels.analytic.recursion import through_layers
from lemmata.kernels.analytic.samples import Samples, check, deficits
from lemmata.kernels.kernel_matrix import KernelMatrix

TILE = 256


def analytic_ntk(x: Tensor, z: Tensor | None = None, *, network: FullyConnected) -> KernelMatrix:
    """The neural tangent kernel of samples x (n, d) and z (m, d), by default x again."""
    return _kernel(x, z, network, "ntk")


def analytic_nngp(x: Tensor, z: Tensor | None = None, *, network: FullyConnected) -> KernelMatrix:
    """The covariance of the network's output over its initialisations."""
    return _kernel(x, z, network, "nngp")


def _kernel(x: Tensor, z: Tensor | None, network: FullyConnected, which: Literal["ntk", "nngp"]) -> KernelMatrix:
    check(x, z)
    left = Samples.of(x)
    right = left if z is None else Samples.of(z)
    values = torch.empty(len(left), len(right), dtype=x.dtype, device=x.device)
    for i in range(0, len(left), TILE):
        for j in range(0, i + 1 if z is None else len(right), TILE):
            rows, columns = slice(i, i + TILE), slice(j, j + TILE)
            tile = getattr(through_layers(_inputs(left[rows], right[columns], network), network), which).values
            values[rows, columns] = tile
            if z is None and j < i:
                values[columns, rows] = tile.mT
    return KernelMatrix(values, which, z is None, way="torch")


def _inputs(x: Samples, z: Samples, network: FullyConnected) -> Pairs:
    """The kernel x.z / d, in the form that the activation takes."""
    left, right = x.variance[:, None], z.variance[None]
    kernel = Deficit(left, right, deficits(x, z))
    return kernel if network.dual.form is Deficit else Covariance(left, right, kernel.values)
