"""The plain residual layer y' = sigma(K y + b)."""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.flows.basis import Basis
from lemmata.flows.layers.residual import Residual


class Plain(Residual):
    """y' = tanh(K(t) y + b(t)), states (samples, width)."""

    def __init__(self, width: int, basis: Basis, *, seed: int = 0):
        super().__init__({"K": (width, width), "b": (width,)}, basis, seed=seed)

    def velocity(self, y: Tensor, *weights: Tensor) -> Tensor:
        """Give y'."""
        K, b = weights
        return torch.tanh(y @ K.mT + b)
