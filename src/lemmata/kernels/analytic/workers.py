"""Who computes a tile: the compiled loop or torch from a profile, or the recursion over layers; float64 inside.

What is computed in float32 is only what may be: cosines by a float32 product of matrices where no pair of the tile is
so close that this would be seen (`Profile.sharp`), and the series in the angle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from lemmata.kernels.analytic.network import FullyConnected
from lemmata.kernels.analytic.pairs import Covariance, Deficit
from lemmata.kernels.analytic.profile import Profile
from lemmata.kernels.analytic.recursion import through_layers
from lemmata.kernels.analytic.samples import Samples, deficits
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
        found = f(deficits(x[tile[0]], z[tile[1]], CLOSE[dtype]).to(dtype))
        return found.mul_(norms[0][tile[0], None].to(dtype) * norms[1][None, tile[1]].to(dtype))

    return compute


def by_compiled_profile(
    x: Samples, z: Samples, norms: tuple[Tensor, Tensor], f: Profile, dtype: torch.dtype
) -> Compute:
    """The same on the CPU: a product of matrices, then one compiled loop in place."""
    from lemmata.kernels.analytic.series import evaluate

    number = torch.empty((), dtype=dtype).numpy().dtype.type
    near, change = (c[::-1].astype(number) for c in (f.near, f.far - f.near))
    left, right = (norm.to(dtype).numpy() for norm in norms)
    product = _cosines(x, z) if dtype == torch.float32 and f.sharp < 0.9 else None

    def compute(tile: Tile) -> Tensor:
        rows, columns = tile
        buffer = None if product is None else product(tile)
        start, sign = number(1), number(-1)
        if buffer is None or float(buffer.max()) > 1 - f.sharp:
            buffer = deficits(x[rows], z[columns], CLOSE[dtype]).to(dtype)
            start, sign = number(0), number(1)
        evaluate(buffer.numpy(), left[rows], right[columns], near, change, start, sign)
        return buffer

    return compute


def _cosines(x: Samples, z: Samples) -> Callable[[Tile], Tensor]:
    """Cosines of a tile by a product in float32, in a buffer that is used again."""
    a = x.directions.float()
    b = a if z is x else z.directions.float()
    buffers: dict[tuple[int, int], Tensor] = {}

    def product(tile: Tile) -> Tensor:
        left, right = a[tile[0]], b[tile[1]]
        buffer = buffers.setdefault((len(left), len(right)), torch.empty(len(left), len(right)))
        return torch.mm(left, right.mT, out=buffer)

    return product
