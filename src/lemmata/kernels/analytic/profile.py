r"""A kernel that is one function of the angle, tabulated once: its cost does not depend on the depth.

Where the network is positively homogeneous (a rectifier without biases) its kernels are

    k(x, z) = r(x) r(z) f(D),      D = 1 - cos(x, z)

with r(x) the square root of k(x, x). The recursion over layers is run once, at Chebyshev points, for f; a kernel matrix
is then one product of matrices and one short series an entry. f is analytic in s = sqrt(D) for D <= 1 and in
s = sqrt(2 - D) for D >= 1, the square roots taking up its singularities at angle 0 and pi:

    f = 1 - s p(s) for D <= 1,      f = q(s) for D > 1,      p, q Chebyshev series in 2s - 1

The first form keeps the relative accuracy of 1 - f, which is what smallest eigenvalues of near-duplicates are made of.
Degrees are those at which the coefficients fall below the rounding of the dtype: 12 at depth 5 in float32, 43 at depth
100. Series in s of a singular f, which no rectifier has, would not end: `NotConverged`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lemmata.estimate import NotConverged
from lemmata.kernels.analytic.network import FullyConnected
from lemmata.kernels.analytic.pairs import Deficit, Pairs
from lemmata.kernels.analytic.rectifier import Rectifier
from lemmata.kernels.analytic.recursion import through_layers

Which = Literal["ntk", "nngp"]
MOST = 512  # Chebyshev points tried
UNROLLED = 4  # coefficients come in multiples of this


@dataclass(frozen=True, eq=False)
class Profile:
    """f by its coefficients `near` and `far` (k,), lowest first; k(x, x) = `size` r^2 for an input of variance r^2.

    `sharp` is the D below which a float32 product of matrices gives D too coarsely: f would err by more than `SEEN`.
    """

    near: np.ndarray
    far: np.ndarray
    size: float
    sharp: float

    def __call__(self, deficit: Tensor) -> Tensor:
        """f at D, elementwise, in D's dtype: Clenshaw's recurrence."""
        far = deficit > 1
        s = torch.where(far, 2 - deficit, deficit).clamp(0, 1).sqrt()
        t = 2 * s - 1
        second, first = torch.zeros_like(t), torch.zeros_like(t)
        side = far.to(t.dtype)
        for near_k, far_k in zip(self.near[::-1].tolist(), self.far[::-1].tolist(), strict=True):
            second, first = first, 2 * t * first - second + (near_k + (far_k - near_k) * side)
        series = first - t * second
        return torch.where(far, series, 1 - s * series)


def is_homogeneous(network: FullyConnected) -> bool:
    """Whether the network's kernels are norms times one function of the angle."""
    mixed = network.residual and network.layer_norm and network.depth > 2
    return isinstance(network.dual, Rectifier) and network.bias_variance == 0 and not mixed


def profile(network: FullyConnected, which: Which, dtype: torch.dtype) -> Profile:
    """Tabulate the kernel of a homogeneous network for values in `dtype`.

    >>> f = profile(FullyConnected(depth=2), "nngp", torch.float64)
    >>> round(f(torch.tensor([1.0], dtype=torch.float64)).item() * math.pi, 12)     # of orthogonal inputs: 1 / pi
    1.0
    """
    rounding = max(torch.finfo(dtype).eps / 2, (8 + network.depth) * 2.0**-50)  # layers add up their rounding
    points = 32
    while True:
        s = _nodes(points)
        near, size = _sampled(network, which, s**2)
        far, _ = _sampled(network, which, 2 - s**2)
        series = _coefficients(near / s), _coefficients(1 - far)
        needed = max(_length(c, rounding) for c in series)
        if needed < points - UNROLLED:
            length = needed + -needed % UNROLLED
            return Profile(series[0][:length], series[1][:length], size, _sharp(near, s))
        if points == MOST:
            raise NotConverged(
                f"the {which} as a series in the angle", best=None, residual=max(float(abs(c[-1])) for c in series),
                tolerance=rounding, remedy="the network is too deep to be tabulated; take fewer layers",
            )  # fmt: skip
        points *= 2


SEEN = 6e-7


def _nodes(points: int) -> np.ndarray:
    """Chebyshev points of [0, 1], largest first."""
    return (np.cos(math.pi * (np.arange(points) + 0.5) / points) + 1) / 2


def _sampled(network: FullyConnected, which: Which, deficit: np.ndarray) -> tuple[np.ndarray, float]:
    """The kernel's own deficit at these, and k(x, x) for an input of variance 1."""
    pairs = torch.from_numpy(deficit)[:, None]
    one = torch.ones(1, 1, dtype=pairs.dtype)
    kernel = through_layers(Deficit(one.expand(len(pairs), 1), one, pairs), network)
    found: Pairs = kernel.nngp if which == "nngp" else kernel.ntk
    return found.entries.squeeze(1).numpy(), float(found.right)


def _coefficients(values: np.ndarray) -> np.ndarray:
    """Of the Chebyshev series through values at `_nodes`."""
    points = len(values)
    order = np.arange(points)
    found = np.cos(np.outer(order, math.pi * (order + 0.5) / points)) @ values * (2 / points)
    found[0] /= 2
    return found


def _length(coefficients: np.ndarray, rounding: float) -> int:
    """How many coefficients are left when the last ones, each below rounding, are dropped."""
    size = np.abs(coefficients)
    return int(np.flatnonzero(size > rounding * max(1.0, size.max()))[-1]) + 1


def _sharp(deficit: np.ndarray, s: np.ndarray) -> float:
    """The largest D <= 1 at which float32's rounding of D moves f by more than `SEEN`, relatively.

    A float32 product of matrices gives a cosine c to (3 + 12 c) 2^-24 at worst, measured on images and normal samples.
    """
    slope = np.abs(np.gradient(deficit, s)) / (2 * s)
    seen = 2.0**-24 * (15 - 12 * s**2) * slope > SEEN * np.abs(1 - deficit)
    return float(s[seen].max() ** 2) if seen.any() else 0.0
