"""What a point is called, and on which grounds.

    |g| <= tolerance, signs of the eigenvalues beyond their error
        some below, some above zero      "saddle"
        all above zero                   "minimum"
        all below zero                   "maximum"
        otherwise                        "degenerate": a kernel decides, and second derivatives do not know
    |g| > tolerance
        r > 0.9                          "gradient-flat": no critical point, though methods stop at it
        otherwise                        "not converged"

With ``flat="symmetry"`` zero eigenvalues are taken for those of a symmetry, and do not make a minimum degenerate,
unless the gradient along them is more than a critical point close by would leave. A loss that is not finite is at no
critical point, whatever its derivatives are.
"""

from typing import Literal

from torch import Tensor

from lemmata.landscape.critical.flatness import CUTOFF

Kind = Literal["minimum", "saddle", "maximum", "degenerate", "gradient-flat", "not converged"]
Flat = Literal["symmetry", "degenerate"]


def kinds(
    gradient_norm: Tensor, eigenvalues: Tensor, error: Tensor, flatness: Tensor, *, tolerance: float, symmetry: Tensor
) -> tuple[Kind, ...]:
    """Name M points by |g| (M,), eigenvalues (M, k) with an error (M,) common to all of a point, and r (M,).

    `symmetry` (M,) says where zero eigenvalues are those of a symmetry.

    >>> import torch
    >>> names = kinds(torch.tensor([0.0, 0.0, 1.0]), torch.tensor([[-1.0, 1.0], [0.0, 1.0], [0.0, 1.0]]),
    ...               torch.full((3,), 1e-9), torch.tensor([0.0, 0.0, 1.0]), tolerance=1e-9,
    ...               symmetry=torch.zeros(3, dtype=torch.bool))
    >>> names
    ('saddle', 'degenerate', 'gradient-flat')
    """
    below = (eigenvalues < -error[:, None]).sum(1)
    above = (eigenvalues > error[:, None]).sum(1)
    zero = eigenvalues.isfinite().sum(1) - below - above
    named: list[Kind] = []
    numbers = zip(*(t.tolist() for t in (gradient_norm, flatness, below, above, zero, symmetry)), strict=True)
    for norm, r, down, up, none, family in numbers:
        if not norm <= tolerance:
            named.append("gradient-flat" if r > CUTOFF else "not converged")
        elif down and up:
            named.append("saddle")
        elif (up or down) and (not none or family):
            named.append("minimum" if up else "maximum")
        else:
            named.append("degenerate")
    return tuple(named)
