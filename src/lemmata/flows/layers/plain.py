"""The residual layers of the literature: y' = sigma(K y + b), and y' = L sigma(K y + b) with two weights."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lemmata.flows.basis import Basis
from lemmata.flows.layers.maps import LinearMap, map_of, square
from lemmata.flows.layers.residual import Layer


class Plain(Layer):
    """y' = sigma(K(t) y + b(t)): a residual network of one weight a layer. Nothing is promised of its stability.

    >>> import torch
    >>> from lemmata import flows
    >>> layers = flows.Plain(3, flows.PiecewiseConstant(8, T=2.0), activation="relu", seed=0)
    >>> flows.integrate(layers, torch.zeros(5, 3), steps=8, method="forward-euler").final.shape
    torch.Size([5, 3])
    """

    def __init__(self, width: int | LinearMap, basis: Basis, **options: Any):
        super().__init__(square(map_of(width), "Plain"), basis, **options)

    def velocity(self, y: Tensor, *weights: Tensor) -> Tensor:
        """Give y'."""
        K, b = weights
        return self.activation(self.inner(K, b, y))


class TwoLayer(Layer):
    """y' = L(t) sigma(K(t) y + b(t)), L of the shape of K^T: the block of most residual networks.

    Parabolic layers are the case L = -K^T.
    """

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of K and b, and of L, the same with the sizes of states before and behind exchanged."""
        rows, width, *kernel = self.linear.shape
        return {**super().shapes(), "L": (width, rows, *kernel)}

    def velocity(self, y: Tensor, *weights: Tensor) -> Tensor:
        """Give y'."""
        K, b, L = weights
        return self.linear.apply(L, self.activation(self.inner(K, b, y)))
