"""Trust-region Newton: minima, by the quadratic model in a ball that its own success widens (Steihaug, 1983).

    min  <g, p> + p^T H p / 2   over |p| <= radius

is solved by conjugate gradients as far as they go: to the ball's surface, at once along the first direction of negative
curvature met, or to the residual. So it slides off saddles; only a start without any gradient stays. The loss decides:
a step is taken if the loss falls by a tenth of what the model says, or, at the floor of its rounding, if the gradient
norm falls. Cost of a step: up to `most` products of 2 gradients, and one gradient. Fails to find anything but minima.
"""

from typing import Protocol

import torch
from torch import Tensor

from lemmata.landscape.critical.ball import exact, truncated
from lemmata.landscape.critical.field import Field
from lemmata.landscape.critical.walk import Moving


class Surface(Protocol):
    """What is minimised: values (M,) and gradients (M, P) at many points."""

    def value_and_gradient(self, Y: Tensor) -> tuple[Tensor, Tensor]:
        """Both at the rows of Y (M, P)."""
        ...


class Curvature(Protocol):
    """The Hessians at the members' points: matrices (m, P, P) where they were made, and products."""

    matrices: Tensor | None

    def __call__(self, V: Tensor, rows: Tensor | None = None) -> Tensor:
        """Multiply V (m, P) by the Hessians of these rows, of all without."""
        ...


SMALLEST = 1e-13  # radius relative to 1 + |theta| at which a member stalls


class TrustRegion:
    """Balls around the members, each with a radius of its own that grows and shrinks with the success in it."""

    def __init__(self, surface: Surface, count: int, *, most: int, radius: float = 0.5, widest: float = 10.0):
        self.surface, self.most, self.widest = surface, most, widest
        self.radius = torch.full((count,), radius, dtype=torch.float64)

    def attempt(self, moving: Moving, H: Curvature) -> tuple[Tensor, Tensor]:
        """Try the minimiser of each member's model; gives masks (m,): who moved, and whose radius is above rounding."""
        self.radius = self.radius.to(moving.Y)
        radius, norm = self.radius[moving.rows], moving.g.norm(dim=1)
        if H.matrices is not None:
            p = exact(H.matrices, moving.g, radius)
        else:
            p = truncated(H, moving.g, radius, rtol=norm.sqrt().clamp(max=0.1), most=self.most)
        promised = -((moving.g * p).sum(1) + 0.5 * (p * H(p)).sum(1))
        value, g = self.surface.value_and_gradient(moving.Y + p)
        floor = 10 * torch.finfo(value.dtype).eps * (moving.loss.abs() + value.abs())
        fell = moving.loss - value
        ratio = torch.where(promised > floor, fell / promised.clamp(min=1e-300), 0.0)
        blind = (promised <= floor) & (g.norm(dim=1) < norm) & (fell >= -floor)
        good = value.isfinite() & ((ratio > 0.1) | blind)
        self._resize(moving.rows, p.norm(dim=1), ratio, good, blind)
        moving.Y[good], moving.loss[good], moving.g[good] = (moving.Y + p)[good], value[good], g[good]
        return good, good | (self.radius[moving.rows] > SMALLEST * (1 + moving.Y.norm(dim=1)))

    def _resize(self, rows: Tensor, length: Tensor, ratio: Tensor, good: Tensor, blind: Tensor) -> None:
        radius = self.radius[rows]
        wider = (ratio > 0.75) & (length > 0.99 * radius)
        narrower = ~good | ((ratio < 0.25) & ~blind)
        radius = torch.where(wider, (2 * radius).clamp(max=self.widest), radius)
        self.radius[rows] = torch.where(narrower, 0.25 * torch.minimum(length, radius), radius)


class TrustRegionNewton:
    """One step of trust-region Newton on the loss for every member."""

    def __init__(self, field: Field, count: int, *, most: int):
        self.field, self.region = field, TrustRegion(field, count, most=most)

    def step(self, moving: Moving) -> Tensor:
        """Take a step in each ball; gives a mask (m,) of those whose radius is not yet down to rounding."""
        return self.region.attempt(moving, self.field.products(moving.Y))[1]
