"""Newton-MR: Newton's step as far as the Hessian has it, for critical points of any index (Roosta, Liu, Xu, Mahoney).

    p = -H^+ g   by MINRES,        theta <- theta + alpha p,    alpha by halving until |g|^2 falls

(arXiv:1810.00303). No eigenvalue is made positive, so that saddles attract as minima do; what must fall is the gradient
norm, along which every MINRES iterate descends. The system is solved to a residual of min(0.01, |g| / |g_0|)^(1/2):
products are saved far off, and the rate near a critical point is superlinear. Stopping early (`most` products), at a
small normal residual and at a longest step regularises where H is nearly singular.

Where H g = 0 with g not 0 there is no step: a gradient-flat point, in which this method stalls. Cost: up to `most`
products of 2 gradients, and one gradient for each factor tried.
"""

import torch
from torch import Tensor

from lemmata.landscape.critical.field import Field
from lemmata.landscape.critical.line_search import shrink_gradient
from lemmata.landscape.critical.minres import minres
from lemmata.landscape.critical.walk import Moving


class NewtonMR:
    """One step of Newton-MR for every member; `longest` bounds |p| relative to 1 + |theta|."""

    def __init__(self, field: Field, count: int, *, most: int, atol: float = 1e-7, longest: float = 10.0):
        self.field, self.most, self.atol, self.longest = field, most, atol, longest
        self.first = torch.full((count,), torch.nan, dtype=torch.float64)

    def step(self, moving: Moving) -> Tensor:
        """Solve and search along the solution; gives a mask (m,) of those whose gradient norm fell."""
        norm = moving.g.norm(dim=1)
        self.first = self.first.to(norm)
        new = self.first[moving.rows].isnan()
        self.first[moving.rows[new]] = norm[new]
        products = self.field.products(moving.Y)
        forcing = (norm / self.first[moving.rows]).clamp(max=0.01).sqrt()
        p = minres(products, -moving.g, rtol=forcing, atol=self.atol, most=self.most).x
        p = shortened(p, self.longest * (1 + moving.Y.norm(dim=1)))
        slope = 2 * (moving.g * products(p)).sum(1)
        return shrink_gradient(self.field, moving, p, slope)[1]


def shortened(p: Tensor, longest: Tensor) -> Tensor:
    """Steps p (m, P) scaled down to `longest` (m,) where they are longer."""
    size = p.norm(dim=1)
    return p * (longest / size.clamp(min=torch.finfo(p.dtype).tiny)).clamp(max=1.0)[:, None]
