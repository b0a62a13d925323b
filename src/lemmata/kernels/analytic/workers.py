"""Who computes a tile: the compiled loops or torch from a series, or the recursion over layers.

All of them compute in float64, whatever the dtype of the samples, and round once: a tile lives in a cache, where
float64 costs a factor of two in arithmetic and nothing in memory.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lemmata.kernels.analytic.mixing import Mixing, dual_series
from lemmata.kernels.analytic.network import FullyConnected
from lemmata.kernels.analytic.pairs import Covariance, Deficit
from lemmata.kernels.analytic.recursion import through_layers
from lemmata.kernels.analytic.samples import Samples, deficits, deficits_of
from lemmata.kernels.analytic.series import Series
from lemmata.kernels.analytic.tiles import Compute, Tile

CLOSE = {torch.float32: 1e-8, torch.float64: 1e-4}  # D below which cosines do not do: angles to 1e-8, to 1e-12


def by_layers(x: Samples, z: Samples, network: FullyConnected, which: Literal["ntk", "nngp"]) -> Compute:
    """The recursion over layers, for any network, in float64."""

    def compute(tile: Tile) -> Tensor:
        left, right = x[tile[0]], z[tile[1]]
        pairs = Deficit(left.variance[:, None], right.variance[None], deficits(left, right, CLOSE[torch.float64]))
        inputs = pairs if network.dual.form is Deficit else Covariance(pairs.left, pairs.right, pairs.values)
        kernels = through_layers(inputs, network)
        return (kernels.nngp if which == "nngp" else kernels.ntk).values

    return compute


def by_profile(x: Samples, z: Samples, norms: tuple[Tensor, Tensor], series: Series, dtype: torch.dtype) -> Compute:
    """norms_i norms_j f(D_ij), f evaluated by torch, on any device."""

    def compute(tile: Tile) -> Tensor:
        found = series(deficits(x[tile[0]], z[tile[1]], CLOSE[dtype]))
        return found.mul_(norms[0][tile[0], None]).mul_(norms[1][None, tile[1]])

    return compute


def by_compiled_profile(
    x: Samples, z: Samples, norms: tuple[Tensor, Tensor], series: Series, dtype: torch.dtype
) -> Compute:
    """The same on the CPU: a product of matrices, then one compiled loop."""
    from lemmata.kernels.analytic import loops

    near, change = _for_loop(series)
    left, right = (norm.numpy() for norm in norms)
    inputs, place = _Cosines(x, z, CLOSE[dtype]), _Buffers(dtype)

    def compute(tile: Tile) -> Tensor:
        rows, columns = tile
        cosines, out = inputs(tile), place(tile)
        loops.by_angle(*cosines, left[rows], right[columns], near, change, out.numpy())
        return out

    return compute


def by_compiled_layers(
    x: Samples, z: Samples, network: FullyConnected, which: Literal["ntk", "nngp"], dtype: torch.dtype
) -> Compute:
    """A rectifier network with biases or residual layers on the CPU: the recursion in one compiled loop."""
    from lemmata.kernels.analytic import loops

    left = Mixing.of(x.variance, network)
    right = left if z is x else Mixing.of(z.variance, network)
    norms = [side.size[int(which == "ntk")].sqrt().numpy() for side in (left, right)]
    values, slopes = (np.stack(_for_loop(series)) for series in dual_series(network, dtype))
    inputs, place = _Cosines(x, z, CLOSE[dtype]), _Buffers(dtype)

    def compute(tile: Tile) -> Tensor:
        rows, columns = tile
        cosines, out = inputs(tile), place(tile)
        p, q = left.shares[..., rows].contiguous().numpy(), right.shares[..., columns].contiguous().numpy()
        loops.by_layers(*cosines, norms[0][rows], norms[1][columns], p, q, values, slopes, which == "ntk", out.numpy())
        return out

    return compute


def _for_loop(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients near and far - near, highest first."""
    return series.near[::-1].copy(), (series.far - series.near)[::-1].copy()


class _Buffers:
    """Room for a tile, used again for the next one of that shape."""

    def __init__(self, dtype: torch.dtype):
        self.dtype = dtype
        self.there: dict[tuple[int, int], Tensor] = {}

    def __call__(self, tile: Tile) -> Tensor:
        shape = tile[0].stop - tile[0].start, tile[1].stop - tile[1].start
        if shape not in self.there:
            self.there[shape] = torch.empty(shape, dtype=self.dtype)
        return self.there[shape]


class _Cosines:
    """A tile of cosines by a product of matrices; of deficits, where a pair is closer than cosines can say.

    Given as (tile, start, sign) with D = start + sign tile.
    """

    def __init__(self, x: Samples, z: Samples, close: float):
        self.x, self.z, self.close, self.buffers = x, z, close, _Buffers(torch.float64)

    def __call__(self, tile: Tile) -> tuple[np.ndarray, float, float]:
        x, z = self.x[tile[0]], self.z[tile[1]]
        found = torch.mm(x.directions, z.directions.mT, out=self.buffers(tile))
        if float(found.max()) <= 1 - self.close:
            return found.numpy(), 1.0, -1.0
        return deficits_of(found, x, z, self.close).numpy(), 0.0, 1.0
