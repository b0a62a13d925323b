"""Trust-region Newton: minima, by the quadratic model in a ball that its own success widens (Steihaug, 1983).

    min  <g, p> + p^T H p / 2   over |p| <= radius

is solved by conjugate gradients as far as they go: to the ball's surface, at once along the first direction of negative
curvature met, or to the residual. So it slides off saddles; only a start without any gradient stays. The loss decides:
a step is taken if the loss falls by a tenth of what the model says, or, at the floor of its rounding, if the gradient
norm falls. Cost of a step: up to `most` products of 2 gradients, and one gradient. Fails to find anything but minima.
"""

import torch
from torch import Tensor

from lemmata.landscape.critical.field import Field
from lemmata.landscape.critical.minres import Multiply
from lemmata.landscape.critical.walk import Moving

SMALLEST = 1e-13  # radius relative to 1 + |theta| at which a member stalls


class TrustRegion:
    """One step of trust-region Newton for every member, each with a radius of its own."""

    def __init__(self, field: Field, count: int, *, most: int, radius: float = 0.5, widest: float = 10.0):
        self.field, self.most, self.widest = field, most, widest
        self.radius = torch.full((count,), radius, dtype=torch.float64)

    def step(self, moving: Moving) -> Tensor:
        """Try the model's minimiser; gives a mask (m,) of those whose radius is not yet down to rounding."""
        self.radius = self.radius.to(moving.Y)
        radius, norm = self.radius[moving.rows], moving.g.norm(dim=1)
        products = self.field.products(moving.Y)
        rtol = norm.sqrt().clamp(max=0.1)
        p = steihaug(products, moving.g, radius, rtol=rtol, most=self.most)
        promised = -((moving.g * p).sum(1) + 0.5 * (p * products(p)).sum(1))
        loss, g = self.field.value_and_gradient(moving.Y + p)
        floor = 10 * torch.finfo(loss.dtype).eps * (moving.loss.abs() + loss.abs())
        fell = moving.loss - loss
        ratio = torch.where(promised > floor, fell / promised.clamp(min=1e-300), 0.0)
        blind = (promised <= floor) & (g.norm(dim=1) < norm) & (fell >= -floor)
        good = loss.isfinite() & ((ratio > 0.1) | blind)
        self._resize(moving.rows, p.norm(dim=1), ratio, good, blind)
        moving.Y[good], moving.loss[good], moving.g[good] = (moving.Y + p)[good], loss[good], g[good]
        return good | (self.radius[moving.rows] > SMALLEST * (1 + moving.Y.norm(dim=1)))

    def _resize(self, rows: Tensor, length: Tensor, ratio: Tensor, good: Tensor, blind: Tensor) -> None:
        radius = self.radius[rows]
        wider = (ratio > 0.75) & (length > 0.99 * radius)
        narrower = ~good | ((ratio < 0.25) & ~blind)
        radius = torch.where(wider, (2 * radius).clamp(max=self.widest), radius)
        self.radius[rows] = torch.where(narrower, 0.25 * torch.minimum(length, radius), radius)


def steihaug(multiply: Multiply, g: Tensor, radius: Tensor, *, rtol: Tensor, most: int) -> Tensor:
    """Minimise the models within their balls by truncated conjugate gradients: steps (m, P)."""
    x = torch.zeros_like(g)
    rows = torch.arange(len(g), device=g.device)
    p, r, d = x.clone(), -g, -g
    rr, target = g.square().sum(1), rtol * g.norm(dim=1)
    for _ in range(most):
        if not len(rows):
            break
        Hd = multiply(d, rows)
        curvature, dd = (d * Hd).sum(1), d.square().sum(1)
        positive = curvature > torch.finfo(g.dtype).eps * dd
        alpha = torch.where(positive, rr / torch.where(positive, curvature, 1.0), torch.inf)
        reach = _to_surface(p, d, radius[rows])
        out = alpha >= reach
        p = p + torch.minimum(alpha, reach)[:, None] * d
        r = r - torch.where(out, 0.0, alpha)[:, None] * Hd
        after = r.square().sum(1)
        going = ~out & (after.sqrt() > target[rows])
        x[rows] = p
        d = r + (after / rr)[:, None] * d
        rows, p, r, d, rr = rows[going], p[going], r[going], d[going], after[going]
    return x


def _to_surface(p: Tensor, d: Tensor, radius: Tensor) -> Tensor:
    """The t >= 0 at which |p + t d| is the radius."""
    a, b, c = d.square().sum(1), (p * d).sum(1), p.square().sum(1) - radius.square()
    return (-b + (b.square() - a * c).clamp(min=0.0).sqrt()) / a.clamp(min=1e-300)
