"""What is done to inputs before training: per-image whitening and mean pooling."""

from __future__ import annotations

from math import prod, sqrt

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from lemmata.errors import InvalidInput


def whiten(x: Tensor) -> Tensor:
    """Standardise each example by itself: (x - mean) / max(std, 1/sqrt(N)) over its N entries.

    This is the per-image whitening of Zhang et al. (2017), section 2 and appendix A. The floor keeps a constant image
    finite: it becomes zero. Shape (n, ...) in and out, the same dtype; std is the population's.

    >>> whiten(torch.tensor([[1.0, 3.0], [5.0, 5.0]])).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    require_finite(x)
    entries = prod(x.shape[1:])
    flat = x.flatten(1)
    centred = flat - flat.mean(1, keepdim=True)
    std = centred.square().mean(1, keepdim=True).sqrt()
    return (centred / std.clamp(min=1 / sqrt(entries))).view_as(x)


def mean_pool(x: Tensor, size: int = 2) -> Tensor:
    """Replace each block of `size` x `size` pixels by its mean: (n, C, H, W) to (n, C, H/size, W/size).

    Raises `InvalidInput` unless x has four dimensions and size divides H and W.

    >>> mean_pool(torch.tensor([[[[0.0, 1.0], [2.0, 5.0]]]])).tolist()
    [[[[2.0]]]]
    """
    if x.ndim != 4 or size < 1 or x.shape[2] % size or x.shape[3] % size:
        raise InvalidInput(
            f"cannot pool blocks of {size} x {size} in shape {tuple(x.shape)}; it takes images (n, C, H, W) with H and "
            "W multiples of the block's size"
        )
    return avg_pool2d(x, size)


def require_finite(x: Tensor, name: str = "") -> None:
    """Raise `InvalidInput` naming the first example (index of the first dimension) that holds NaN or infinity.

    >>> require_finite(torch.zeros(3, 2))
    """
    extremes = x.aminmax() if x.numel() else ()  # both are NaN where one entry is; needs no memory, as isfinite(x) does
    if not all(torch.isfinite(extreme) for extreme in extremes):
        row = int((~torch.isfinite(x.flatten(1))).any(1).nonzero()[0])
        where = f"{name}: example {row}" if name else f"example {row}"
        raise InvalidInput(f"{where} holds NaN or infinity; remove or replace it first")
