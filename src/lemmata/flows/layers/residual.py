"""What residual layers have in common: weights of given shapes, each expanded in a basis in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lemmata.flows.basis import Basis
from lemmata.flows.field import VectorField


class Residual(VectorField):
    """A field whose weights are `coefficients[name]` (basis.size, *shape) in the basis."""

    def __init__(self, shapes: Mapping[str, Sequence[int]], basis: Basis, *, seed: int = 0):
        super().__init__()
        self.basis, self.T = basis, basis.T
        generator = torch.Generator().manual_seed(seed)
        self.coefficients = nn.ParameterDict()
        for name, shape in shapes.items():
            fan = torch.Size(shape[1:]).numel()
            scale = fan**-0.5 if len(shape) > 1 else 0.0
            self.coefficients[name] = nn.Parameter(
                scale * torch.randn(basis.size, *shape, generator=generator, dtype=torch.float64).float()
            )

    def weights_at(self, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
        """Give sum_k B_k(t) theta_k at the times: one product a weight."""
        values = self.basis.values(times, inside)
        return tuple(
            (values.to(theta) @ theta.flatten(1)).unflatten(1, theta.shape[1:]) for theta in self.coefficients.values()
        )
