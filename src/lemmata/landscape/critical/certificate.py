"""How far the next true critical point is at most: the theorem of Newton and Kantorovich.

Let H be the Hessian at theta, eta = |H^-1 g|, beta = |H^-1| = 1 / min |lambda|, and let the Hessian have the Lipschitz
constant l around theta. If h = beta l eta <= 1/2, there is a critical point within

    t = (1 - sqrt(1 - 2 h)) / (beta l)  <=  2 eta,

and none but it within (1 + sqrt(1 - 2 h)) / (beta l) (Kantorovich and Akilov, 1982, chapter XVIII). By Weyl's
inequality its eigenvalues differ from those at theta by at most l t.

*Flat directions.* Networks have critical points in families, by symmetry, and H a kernel. The theorem is then applied
across the family, on the space of the eigenvectors that are not in the kernel. What it proves there is a zero of that
part of the gradient; the rest vanishes too if the loss is constant along the family. Were there a critical point
within t, Taylor's formula would leave a gradient of at most e t + l t^2 / 2 along the kernel, e being the largest
|lambda| in it; where there is more (a plateau, an infimum at infinity), nothing is certified.

*The constant.* `lipschitz` given by whoever knows one makes the certificate a proof, up to rounding. Else l is twice
the largest |T[u, u, u]| that a power iteration finds, T being the third derivative at theta and u of unit length. For a
symmetric T this maximum is its norm (Banach, 1938), but the iteration may end at a smaller local one, and T varies
around theta. Where eta is not of rounding's size T is therefore looked at again 2 eta away, in random directions: at
theta alone it may vanish by symmetry. `slack` = 1 / (2 h) says by how much l may be wrong before the certificate fails.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.landscape.critical.field import Field

SAFETY = 2.0


@dataclass(frozen=True)
class Certificate:
    """Bounds for M points, all (M,): `distance` to a critical point (infinite where there is none) and its `slack`.

    `newton` is eta, the length of Newton's step, `lipschitz` the constant l that was taken.
    """

    distance: Tensor
    slack: Tensor
    newton: Tensor
    lipschitz: Tensor


def kantorovich(newton: Tensor, inverse: Tensor, lipschitz: Tensor) -> Certificate:
    """The certificate from eta (M,), beta (M,) and l (M,).

    >>> one = torch.ones(1)
    >>> bound = kantorovich(0.375 * one, one, one)
    >>> bound.distance.tolist(), round(bound.slack.item(), 4)
    ([0.5], 1.3333)
    """
    h = inverse * lipschitz * newton
    t = 2 * newton / (1 + (1 - 2 * h).clamp(min=0.0).sqrt())  # without the cancellation of the formula above
    return Certificate(torch.where(h <= 0.5, t, torch.inf), 0.5 / h.clamp(min=1e-300), newton, lipschitz)


def lipschitz_estimate(
    field: Field,
    Y: Tensor,
    *,
    away: Tensor | None = None,
    starts: int = 4,
    iterations: int = 6,
    generator: torch.Generator,
) -> Tensor:
    """Twice the norm of the third derivative at each row of Y (M, P), as the symmetric power method finds it: (M,).

    u <- T[u, u, .] / |T[u, u, .]| from `starts` random vectors; each at a point of its own, `away` (M,) from the row in
    a random direction, if that is given. Cost: 6 gradients for each of `starts` times `iterations` contractions.
    """
    M, P = Y.shape
    U = torch.randn(M * starts, P, generator=generator, dtype=torch.float64).to(Y)
    points, size = Y.repeat_interleave(starts, 0), Y.new_zeros(M * starts)
    if away is not None:
        aside = torch.randn(M * starts, P, generator=generator, dtype=torch.float64).to(Y)
        points = points + away.repeat_interleave(starts)[:, None] * aside / aside.norm(dim=1, keepdim=True)
    for _ in range(iterations):
        U = U / U.norm(dim=1, keepdim=True).clamp(min=1e-300)
        U = field.third(points, U, U)
        size = torch.maximum(size, U.norm(dim=1))
    return SAFETY * size.reshape(M, starts).amax(1)
