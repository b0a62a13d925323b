"""What a ReLU does to the angle between two Gaussians, from D = 1 - cos of it and without cancellation.

    theta = arccos(1 - D),    kappa_0 = (pi - theta) / pi,
    D -> D - (sin theta - theta cos theta) / pi                (that is 1 - kappa_1(cos theta), Cho and Saul 2009)

Near D = 0 the arc cosine of 1 - D knows theta to sqrt(2 eps) only, 5e-4 in float32. Here theta = 2 arcsin(sqrt(D / 2)),
and sin theta - theta cos theta comes from its series sum_k (-1)^(k+1) 2k / (2k + 1)! theta^(2k+1) below 1, so that both
are known to relative rounding, whatever D is.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SERIES = [(-1) ** (k + 1) * 2 * k / math.factorial(2 * k + 1) for k in range(1, 10)]  # the rest is below 2e-16


def rectify(distance: Tensor) -> tuple[Tensor, Tensor]:
    """kappa_0, and D behind the ReLU, from D in [0, 2] before it; rounding outside that range is cut off.

    >>> rectify(torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64))
    (tensor([1.0000, 0.5000, 0.0000], dtype=torch.float64), tensor([0.0000, 0.6817, 1.0000], dtype=torch.float64))
    """
    distance = distance.clamp(0, 2)
    far = distance > 1
    theta = 2 * torch.where(far, 2 - distance, distance).mul(0.5).sqrt().asin()
    theta = torch.where(far, math.pi - theta, theta)
    square, series = theta * theta, torch.zeros_like(theta)
    for coefficient in reversed(_SERIES):
        series = series * square + coefficient
    lost = torch.where(theta < 1, series * square * theta, theta.sin() - theta * (1 - distance))
    return 1 - theta / math.pi, distance - lost / math.pi
