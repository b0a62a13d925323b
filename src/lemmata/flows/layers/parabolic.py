"""The parabolic layer y' = -K^T sigma(K y + b) of Ruthotto and Haber (2020): nonlinear diffusion."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lemmata.flows.basis import Basis
from lemmata.flows.layers.activation import require_monotone
from lemmata.flows.layers.maps import LinearMap
from lemmata.flows.layers.residual import Layer


class Parabolic(Layer):
    """y' = -K^T sigma(K y + b), sigma rising: the gradient flow of sum S(K y + b), S' = sigma, which is convex in y.

    The Jacobian -K^T D K is symmetric and negative semidefinite, and no two states move apart, whatever the weights do
    in time: |y(T) - z(T)| <= |y(0) - z(0)|. Forward Euler keeps that while h |sigma'| |K|^2 <= 2.
    """

    def __init__(self, width: int | LinearMap, basis: Basis, **options: Any):
        super().__init__(width, basis, **options)
        require_monotone(self.activation, "Parabolic")

    def velocity(self, y: Tensor, *weights: Tensor) -> Tensor:
        """Give y'."""
        K, b = weights
        return -self.symmetric(K, b, y)
