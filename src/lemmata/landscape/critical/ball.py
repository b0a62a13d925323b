"""The quadratic model in a ball, for many at once: exactly from matrices, or by truncated conjugate gradients.

    min  <g, p> + p^T H p / 2   over |p| <= radius

*Exactly* (More and Sorensen, 1983): p = -(H + mu I)^-1 g with mu >= 0, H + mu I positive semidefinite, and mu = 0 or
|p| = radius. In the eigenvectors of H this is one equation for mu, solved by bisection; where g has nothing along the
lowest eigenvectors (the hard case) one of them is added up to the surface. Cost: an eigendecomposition. A condition
number of 1e12, as that of H^2, does no harm.

*Truncated* (Steihaug, 1983): conjugate gradients to the ball's surface, along the first direction of negative curvature
met to the surface, or to the residual asked for. Cost: a product a step. With a large condition number it stays short.
"""

import torch
from torch import Tensor

from lemmata.landscape.critical.minres import Multiply

BISECTIONS = 80


def exact(H: Tensor, g: Tensor, radius: Tensor) -> Tensor:
    """The minimisers (m, P) for H (m, P, P), g (m, P), radius (m,).

    >>> H = torch.diag(torch.tensor([2.0, -1.0], dtype=torch.float64))[None]
    >>> p = exact(H, torch.tensor([[0.0, 1e-9]], dtype=torch.float64), torch.tensor([1.0], dtype=torch.float64))
    >>> p.round(decimals=6).abs().tolist()
    [[0.0, 1.0]]
    """
    values, vectors = torch.linalg.eigh((H + H.mT) / 2)
    c = (vectors.mT @ g[:, :, None])[..., 0]
    scale = values.abs().amax(1).clamp(min=1e-300)
    floor = (-values[:, 0]).clamp(min=0.0)
    size = c.norm(dim=1)
    low, high = floor, floor + size / radius + scale * 1e-16
    for _ in range(BISECTIONS):  # geometric from the floor on, since mu may lie many orders above it
        middle = floor + ((low - floor).clamp(min=1e-30 * scale) * (high - floor).clamp(min=1e-30 * scale)).sqrt()
        long = _length(c, values, middle) > radius
        low, high = torch.where(long, middle, low), torch.where(long, high, middle)
    inside = (values[:, 0] > 0) & (_length(c, values, torch.zeros_like(floor)) <= radius)
    mu = torch.where(inside, 0.0, high)
    p = -_shifted(c, values, mu)
    rest = (radius.square() - p[:, 1:].square().sum(1)).clamp(min=0.0).sqrt()  # what the lowest one has to make up
    hard = ~inside & (p.norm(dim=1) < 0.999999 * radius) & (values[:, 0] <= 0)
    p[:, 0] = torch.where(hard, torch.where(c[:, 0] > 0, -rest, rest), p[:, 0])
    return (vectors @ p[:, :, None])[..., 0]


def _shifted(c: Tensor, values: Tensor, mu: Tensor) -> Tensor:
    shifted = values + mu[:, None]
    return torch.where(c == 0, 0.0, c / shifted.clamp(min=1e-300))


def _length(c: Tensor, values: Tensor, mu: Tensor) -> Tensor:
    return _shifted(c, values, mu).norm(dim=1)


def truncated(multiply: Multiply, g: Tensor, radius: Tensor, *, rtol: Tensor, most: int) -> Tensor:
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
