"""Norms of the activations of a convolutional net of infinite width, position by position and layer by layer.

    U_0(i) = |x(i)| over the channels,    A_l(i)^2 = sum_{n in the q x q patch} U_{l-1}(i + n)^2,    U_l = A_l / q

A_l^2 is the variance of the pre-activation at position i of convolution l, U_l^2 that of what the next one reads: the
ReLU with c = 2 keeps it. Both depend on one image alone, so that they cost nothing beside the pairs; they are taken in
float64 whatever the images are in, for the recursions rest on them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d


def activation_norms(x: Tensor, layers: int, filter: int) -> Tensor:
    """U_0 .. U_L of images x (n, C, P, Q): float64 (n, layers + 1, P, Q).

    >>> activation_norms(torch.ones(1, 4, 3, 3), 1, 3)[0, 1] ** 2 * 9 / 4
    tensor([[4., 6., 4.],
            [6., 9., 6.],
            [4., 6., 4.]], dtype=torch.float64)
    """
    square = x.double().square().sum(1)
    norms = [square.sqrt()]
    for _ in range(layers):
        square = box(square, filter) / filter**2
        norms.append(square.sqrt())
    return torch.stack(norms, 1)


def box(t: Tensor, filter: int) -> Tensor:
    """Sum over the zero-padded filter x filter neighbourhood in the last two axes."""
    flat = t.reshape(-1, 1, *t.shape[-2:])
    rows = avg_pool2d(flat, (filter, 1), 1, (filter // 2, 0), divisor_override=1)
    return avg_pool2d(rows, (1, filter), 1, (0, filter // 2), divisor_override=1).reshape(t.shape)
