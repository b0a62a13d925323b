"""Sharpness of SAM: the largest rise of the loss within a Euclidean ball (Foret et al., 2021).

    S(theta) = max { L(theta + e) - L(theta) : |e|_2 <= rho }

Foret, Kleiner, Mobahi, Neyshabur (2021), Sharpness-aware minimization for efficiently improving generalization,
arXiv:2010.01412, equations 1 and 2. Their first-order answer is e = rho g / |g|; more steps climb further
(`lemmata.curvature.sharpness.climb`). At a minimum S = rho^2 lambda_max / 2 + O(rho^3).

Not invariant: rescaling the layers of a ReLU network, or the weights before a normalisation, leaves the function and
moves S (Dinh et al., 2017); to compare two networks take `adaptive_sharpness`.
Fails: in float32 where the rise is below some 1e-6 of the loss, by cancellation. Any ascent gives a lower bound.
"""

import torch

from lemmata.curvature.sharpness.result import WorstCase
from lemmata.curvature.sharpness.worst_case import worst_case
from lemmata.objective import Subject


def sam_sharpness(
    subject: Subject,
    *,
    rho: float = 0.05,
    steps: int = 1,
    starts: int = 1,
    m: int | None = None,
    seed: int | torch.Generator = 0,
) -> WorstCase:
    """The rise of the loss at the highest point found with |e|_2 <= `rho`: a lower bound of the maximum.

    ``steps=1`` is SAM's own first-order point, where the loss may even be lower; 20 come close to the maximum near a
    minimum (`gap` says what a further step could gain). `starts` - 1 climbs begin at random points of the sphere, and
    the first too where the gradient is zero; nothing else is random. With `m` the data are taken m samples at a time,
    each part with its own e, and the mean with its standard error is given (m-sharpness). `history` has every step.

    Cost: 1 + starts * steps gradients. Raises `InvalidInput` for a radius or a count that makes no sense.

    >>> from lemmata import curvature, phantoms
    >>> bowl = phantoms.quadratic([8.0, 2.0, 1.0])
    >>> round(curvature.sam_sharpness(bowl.objective, rho=0.1, steps=20).value, 4)
    0.04
    """
    return worst_case(subject, rho=rho, normalization=None, norm=2, steps=steps, starts=starts, m=m, seed=seed)
