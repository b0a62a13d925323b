"""The Hamiltonian layer q' = K^T sigma(K p + b), p' = -K^T sigma(K q + b)."""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.flows.basis import Basis
from lemmata.flows.field import Partitioned
from lemmata.flows.layers.residual import Residual


class Hamiltonian(Residual, Partitioned):
    """q' = K^T tanh(K p + b),  p' = -K^T tanh(K q + b), states (samples, width) each."""

    def __init__(self, width: int, basis: Basis, *, seed: int = 0):
        super().__init__({"K": (width, width), "b": (width,)}, basis, seed=seed)

    def first(self, p: Tensor, *weights: Tensor) -> Tensor:
        """Give q'."""
        K, b = weights
        return torch.tanh(p @ K.mT + b) @ K

    def second(self, q: Tensor, *weights: Tensor) -> Tensor:
        """Give p'."""
        return -self.first(q, *weights)
