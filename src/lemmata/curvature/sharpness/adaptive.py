"""Adaptive sharpness: the largest rise of the loss when each weight moves in proportion to its size (ASAM).

    S(w) = max { L(w + delta) - L(w) : |T_w^-1 delta|_p <= rho }

Kwon, Kim, Park, Choi (2021), ASAM: adaptive sharpness-aware minimization for scale-invariant learning of deep neural
networks, arXiv:2102.11600, definition 2, with T_w = diag |w_i| (element-wise) or, for the weights of a filter f,
|f|_2 (filter-wise; |w_i| for biases). Andriushchenko, Croce, Mueller, Hein, Flammarion (2023), A modern look at the
relationship between sharpness and generalization, arXiv:2302.07011, take p = infinity too: |delta_i| <= rho |w_i|.

Invariant, element-wise: under every rescaling by a positive diagonal matrix that leaves the function, so under layer-
and unit-wise rescaling of ReLU networks and of weights before a normalisation (theorem 1 there). Filter-wise: under
factors that are the same for a whole filter, so layer-wise, but not unit-wise, since a factor of one unit is a factor
of one column of the next layer. Weights that are exactly zero never move. Any ascent gives a lower bound.
"""

import torch

from lemmata.curvature.sharpness.climb import Norm
from lemmata.curvature.sharpness.result import WorstCase
from lemmata.curvature.sharpness.scale import Normalization
from lemmata.curvature.sharpness.worst_case import worst_case
from lemmata.objective import Subject


def adaptive_sharpness(
    subject: Subject,
    *,
    rho: float = 0.5,
    normalization: Normalization = "element",
    norm: Norm = 2,
    steps: int = 20,
    starts: int = 1,
    m: int | None = None,
    seed: int | torch.Generator = 0,
) -> WorstCase:
    """The rise of the loss at the highest point found with |T^-1 delta|_norm <= `rho`: a lower bound of the maximum.

    `normalization` is ``"element"`` or ``"filter"`` (None is no scale at all), `norm` 2 or ``"inf"``; the other options
    and the cost, 1 + starts * steps gradients, are those of `sam_sharpness`. `rho` is relative: 0.5 is usual with
    norm 2, 0.001 to 0.01 with norm ``"inf"``, where every weight may move by that share of itself.

    >>> import torch
    >>> from lemmata import curvature, phantoms
    >>> bowl = phantoms.quadratic([8.0, 2.0], point=torch.tensor([0.0, 1.0]), rotated=False)
    >>> round(curvature.adaptive_sharpness(bowl.objective, rho=0.1).value, 6)
    0.21
    """
    return worst_case(
        subject, rho=rho, normalization=normalization, norm=norm, steps=steps, starts=starts, m=m, seed=seed
    )
