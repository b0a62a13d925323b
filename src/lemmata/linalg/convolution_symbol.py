"""The symbol of a convolution: its matrices at each frequency, which bound it on any image.

    W(omega)[o, (c, r)] = sum_(i : i d = r mod s) w[o, c, i] exp(i omega . floor(i d / s))

With stride s the image is split into its s phases r, so that the convolution has stride 1 on s^2 as many channels
(a permutation of the entries, which changes no norm). Zero-padded convolution is a part (some rows and columns) of the
circular one on a torus that is large enough not to wrap, and a part of a matrix has no larger norm:

    |T|  <=  max over the torus' frequencies |W(omega)|       (Sedghi, Gupta, Long, 2019, for the circular one)

The bound tends to |T| as the image grows. Where padding repeats entries, as reflection does, it takes the root of
their number as a factor. A circular convolution whose stride divides the sides is the torus' own, and the bound exact.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lemmata.linalg.convolution_matrix import Geometry
from lemmata.linalg.verified_norm import gamma, proven_by_squaring

ALIVE = 2**28  # bytes of symbols at once


def proven_by_symbol(weight: Tensor, geometry: Geometry, tolerance: float = 1e-4) -> float:
    """An upper bound of the norm, from the weight (out, in, *kernel) of one group, float64."""
    torus, factor = _torus(geometry)
    phases = [_phases(geometry, side, torus[side]) for side in range(len(torus))]
    first, *rest = phases
    half = first[: len(first) // 2 + 1]  # the symbol at -omega is the conjugate
    each = 16 * weight.shape[0] * weight.shape[1] * math.prod(geometry.stride) * math.prod(torus[1:])
    high = 0.0
    for part in half.split(max(1, ALIVE // each)):
        high = max(high, proven_by_squaring(_symbols(weight, [part, *rest]), tolerance))
    sizes = weight.abs().flatten(2).sum(2)
    rounding = 8 * gamma(math.prod(geometry.kernel) * 4) * float(sizes.norm())  # of the symbols and their phases
    return (high + rounding) * factor


def _torus(geometry: Geometry) -> tuple[list[int], float]:
    """The sides of the torus, in steps of the stride, and the factor for repeated entries."""
    whole = all(out * s == n for out, s, n in zip(geometry.output, geometry.stride, geometry.size, strict=True))
    if geometry.mode == "circular" and whole:
        return list(geometry.output), 1.0
    reach = [(k - 1) * d // s for k, d, s in zip(geometry.kernel, geometry.dilation, geometry.stride, strict=True)]
    sides = [out + r for out, r in zip(geometry.output, reach, strict=True)]
    return sides, 1.0 if geometry.mode == "zeros" else math.sqrt(geometry.copies) * (1 + 1e-15)


def _phases(geometry: Geometry, side: int, count: int) -> Tensor:
    """exp(i omega floor(i d / s)) where i d = r mod s, else 0: (frequencies, r, i)."""
    stride = geometry.stride[side]
    offset = torch.arange(geometry.kernel[side]) * geometry.dilation[side]
    steps = torch.arange(count)[:, None] * (offset // stride)
    angle = 2 * math.pi / count * (steps % count).double()
    wave = torch.polar(torch.ones_like(angle), angle)
    return wave[:, None] * (offset % stride == torch.arange(stride)[:, None])


def _symbols(weight: Tensor, phases: list[Tensor]) -> Tensor:
    """W at all frequencies: (F, out, in x phases)."""
    found = weight.to(torch.complex128)[None]  # (F, out, in x phases, *the sides that are left)
    for phase in phases:
        found = torch.einsum("foik...,mrk->fmoir...", found, phase.to(weight.device))
        found = found.flatten(0, 1).flatten(2, 3)
    return found
