"""Gradient-norm minimisation: trust-region Newton on phi = |grad L|^2 / 2, for critical points of any index.

    grad phi = H g,     Hessian of phi = H^2 + T[g],     T the third derivative of L

Every critical point of L is a global minimum of phi. But phi has stationary points of its own, wherever H g = 0 without
g = 0, and descent on it stops at those that are its local minima: gradient-flat points. With the second derivative of
phi they are reached as exactly as the critical points are, so that one can tell which it was: |H g| goes to rounding,
and `flatness` to 1. Without it (plain descent, whose condition number is the square of the Hessian's) a run may not
have arrived at either.

Cost of a step: up to `most` products of about 10 gradients, or 6 P for the matrices where there are few parameters, and
one gradient and one product with H. Members stop, *stalled*, where |H g| <= `STILL` |H| |g|.
"""

import torch
from torch import Tensor

from lemmata.landscape.critical.field import Field
from lemmata.landscape.critical.trust_region import TrustRegion
from lemmata.landscape.critical.walk import Moving

STILL = 1e-11


class Bent:
    """H^2 + T[g] at M points, from g there: matrices where the Hessians are, products otherwise."""

    def __init__(self, field: Field, Y: Tensor, g: Tensor):
        self.field, self.Y, self.g, self.H = field, Y, g, field.products(Y)
        self.matrices = None
        if self.H.matrices is not None:
            self.matrices = self.H.matrices @ self.H.matrices + field.third_matrices(Y, g)

    def __call__(self, V: Tensor, rows: Tensor | None = None) -> Tensor:
        """Multiply V (m, P) by those of these rows (m,), increasing; of all M without."""
        rows = torch.arange(len(self.Y), device=self.Y.device) if rows is None else rows
        if self.matrices is not None:
            return (self.matrices[rows] @ V[:, :, None])[..., 0]
        return self.H(self.H(V, rows), rows) + self.field.third(self.Y[rows], self.g[rows], V)


class GradientNorm:
    """One step of trust-region Newton on phi for every member; it is the surface that the region is put on."""

    def __init__(self, field: Field, count: int, *, most: int):
        self.field, self.region = field, TrustRegion(self, count, most=most)
        self.loss = self.g = torch.zeros(0)  # of the points looked at last

    def step(self, moving: Moving) -> Tensor:
        """Move the members; gives a mask (m,) of those at which phi is not yet stationary."""
        bent = Bent(self.field, moving.Y, moving.g)
        slope = bent.H(moving.g)
        size = bent.H(slope).norm(dim=1) / slope.norm(dim=1).clamp(min=1e-300)  # |H|, from below
        still = slope.norm(dim=1) <= STILL * size * moving.g.norm(dim=1)
        inner = Moving(moving.rows, moving.Y, 0.5 * moving.g.square().sum(1), slope)
        moved, going = self.region.attempt(inner, bent)
        moving.loss[moved], moving.g[moved] = self.loss[moved], self.g[moved]
        return going & ~still

    def value_and_gradient(self, Y: Tensor) -> tuple[Tensor, Tensor]:
        """Give phi (M,) and H g (M, P)."""
        self.loss, self.g = self.field.value_and_gradient(Y)
        phi = torch.where(self.loss.isfinite(), 0.5 * self.g.square().sum(1), torch.nan)
        return phi, self.field.hessian_products(Y, self.g)
