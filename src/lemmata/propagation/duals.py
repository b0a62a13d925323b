"""What one layer of an activation does to a pair of signals: K = E phi(u) phi(v) and K' = E phi'(u) phi'(v).

u and v are normal of variance q and correlation c. In closed form where `lemmata.kernels.analytic` has one (linear,
ReLU, erf, GELU), else by the quadrature of `lemmata.propagation.gaussian`, to its stated error. On the diagonal, c = 1:

    E phi^2          second moment of the activations
    E phi'^2         chi / sigma_w^2: how squared gradients grow
    E u phi phi' / q the derivative of E phi^2 by q, without phi'' (E phi phi'' + phi'^2 by Stein's lemma)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.kernels.analytic.activations import NAMED as CLOSED
from lemmata.kernels.analytic.pairs import Deficit
from lemmata.propagation.activations import Nonlinearity
from lemmata.propagation.gaussian import gaussian_mean, pair_mean

LIMIT = 1e-36  # the variance that stands for 0


@dataclass(frozen=True)
class Diagonal:
    """Means over u ~ N(0, q), tensors (m,); `error` is the largest of the quadrature's, relative to the mean."""

    mean: Tensor
    square: Tensor
    square_slope: Tensor
    derivative: Tensor
    error: float


def diagonal(phi: Nonlinearity, q: Tensor) -> Diagonal:
    """E phi, E phi^2, E phi'^2 and d E phi^2 / dq at variances q (m,) >= 0, in float64.

    At q = 0 the last two are the limits from above, which a kink at 0 makes other than the values there.

    >>> from lemmata.propagation.activations import nonlinearity
    >>> found = diagonal(nonlinearity("relu"), torch.tensor([2.0]))
    >>> round(found.square.item(), 12), round(found.square_slope.item(), 12), round(found.derivative.item(), 12)
    (1.0, 0.5, 0.5)
    """
    q = q.double()
    near = q.clamp(min=LIMIT)
    parts = [
        gaussian_mean(phi, q, phi.kinks),
        gaussian_mean(lambda u: phi(u).square(), q, phi.kinks),
        gaussian_mean(lambda u: phi.slope(u).square(), near, phi.kinks),
        gaussian_mean(lambda u: u * phi(u) * phi.slope(u), near, phi.kinks),
    ]
    means = [mean for mean, _ in parts]
    error = max(float((e / mean.abs().clamp(min=1e-300)).max()) for mean, e in parts[1:3])
    return Diagonal(means[0], means[1], means[2], means[3] / near, error)


def square(phi: Nonlinearity, q: Tensor) -> Tensor:
    """E phi^2 alone, at variances q (m,) >= 0."""
    return gaussian_mean(lambda u: phi(u).square(), q, phi.kinks)[0]


def covariance(phi: Nonlinearity, q: float, c: float) -> float:
    """K = E phi(u) phi(v)."""
    if phi.closed_form:
        return _closed(phi.closed_form, q, c)[0]
    return pair_mean(phi, q, c, phi.kinks)[0]


def slope_covariance(phi: Nonlinearity, q: float, c: float) -> float:
    """K' = E phi'(u) phi'(v) = dK / d(q c)."""
    if phi.closed_form:
        return _closed(phi.closed_form, q, c)[1]
    return pair_mean(phi.slope, q, c, phi.kinks)[0]


def _closed(name: str, q: float, c: float) -> tuple[float, float]:
    dual = CLOSED[name]
    variance = torch.full((1, 1), q, dtype=torch.float64)
    if dual.form is Deficit:
        values, slopes = dual.dual(Deficit(variance, variance, torch.full_like(variance, 1 - c)))
    else:
        values, slopes = dual.dual(dual.form(variance, variance, variance * c))
    return float(values.values), float(slopes.values)
