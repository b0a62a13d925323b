"""Average-case sharpness: the mean rise of the loss under Gaussian noise on the weights.

    S(w) = E L(w + delta) - L(w),   delta_i = sigma c_i z_i,   z standard normal

with c = 1, |w_i| (``"element"``) or the length of the weight's filter (``"filter"``): Andriushchenko et al. (2023),
arXiv:2302.07011, equation 1, and the PAC-Bayes quantity of Neyshabur et al. (2017), arXiv:1706.08947. To second order
S = sigma^2 sum_i c_i^2 H_ii / 2, so sigma^2 tr(H) / 2 for c = 1; for a quadratic that is exact.

Draws come in pairs of opposite sign, L(w + delta) / 2 + L(w - delta) / 2 - L(w), which is unbiased and free of the
gradient's noise: away from a minimum this is what makes the standard error small. The error is that over the pairs.

Invariance is that of `adaptive_sharpness` with the same c: none for c = 1. Cost: 2/3 of a gradient a pair.
Fails: in float32 where the rise is below some 1e-6 of the loss.
"""

import math

import torch

from lemmata.curvature.sharpness.points import DRAWN, at_once, losses
from lemmata.curvature.sharpness.result import AverageCase
from lemmata.curvature.sharpness.scale import Normalization, scale
from lemmata.errors import InvalidInput
from lemmata.objective import Objective, Subject


def average_sharpness(
    subject: Subject,
    *,
    sigma: float = 0.01,
    normalization: Normalization = None,
    pairs: int = 50,
    memory: int = 2**25,
    seed: int | torch.Generator = 0,
) -> AverageCase:
    """Estimate the mean rise of the loss under noise of standard deviation `sigma` c_i from `pairs` opposite draws.

    `memory` bytes bound how many draws are evaluated at once, which does not change the result. Raises `InvalidInput`
    for a sigma that is not positive or fewer than two pairs.

    >>> from lemmata import curvature, phantoms
    >>> bowl = phantoms.quadratic([3.0, 2.0, 1.0])
    >>> found = curvature.average_sharpness(bowl.objective, sigma=0.1, pairs=400)
    >>> abs(found.value - 0.01 * 6 / 2) < 4 * found.stderr
    True
    """
    objective = Objective.of(subject)
    T = scale(objective, normalization)
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)

    def draw() -> torch.Tensor:
        return T * torch.randn(len(T), generator=generator, dtype=DRAWN).to(T)

    return mean_rise(objective, draw, size=sigma, pairs=pairs, memory=memory)


def mean_rise(objective: Objective, draw, *, size: float, pairs: int, memory: int) -> AverageCase:
    """The mean over pairs of opposite displacements, `size` times what `draw` gives (size of the objective,)."""
    if not 0 < size < math.inf:
        raise InvalidInput(f"displacements of size {size}; it must be positive and finite")
    if pairs < 2:
        raise InvalidInput(f"pairs = {pairs}: a standard error needs at least two")
    theta = objective.vector(objective.parameters)
    centre = float(losses(objective, theta[None])[0])
    together = max(1, at_once(objective, memory) // 2)
    samples = []
    for start in range(0, pairs, together):
        delta = size * torch.stack([draw() for _ in range(min(together, pairs - start))])
        both = losses(objective, torch.cat([theta + delta, theta - delta]))
        samples.append(both.reshape(2, -1).mean(0).cpu() - centre)
    rises = torch.cat(samples)
    return AverageCase(
        float(rises.mean()),
        stderr=float(rises.std()) / math.sqrt(pairs),
        n=pairs,
        cost=(2 * pairs + 1) / 3,
        loss=centre,
        samples=rises,
    )
