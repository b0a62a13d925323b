"""The antisymmetric layer y' = sigma((K - K^T - gamma I) y + b) of Haber and Ruthotto (2017)."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.flows.basis import Basis
from lemmata.flows.layers.maps import LinearMap, map_of, square
from lemmata.flows.layers.residual import Layer
from lemmata.given import require_number


class Antisymmetric(Layer):
    """y' = sigma((K - K^T - gamma I) y + b), with a rising sigma and gamma >= 0.

    Its Jacobian is D (A - gamma I), D >= 0 diagonal and A antisymmetric: eigenvalues with real parts of 0, or below 0
    with gamma. They lie near the imaginary axis, where forward Euler is unstable at any step unless gamma makes up for
    it.
    """

    def __init__(self, width: int | LinearMap, basis: Basis, *, gamma: float = 0.0, **options: Any):
        self.gamma = require_number(gamma, "gamma")
        if not (math.isfinite(gamma) and gamma >= 0):
            raise InvalidInput(f"gamma = {gamma}; the damping is a finite number of 0 or more")
        super().__init__(square(map_of(width), "Antisymmetric"), basis, **options)

    def velocity(self, y: Tensor, *weights: Tensor) -> Tensor:
        """Give y'."""
        K, b = weights
        moved = self.inner(K - self.linear.transpose(K), b, y)
        return self.activation(moved.sub(y, alpha=self.gamma) if self.gamma else moved)

    def extra_repr(self) -> str:
        """Name the damping too."""
        return f"{super().extra_repr()}, gamma={self.gamma:g}"
