"""Images of which most pixels are taken away, in a form that tells a missing pixel from a black one.

    kept pixel v   ->  (v, 1 - v)          ablated pixel  ->  (0, 0)  =  NULL

so that an image of C channels becomes one of 2 C channels: first v on the kept pixels, then 1 - v (Levine and Feizi,
2020a, section 4). NULL is no value that a pixel can have, for images in [0, 1]; a network reads it with ordinary
convolutions. Base classifiers must be trained on images ablated in this way: `ablate` makes them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.given import require_tensor


def encode(x: Tensor, kept: Tensor) -> Tensor:
    """Images x (..., C, H, W) in [0, 1] and which pixels are kept (..., H, W) -> (..., 2 C, H, W).

    Raises `InvalidInput` for a mask that is not of truth values, one a pixel.

    >>> encode(torch.tensor([[[0.25, 0.5]]]), torch.tensor([[True, False]])).tolist()
    [[[0.25, 0.0]], [[0.75, 0.0]]]
    """
    if require_tensor(kept, "kept").dtype != torch.bool or kept.shape != (*x.shape[:-3], *x.shape[-2:]):
        raise InvalidInput(
            f"kept: {kept.dtype} of shape {tuple(kept.shape)} for images {tuple(x.shape)}; give truth values, one for "
            "each pixel of each image, (..., H, W)"
        )
    mask = kept.unsqueeze(-3).to(x.dtype)
    return torch.cat([x * mask, (1 - x) * mask], dim=-3)


def ablate(x: Tensor, keep: int, *, seed: int | torch.Generator = 0) -> Tensor:
    """Keep `keep` pixels of each image x (N, C, H, W), drawn anew for each, and encode: (N, 2 C, H, W), to train on.

    >>> ablate(torch.ones(2, 1, 3, 3), 4)[:, 0].sum((1, 2))
    tensor([4., 4.])
    """
    x = require_images(x)
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator(device=x.device).manual_seed(seed)
    scores = torch.rand(len(x), *x.shape[2:], generator=generator, dtype=torch.float64, device=x.device)
    return encode(x, largest(scores, require_count_of_pixels(keep, x)))


def largest(scores: Tensor, keep: int) -> Tensor:
    """Where the `keep` largest scores (N, H, W) of each image are: bool."""
    flat = scores.flatten(1)
    kept = torch.zeros_like(flat, dtype=torch.bool)
    return kept.scatter_(1, flat.topk(keep, dim=1).indices, True).view_as(scores)


def require_images(x: Tensor) -> Tensor:
    """Give images (N, C, H, W) in [0, 1] back."""
    require_tensor(x, "x")
    if x.ndim != 4 or not len(x) or not x.is_floating_point():
        raise InvalidInput(f"x of shape {tuple(x.shape)} in {x.dtype}; give floating-point images (N, C, H, W)")
    if not bool(((x >= 0) & (x <= 1)).all()):  # NaN fails too
        raise InvalidInput(
            f"x from {float(x.min()):.4g} to {float(x.max()):.4g}; ablation tells a missing pixel by (v, 1 - v), so "
            "that images must lie in [0, 1], without NaN"
        )
    return x.detach()


def require_count_of_pixels(keep: int, x: Tensor) -> int:
    """Give the number of pixels to keep back, from 1 to all."""
    pixels = x.shape[2] * x.shape[3]
    if not isinstance(keep, int) or isinstance(keep, bool) or not 1 <= keep <= pixels:
        raise InvalidInput(f"keep = {keep!r} of {pixels} pixels; give a whole number from 1 to {pixels}")
    return keep
