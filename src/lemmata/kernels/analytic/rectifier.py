"""Rectifiers: ReLU, leaky ReLU, absolute value and identity, whose dual needs no subtraction of near numbers.

    phi(u) = u for u > 0, slope u for u < 0
    A = ((1 + slope) / 2)^2,  B = ((1 - slope) / 2)^2,  beta = B / (A + B)       (beta = 1/2 for ReLU)

With t the angle between the pre-activations, D = 1 - cos t, and K(x, x) = (A + B) k(x, x),

    D  -> D - (2 beta / pi) (sin t - t cos t)          K' = (A + B) (1 - (2 beta / pi) t)

The angle is taken from D, t = 2 atan2(sqrt(D), sqrt(2 - D)), and sin t - t cos t from its series where t < 1. Usually
one takes arccos of a number near 1, whose rounding 1e-7 becomes an angle of 5e-4. Source: Cho, Saul (2009), equation 6,
rewritten. Absolute values (beta = 1) are even: D is folded to min(D, 2 - D) first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.kernels.analytic.pairs import Deficit, Pairs

_SERIES = [(-1) ** (k + 1) * 2 * k / math.factorial(2 * k + 1) for k in range(1, 11)]  # of (sin t - t cos t) / t^3


@dataclass(frozen=True)
class Rectifier:
    """phi(u) = u for u > 0 and slope u for u < 0.

    >>> relu = Rectifier(0.0)
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> values, slopes = relu.dual(Deficit(one, one, one))      # orthogonal: 1 / (2 pi) and 1/4
    >>> round(values.values.item(), 6), slopes.values.item()
    (0.159155, 0.25)
    """

    slope: float = 0.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.slope):
            raise InvalidInput(f"a rectifier of slope {self.slope}; it must be finite")

    @property
    def form(self) -> type[Deficit]:
        """Rectifiers take and give deficits."""
        return Deficit

    def dual(self, kernel: Pairs) -> tuple[Deficit, Deficit]:
        """(K, K') of the kernel of the pre-activations."""
        even, odd = ((1 + self.slope) / 2) ** 2, ((1 - self.slope) / 2) ** 2
        gain, beta = even + odd, odd / (even + odd)
        left, right, deficit = kernel.left, kernel.right, kernel.entries
        angle = 2 * torch.atan2(deficit.clamp(min=0).sqrt(), (2 - deficit).clamp(min=0).sqrt())
        if beta == 1:
            deficit = torch.minimum(deficit, 2 - deficit)
            lost = _sine_less_angle_cosine(torch.minimum(angle, math.pi - angle), deficit)
        else:
            lost = _sine_less_angle_cosine(angle, deficit)
        values = Deficit(left * gain, right * gain, deficit - (2 * beta / math.pi) * lost)
        full = torch.full_like
        return values, Deficit(full(left, gain), full(right, gain), (2 * beta / math.pi) * angle)


def _sine_less_angle_cosine(angle: Tensor, deficit: Tensor) -> Tensor:
    """Sin t - t cos t, from its series below 1, where the two nearly cancel."""
    square = angle.square()
    series = torch.full_like(angle, _SERIES[-1])
    for coefficient in _SERIES[-2::-1]:
        series = torch.addcmul(torch.full_like(angle, coefficient), series, square)
    near = series * square * angle
    return torch.where(angle < 1, near, angle.sin() - angle * (1 - deficit))
