"""Who computes a tile: the compiled loop or torch from a profile, or the recursion over layers; float64 inside.

What is computed in float32 is only what may be: cosines by a float32 product of matrices where no pair of the tile is
so close that this would be seen (`Profile.sharp`), and the series in the angle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lemmata.kernels.analytic.mixing import Mixing, dual_series
from lemmata.kernels.analytic.network import FullyConnected
from lemmata.kernels.analytic.pairs import Covariance, Deficit
from lemmata.kernels.analytic.profile import Profile, sharpness
from lemmata.kernels.analytic.recursion import through_layers
from lemmata.kernels.analytic.samples import Samples, deficits
from lemmata.kernels.analytic.series import Series
from lemmata.kernels.analytic.tiles import Compute, Tile

CLOSE = {torch.float32: 1e-8, torch.float64: 1e-4}  # D below which cosines do not do: an angle to 1e-8, to 1e-12


def by_layers(x: Samples, z: Samples, network: FullyConnected, which: Literal["ntk", "nngp"]) -> Compute:
    """The recursion over layers, for any network, in float64."""

    def compute(tile: Tile) -> Tensor:
        left, right = x[tile[0]], z[tile[1]]
        pairs = Deficit(left.variance[:, None], right.variance[None], deficits(left, right, CLOSE[torch.float64]))
        inputs = pairs if network.dual.form is Deficit else Covariance(pairs.left, pairs.right, pairs.values)
        kernels = through_layers(inputs, network)
        return (kernels.nngp if which == "nngp" else kernels.ntk).values

    return compute


def by_profile(x: Samples, z: Samples, norms: tuple[Tensor, Tensor], f: Profile, dtype: torch.dtype) -> Compute:
    """norms_i norms_j f(D_ij), f evaluated by torch, on any device."""

    def compute(tile: Tile) -> Tensor:
        found = f.series(deficits(x[tile[0]], z[tile[1]], CLOSE[dtype]).to(dtype))
        return found.mul_(norms[0][tile[0], None].to(dtype) * norms[1][None, tile[1]].to(dtype))

    return compute


def by_compiled_profile(
    x: Samples, z: Samples, norms: tuple[Tensor, Tensor], f: Profile, dtype: torch.dtype
) -> Compute:
    """The same on the CPU: a product of matrices, then one compiled loop in place."""
    from lemmata.kernels.analytic import loops

    near, change = _for_loop(f.series, dtype)
    left, right = (norm.to(dtype).numpy() for norm in norms)
    inputs = _cosines_or_deficits(x, z, f.sharp, dtype)

    def compute(tile: Tile) -> Tensor:
        rows, columns = tile
        found, start, sign = inputs(tile)
        loops.by_angle(found.numpy(), left[rows], right[columns], near, change, start, sign)
        return found

    return compute


def by_compiled_layers(
    x: Samples, z: Samples, network: FullyConnected, which: Literal["ntk", "nngp"], dtype: torch.dtype
) -> Compute:
    """A rectifier network with biases or residual layers on the CPU: the recursion in one compiled loop in place."""
    from lemmata.kernels.analytic import loops

    left = Mixing.of(x.variance, network)
    right = left if z is x else Mixing.of(z.variance, network)
    norms = [side.size[int(which == "ntk")].sqrt().to(dtype).numpy() for side in (left, right)]
    p, q = (side.shares.to(dtype).numpy() for side in (left, right))
    values, slopes = (np.stack(_for_loop(series, dtype)) for series in dual_series(network, dtype))
    inputs = _cosines_or_deficits(x, z, sharpness(replace(network, bias_variance=0.0), which), dtype)

    def compute(tile: Tile) -> Tensor:
        rows, columns = tile
        found, start, sign = inputs(tile)
        here, there = np.ascontiguousarray(p[..., rows]), np.ascontiguousarray(q[..., columns])  # one compiled layout
        loops.by_layers(
            found.numpy(), norms[0][rows], norms[1][columns], here, there, values, slopes, start, sign, which == "ntk"
        )
        return found

    return compute


def _for_loop(series: Series, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients near and far - near, highest first."""
    number = torch.empty((), dtype=dtype).numpy().dtype
    return series.near[::-1].astype(number), (series.far - series.near)[::-1].astype(number)


def _cosines_or_deficits(
    x: Samples, z: Samples, sharp: float, dtype: torch.dtype
) -> Callable[[Tile], tuple[Tensor, np.generic, np.generic]]:
    """A tile of what D is start + sign times of: cosines by a product in `dtype` where that does, else deficits."""
    number = torch.empty((), dtype=dtype).numpy().dtype.type
    product = _cosines(x, z) if dtype == torch.float32 and sharp < 0.9 else None

    def compute(tile: Tile) -> tuple[Tensor, np.generic, np.generic]:
        found = None if product is None else product(tile)
        if found is not None and float(found.max()) <= 1 - sharp:
            return found, number(1), number(-1)
        return deficits(x[tile[0]], z[tile[1]], CLOSE[dtype]).to(dtype), number(0), number(1)

    return compute


def _cosines(x: Samples, z: Samples) -> Callable[[Tile], Tensor]:
    """Cosines of a tile by a product in float32, in a buffer that is used again."""
    a = x.directions.float()
    b = a if z is x else z.directions.float()
    buffers: dict[tuple[int, int], Tensor] = {}

    def product(tile: Tile) -> Tensor:
        left, right = a[tile[0]], b[tile[1]]
        shape = len(left), len(right)
        if shape not in buffers:
            buffers[shape] = torch.empty(shape)
        return torch.mm(left, right.mT, out=buffers[shape])

    return product
