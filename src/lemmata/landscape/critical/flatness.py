"""Gradient-flatness: whether a point at which the gradient does not vanish is one that no Newton step leads away from.

    r = |H p + g| / (|H|_F |p| + |g|),     p = -H^+ g                     (Frye and others, 2021, arXiv:2003.10397)

r is 0 where H p = -g can be solved, and 1 where g lies in the kernel of H. There |g|^2 is stationary, its gradient
being 2 H g, so that methods that shrink the gradient norm, and Newton's, stop at it as if it were a critical point. The
authors call a point gradient-flat above 0.9 (`CUTOFF`).

What counts as kernel has to be said: eigenvalues up to `resolution` times the largest in absolute value do. Without
it r would be 0 wherever H is not singular to the last bit.
"""

import torch
from torch import Tensor

from lemmata.landscape.critical.minres import Multiply, minres

CUTOFF = 0.9
RESOLUTION = 1e-4


def flatness(values: Tensor, coefficients: Tensor, *, resolution: float = RESOLUTION) -> Tensor:
    """Frye's r (M,) from eigenvalues (M, P) and the coefficients of g in the eigenvectors (M, P).

    A gradient of exactly zero, where r is 0 / 0, gives 0. Costs O(M P).

    >>> flatness(torch.tensor([[0.0, 2.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [0.0, 3.0]])).tolist()
    [1.0, 0.0]
    """
    kept = values.abs() > resolution * values.abs().amax(1, keepdim=True)
    p = torch.where(kept, coefficients / torch.where(kept, values, 1.0), 0.0)
    left = torch.where(kept, 0.0, coefficients).norm(dim=1)
    return left / (values.norm(dim=1) * p.norm(dim=1) + coefficients.norm(dim=1)).clamp(min=1e-300)


def flatness_by_products(
    multiply: Multiply, g: Tensor, frobenius: Tensor, *, resolution: float = RESOLUTION, most: int
) -> Tensor:
    """The same from products with the Hessians alone: p by MINRES, `frobenius` (M,) being |H|_F.

    MINRES stops at |A r| <= resolution |A| |r|, by which g with little outside the kernel has p = 0 and r = 1. Cost: up
    to `most` products a point.
    """
    found = minres(multiply, -g, rtol=resolution, atol=resolution, most=most)
    whole = frobenius * found.x.norm(dim=1) + g.norm(dim=1)
    return found.residual.norm(dim=1) / whole.clamp(min=1e-300)
