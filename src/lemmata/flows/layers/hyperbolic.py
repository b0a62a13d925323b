"""The hyperbolic layer y'' = -K^T sigma(K y + b) of Ruthotto and Haber (2020): a nonlinear telegraph equation."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lemmata.flows.basis import Basis
from lemmata.flows.field import Partitioned, State, require_pair
from lemmata.flows.layers.activation import require_monotone
from lemmata.flows.layers.maps import LinearMap
from lemmata.flows.layers.residual import Layer, each_sample


class Hyperbolic(Layer, Partitioned):
    """y'' = -K^T sigma(K y + b), sigma rising, as y' = v, v' = -K^T sigma(K y + b); states (y, v).

    While the weights stay, |v|^2 / 2 + sum S(K y + b), S' = sigma, stays too. S is convex and least where sigma changes
    its sign, so that the energy at the start bounds the speed. Verlet's method on it is the leapfrog of the paper,
    y_{n+1} = 2 y_n - y_{n-1} - h^2 K^T sigma(K y_n + b).
    """

    def __init__(self, width: int | LinearMap, basis: Basis, **options: Any):
        super().__init__(width, basis, **options)
        require_monotone(self.activation, "Hyperbolic")

    def first(self, p: Tensor, *weights: Tensor) -> Tensor:
        """Give y' = v."""
        return p

    def second(self, q: Tensor, *weights: Tensor) -> Tensor:
        """Give v'."""
        K, b = weights
        return -self.symmetric(K, b, q)

    def energy(self, y: State, *weights: Tensor) -> Tensor:
        """Give |v|^2 / 2 + sum S(K y + b): (samples,)."""
        K, b = weights
        q, p = require_pair(self, y)
        return each_sample(p.square()) / 2 + self.potential(K, b, q)
