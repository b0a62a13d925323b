r"""Functions of the angle as Chebyshev series, with their square-root singularities at angle 0 and pi taken out.

A function f(D) of D = 1 - cos that is 1 at D = 0 and analytic in the angle, as the duals of rectifiers and whatever is
composed of them, is analytic in s = sqrt(D) for D <= 1 and in s = sqrt(2 - D) for D >= 1:

    f = 1 - s p(s) for D <= 1,      f = q(s) for D > 1,      p, q Chebyshev series in 2s - 1

The first form keeps the relative accuracy of 1 - f, which is what smallest eigenvalues of near-duplicates are made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.estimate import NotConverged

AT_A_TIME = 4  # the length of a series is a multiple of this
MOST = 1024  # Chebyshev points tried


@dataclass(frozen=True, eq=False)
class Series:
    """f by the coefficients `near` of p and `far` of q (k,), lowest first, float64."""

    near: np.ndarray
    far: np.ndarray

    def __call__(self, deficit: Tensor) -> Tensor:
        """Evaluate f at D, elementwise, in D's dtype: Clenshaw's recurrence."""
        far = deficit > 1
        side, s = far.to(deficit.dtype), torch.where(far, 2 - deficit, deficit).clamp(0, 1).sqrt()
        t = 2 * s - 1
        second, first = torch.zeros_like(t), torch.zeros_like(t)
        for near_k, far_k in zip(self.near[::-1].tolist(), self.far[::-1].tolist(), strict=True):
            second, first = first, 2 * t * first - second + (near_k + (far_k - near_k) * side)
        series = first - t * second
        return torch.where(far, series, 1 - s * series)


def fitted(deficits: Callable[[np.ndarray], np.ndarray], rounding: float) -> tuple[Series, ...]:
    """The series, to a relative `rounding`, of functions given by their deficits: D (points,) -> 1 - f (count, points).

    All get the same length. Raises `NotConverged` where `MOST` points do not do.

    >>> (series,) = fitted(lambda D: D[None], 1e-15)       # the identity: f = cos
    >>> series(torch.tensor([0.25, 1.5], dtype=torch.float64))
    tensor([ 0.7500, -0.5000], dtype=torch.float64)
    """
    points = 32
    while True:
        s = nodes(points)
        near, far = _coefficients(deficits(s**2) / s), _coefficients(1 - deficits(2 - s**2))
        needed = max(_length(c, rounding) for c in (*near, *far))
        if needed < points - AT_A_TIME:
            length = needed + -needed % AT_A_TIME
            return tuple(Series(p[:length], q[:length]) for p, q in zip(near, far, strict=True))
        if points == MOST:
            residual = float(np.abs(np.concatenate([near, far])[:, -1]).max())
            raise NotConverged(
                f"a series of {points} terms in the angle", best=None, residual=residual, tolerance=rounding,
                remedy="the network is too deep to be tabulated; take fewer layers",
            )  # fmt: skip
        points *= 2


def nodes(points: int) -> np.ndarray:
    """Chebyshev points of [0, 1], largest first."""
    return (np.cos(math.pi * (np.arange(points) + 0.5) / points) + 1) / 2


def _coefficients(values: np.ndarray) -> np.ndarray:
    """Of the Chebyshev series through values (count, points) at `nodes`."""
    points = values.shape[1]
    order = np.arange(points)
    found = values @ np.cos(np.outer(math.pi * (order + 0.5) / points, order)) * (2 / points)
    found[:, 0] /= 2
    return found


def _length(coefficients: np.ndarray, rounding: float) -> int:
    """How many coefficients are left when the last ones, each below rounding, are dropped."""
    size = np.abs(coefficients)
    return int(np.flatnonzero(size > rounding * max(1.0, size.max()))[-1]) + 1 if size.any() else 1
