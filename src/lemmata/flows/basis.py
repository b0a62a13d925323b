"""Weights as functions of time: theta(t) = sum_k B_k(t) theta_k, so that depth is a discretisation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Basis(ABC):
    """`size` functions on [0, T]."""

    size: int
    T: float = 1.0

    @abstractmethod
    def values(self, times: Tensor, inside: Tensor) -> Tensor:
        """Give B_k at the times: (N, size) float64; where B_k jumps, on the side of `inside`."""


class PiecewiseConstant(Basis):
    """1 on the k-th of `size` equal pieces, 0 elsewhere: a layer's weights are its own."""

    def values(self, times: Tensor, inside: Tensor) -> Tensor:
        """Give B_k at the times."""
        piece = ((times + 1e-9 * (inside - times)) * (self.size / self.T)).floor().long().clamp(0, self.size - 1)
        return torch.nn.functional.one_hot(piece, self.size).double()
