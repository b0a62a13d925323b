"""Polishing: Newton's iteration close to a critical point, down to the floor of rounding.

    theta <- theta - H_c^+ g,     H_c^+ the pseudo-inverse of H with eigenvalues up to c |lambda|_max taken for zero

Flat directions, by symmetry, are left alone. Where the kernel ends is not known beforehand (near a family of critical
points its eigenvalues are as large as the distance), so that several c are tried at once and the one with the smallest
gradient norm is taken, halved where none falls. Convergence is quadratic, also to families (across them). Beyond the
dense limit the step is that of MINRES, solved to 1e-10.
"""

import torch
from torch import Tensor

from lemmata.landscape.critical.field import Field
from lemmata.landscape.critical.line_search import shrink_gradient
from lemmata.landscape.critical.minres import minres
from lemmata.landscape.critical.walk import Moving

CUTOFFS = (1e-13, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2)


class Polishing:
    """One step of Newton with the pseudo-inverse for every member."""

    def __init__(self, field: Field, *, dense: int):
        self.field, self.dense = field, dense

    def step(self, moving: Moving) -> Tensor:
        """Take the best of the steps; gives a mask (m,) of those whose gradient norm fell."""
        if self.field.size > self.dense:
            multiply = self.field.products(moving.Y)
            p = minres(multiply, -moving.g, rtol=1e-10, atol=1e-12, most=2 * self.field.size).x
        else:
            p = self._best(moving)
        # the slope of |g|^2 along Newton's step is -2 |g|^2, on what H reaches; any fall will do here
        return shrink_gradient(self.field, moving, p, -1e-4 * moving.g.square().sum(1))[1]

    def _best(self, moving: Moving) -> Tensor:
        """Of the pseudo-inverse steps the one that leaves the smallest gradient, (m, P)."""
        steps = torch.cat([self._steps(Y, g) for Y, g in self._parts(moving)], 1)  # (K, m, P)
        K, m, P = steps.shape
        left = self.field.gradient((moving.Y + steps).reshape(K * m, P)).norm(dim=1).reshape(K, m)
        best = left.nan_to_num(nan=torch.inf).argmin(0)
        return steps[best, torch.arange(m, device=best.device)]

    def _parts(self, moving: Moving) -> list[tuple[Tensor, Tensor]]:
        room = max(1, self.field.memory // (32 * self.field.size**2))
        return list(zip(moving.Y.split(room), moving.g.split(room), strict=True))

    def _steps(self, Y: Tensor, g: Tensor) -> Tensor:
        H = self.field.hessians(Y)
        values, vectors = torch.linalg.eigh((H + H.mT) / 2)
        coefficients, size = (vectors.mT @ g[:, :, None])[..., 0], values.abs()
        largest = size.amax(1, keepdim=True)
        found = []
        for cutoff in CUTOFFS:
            kept = size > cutoff * largest
            p = torch.where(kept, -coefficients / torch.where(kept, values, 1.0), 0.0)
            found.append((vectors @ p[:, :, None])[..., 0])
        return torch.stack(found)
