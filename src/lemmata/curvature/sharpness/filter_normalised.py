"""Filter-normalised sharpness: the mean rise of the loss along random filter-normalised directions.

    S(w) = E L(w + r d) - L(w),   d_f = |w_f| z_f / |z_f| for each filter f, z standard normal; 0 for biases

the directions being those along which Li, Xu, Taylor, Studer and Goldstein (2018), Visualizing the loss landscape of
neural nets, arXiv:1712.09913, section 4, draw surfaces: every filter moves by the share r of its own length. A filter
is all the weights into one unit; parameters with fewer than two dimensions do not move.

Invariant under factors that are the same for a whole filter: weights before a normalisation, and Dinh et al.'s
rescaling of whole layers (biases included, since they do not move). Not under unit-wise rescaling of ReLU networks, as
a factor of one unit is a factor of one column of the next layer. To second order
S = r^2 sum_f |w_f|^2 tr(H_ff) / (2 n_f), n_f being the size of filter f.

Cost: 2/3 of a gradient a pair of opposite draws.
"""

import torch

from lemmata.curvature.sharpness.average import mean_rise
from lemmata.curvature.sharpness.points import DRAWN
from lemmata.curvature.sharpness.result import AverageCase
from lemmata.curvature.sharpness.scale import filter_lengths
from lemmata.errors import InvalidInput
from lemmata.objective import Objective, Subject


def filter_normalised_sharpness(
    subject: Subject, *, radius: float = 0.1, pairs: int = 50, memory: int = 2**25, seed: int | torch.Generator = 0
) -> AverageCase:
    """Estimate the mean rise of the loss when every filter moves by the share `radius` of its length, at random.

    Options are those of `average_sharpness`. Raises `InvalidInput` where no parameter has two dimensions.

    >>> import torch
    >>> from lemmata import curvature, phantoms
    >>> bowl = phantoms.quadratic([3.0, 2.0, 1.0, 0.0], point=torch.ones(4), shapes=[(1, 4)])
    >>> found = curvature.filter_normalised_sharpness(bowl.objective, radius=0.1, pairs=400)
    >>> abs(found.value - 0.01 * 4 * 6 / (2 * 4)) < 4 * found.stderr
    True
    """
    objective = Objective.of(subject)
    own = objective.parameters
    lengths = filter_lengths(objective, own)
    if not any(weight.ndim > 1 and weight.any() for weight in own.values()):
        raise InvalidInput("no parameter has filters (two dimensions or more) that are not zero; nothing would move")
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)

    def draw() -> torch.Tensor:
        noise = {n: torch.randn(w.shape, generator=generator, dtype=DRAWN).to(w) for n, w in own.items()}
        sizes = filter_lengths(objective, noise)
        return objective.vector(
            {n: z * (lengths[n] / sizes[n]) if z.ndim > 1 else torch.zeros_like(z) for n, z in noise.items()}
        )

    return mean_rise(objective, draw, size=radius, pairs=pairs, memory=memory)
