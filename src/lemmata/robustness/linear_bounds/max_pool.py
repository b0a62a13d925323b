"""Maxima over windows of an image, between linear functions of it.

    z_j  <=  max_i z_i  <=  max_i high_i        j: the input with the largest lower bound

and where the lower bound of z_j is no less than every other upper bound, z_j is the maximum itself. Both lines are
sound for whatever bounds; no rounding enters them.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lemmata.errors import InvalidInput
from lemmata.robustness.linear_bounds.box import Box
from lemmata.robustness.linear_bounds.relaxation import Choice


class MaxPool:
    """torch's max_pool2d."""

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, **rest: Any):
        if rest.get("ceil_mode"):
            raise InvalidInput("max pooling with ceil_mode=True has no bounds here; pad the image instead")
        self.kernel, self.padding, self.dilation = _pair(kernel_size), _pair(padding), _pair(dilation)
        self.stride = self.kernel if stride is None or stride == [] else _pair(stride)

    @property
    def lipschitz(self) -> float:
        """The root of the largest number of windows that an input lies in.

        Window i has the inputs i s + j d, j < k, of a side, and those of one input differ in j by s / gcd(s, d).
        """
        sides = zip(self.kernel, self.stride, self.dilation, strict=True)
        return math.sqrt(math.prod(math.ceil(k / (s // math.gcd(s, d))) for k, s, d in sides))

    def __call__(self, z: Tensor) -> Tensor:
        """The maxima."""
        return functional.max_pool2d(z, self.kernel, self.stride, self.padding, self.dilation)

    def interval(self, box: Box) -> Box:
        """The maxima of the ends."""
        return Box(self(box.low), self(box.high))

    def unsettled(self, box: Box) -> Tensor:
        """Where the lines depend on the bounds: everywhere."""
        return torch.ones_like(box.low, dtype=torch.bool)

    def lines(self, box: Box) -> Choice:
        """Which input to take, and where it is the maximum for certain."""
        low, index = functional.max_pool2d(
            box.low, self.kernel, self.stride, self.padding, self.dilation, return_indices=True
        )
        index = index.flatten(2)
        windows, places = self._windows(box.high), self._windows(self._places(box.high), padding=-1.0)
        others = torch.where(places == index[:, :, None].to(places), -torch.inf, windows).amax(2)
        return Choice(index, low.flatten(2) >= others, windows.amax(2))

    def transpose(self, A: Tensor, choice: Choice, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """Rows (N, S, C, H', W') as rows of the inputs (N, S, C, H, W) and, from below, what is added to each (N, S).

        A row's positive part is bounded below by the chosen inputs, its negative part by the chosen inputs where these
        are the maximum and by the upper bound elsewhere.
        """
        flat = A.flatten(3)
        loose = torch.where(choice.certain[:, None], 0.0, flat.clamp(max=0))
        out = A.new_zeros(*A.shape[:2], shape[0], math.prod(shape[1:]))
        out.scatter_add_(3, choice.index[:, None].expand_as(flat), flat - loose)
        constant = torch.where(choice.high.isfinite()[:, None], choice.high[:, None], 0.0)
        return out.reshape(*A.shape[:2], *shape), (loose * constant).flatten(2).sum(2)

    def _places(self, like: Tensor) -> Tensor:
        height, width = like.shape[2:]
        return torch.arange(height * width, dtype=torch.float64, device=like.device).reshape(1, 1, height, width)

    def _windows(self, x: Tensor, padding: float = -math.inf) -> Tensor:
        """The entries of each window: (N, C, K, L)."""
        top, left = self.padding
        padded = functional.pad(x, (left, left, top, top), value=padding)
        windows = functional.unfold(padded, self.kernel, self.dilation, 0, self.stride)
        return windows.reshape(len(x), x.shape[1], math.prod(self.kernel), -1)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])
