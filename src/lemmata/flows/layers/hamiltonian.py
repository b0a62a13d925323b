"""The Hamiltonian layer q' = K^T sigma(K p + b), p' = -L^T sigma(L q + c), with L = K or of its own."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lemmata.flows.basis import Basis
from lemmata.flows.field import Partitioned, State, require_pair
from lemmata.flows.layers.maps import LinearMap
from lemmata.flows.layers.residual import Layer
from lemmata.given import require_flag


class Hamiltonian(Layer, Partitioned):
    """q' = K^T sigma(K p + b), p' = -L^T sigma(L q + c): Hamilton's equations of sum S(K p + b) + sum S(L q + c).

    With `two` weights, K, b and L, c, it is the Hamiltonian network of Ruthotto and Haber (2020), section 3; without,
    L = K and c = b. The flow keeps volumes always, and the energy while the weights stay.
    """

    def __init__(self, width: int | LinearMap, basis: Basis, *, two: bool = False, **options: Any):
        self.two = require_flag(two, "two")
        super().__init__(width, basis, **options)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of K and b, and of L and c where there are two weights."""
        one = super().shapes()
        return {**one, "L": one["K"], "c": one["b"]} if self.two else one

    def first(self, p: Tensor, *weights: Tensor) -> Tensor:
        """Give q'."""
        K, b, *_ = weights
        return self.symmetric(K, b, p)

    def second(self, q: Tensor, *weights: Tensor) -> Tensor:
        """Give p'."""
        *_, L, c = weights
        return -self.symmetric(L, c, q)

    def energy(self, y: State, *weights: Tensor) -> Tensor:
        """Give sum S(K p + b) + sum S(L q + c): (samples,)."""
        (q, p), (K, b, *_), (*_, L, c) = require_pair(self, y), weights, weights
        return self.potential(K, b, p) + self.potential(L, c, q)
