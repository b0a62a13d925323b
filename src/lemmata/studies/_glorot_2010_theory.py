"""What theory expects of a network at its initial weights, for inputs of several lengths (mean squares) at once.

    E u_l^2 = n_(l-1) Var W_l E a_(l-1)^2,   a_l = phi(u_l),   u_l ~ N(0, E u_l^2)
    E d_l^2 = n_(l+1) Var W_(l+1) E phi'(u_l)^2 E d_(l+1)^2

Glorot and Bengio's products of n Var W are these with phi(u) = u. `lemmata.propagation.expected_variances` has them for
one length; images differ in length, and phi is not linear, so that the mean over images is what has to be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.propagation.activations import nonlinearity
from lemmata.propagation.duals import diagonal

GROUPS = 20


@dataclass(frozen=True)
class Expected:
    """Variances at the hidden layers, averaged over inputs: numpy arrays (depth,)."""

    activation: np.ndarray
    gradient: np.ndarray
    weight_gradient: np.ndarray


def grouped(squares: Tensor) -> Tensor:
    """Means of 20 groups of inputs of similar length, equally many in each: mean squares (20 m,) to (20,).

    >>> grouped(torch.arange(40.0)).tolist()[:3]
    [0.5, 2.5, 4.5]
    """
    return squares.double().sort().values.view(GROUPS, -1).mean(1)


def expected(
    sizes: Sequence[int], variances: Sequence[float], activation: str, squares: Tensor, output_gradient: float
) -> Expected:
    """The expectation for layer `sizes` from inputs to outputs, Var W of each layer, and inputs' mean squares (m,)."""
    phi, a = nonlinearity(activation), squares
    below, means, slopes = [], [], []
    for fan_in, v in zip(sizes[:-2], variances[:-1], strict=True):
        below.append(a)
        here = diagonal(phi, fan_in * v * a)
        a = here.square
        means.append(here.mean)
        slopes.append(here.square_slope)
    d, gradients = torch.full_like(a, output_gradient), []
    for layer in range(len(slopes) - 1, -1, -1):
        d = sizes[layer + 2] * variances[layer + 1] * slopes[layer] * d
        gradients.insert(0, d)
    squares_above = [*below[1:], a]
    return Expected(
        np.array([float(s.mean() - m.mean() ** 2) for s, m in zip(squares_above, means, strict=True)]),
        np.array([float(each.mean()) for each in gradients]),
        np.array([float((g * s).mean()) for g, s in zip(gradients, below, strict=True)]),
    )
