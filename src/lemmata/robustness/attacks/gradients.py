"""The gradient that an attack follows: of each row's value by that row alone, and whether there is anything in it."""

from __future__ import annotations

import torch
from torch import Tensor


def gradient_of(values: Tensor, z: Tensor) -> Tensor:
    """The gradient (B, ...) of each row's value (B,) by that row; zero where there is none, or none that is finite.

    The gradient is asked for by z alone: no parameter's is computed or accumulated.

    >>> z = torch.tensor([[1.0, 2.0]], requires_grad=True)
    >>> gradient_of(z.square().sum(1), z), gradient_of(z.round().detach().sum(1), z)
    (tensor([[2., 4.]]), tensor([[0., 0.]]))
    """
    if not values.requires_grad:
        return torch.zeros_like(z)
    gradient = torch.autograd.grad(values.sum(), z, allow_unused=True)[0]
    if gradient is None:
        return torch.zeros_like(z)
    return gradient if bool(gradient.sum().isfinite()) else gradient.nan_to_num(0.0, 0.0, 0.0)


def lost(slope: Tensor, eps: Tensor, logits: Tensor) -> Tensor:
    """Whether the gradient promises no more over the ball than the logits' rounding, by its dual norm `slope`: (B,)."""
    rounding = torch.finfo(slope.dtype).eps * logits.abs().amax(-1)
    return (slope * eps <= rounding) & (eps > 0)
