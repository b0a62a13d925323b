"""Pairs of rectified linear neurons: the arc-cosine kernel of order one, with its derivatives.

    f(w, v) = |w| |v| (sin t + (pi - t) cos t) / (2 pi),      t the angle between w and v
    alpha = |v| sin t / (2 pi |w|),   beta = (pi - t) / (2 pi)

With unit vectors w', v' and n = (v' - cos t w') / sin t, the second derivatives are alpha (I - w'w'^T + n n^T) and
beta I + (sin t w'v'^T + (v' - cos t w') (w' - cos t v')^T / sin t) / (2 pi).

Numerics. The arc cosine of a rounded cosine near 1 is off by 1e-8; where a pair is nearly parallel or opposite, 1 -+
cos t is recomputed from the difference (sum) of the unit vectors, and t = 2 atan2. The second derivative is continuous
at t = 0 and pi, and the part divided by sin t is of size sin t there: below sin t = 1e-8 it is dropped. It is not
differentiable there, and not even defined where a neuron is zero; its Lipschitz bound needs neurons away from zero
only. A zero neuron gets the mean of the gradients around it, beta = 1/4.

Sources: Cho, Saul (2009), equation 6; Brutzkus, Globerson (2017); the bound on third derivatives: see the derivation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.landscape.teacher_student.pairs import Curvature, First, Second, Self

CLOSE = 1e-3  # 1 -+ cos t below which it is computed from vectors: a rounding of 1e-16 is then one of 1e-13
DROPPED = 1e-8  # sin t below which the part of the curvature that it multiplies is left out
WWW = math.sqrt(4 + 16 / 3 + 1) / (2 * math.pi)  # of |v| / |w|^2
WWV = math.sqrt(5) / (2 * math.pi)  # of 1 / |w|


class ReLU:
    """max(x, 0)."""

    name = "relu"
    trained_symmetry = True

    def first(self, W: Tensor, V: Tensor) -> First:
        """Values and gradients of all pairs."""
        left, right, cosine, sine, angle = _angles(W, V)
        half = (math.pi - angle) / (2 * math.pi)
        value = left * right * (sine / (2 * math.pi) + half * cosine)
        alpha = torch.where(left > 0, right * sine / (2 * math.pi * left), 0.0)
        return First(value, alpha, half)

    def second(self, W: Tensor, V: Tensor) -> Second:
        """Second derivatives too; raises `InvalidInput` where a neuron is zero and has none."""
        left, right, cosine, sine, angle = _angles(W, V)
        if not ((left > 0).all() and (right > 0).all()):
            raise InvalidInput("a neuron is zero, where ReLU's loss has no Hessian; leave such students out")
        beta = (math.pi - angle) / (2 * math.pi)
        alpha = right * sine / (2 * math.pi) / left
        value = left * right * (sine / (2 * math.pi) + beta * cosine)
        inverse = torch.where(sine > DROPPED, 1 / (2 * math.pi * sine.clamp(min=DROPPED)), 0.0)
        own = Curvature(
            ww=right * (inverse * cosine.square() - sine / (2 * math.pi)) / left**3,
            wv=-cosine * inverse / left.square(),
            vw=-cosine * inverse / left.square(),
            vv=inverse / (left * right),
        )
        straight = inverse / (left * right)
        cross = Curvature(-cosine * inverse / left.square(), straight, straight, -cosine * inverse / right.square())
        return Second(First(value, alpha, beta), own, cross)

    def alone(self, W: Tensor) -> Self:
        """|w|^2 / 2."""
        square = W.square().sum(-1)
        return Self(square / 2, torch.ones_like(square), torch.zeros_like(square))

    def third(self, W: Tensor, V: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Bounds on third derivatives while norms change by at most `reach` (...,); infinite if one can become zero."""
        left, right = W.norm(dim=-1)[..., :, None], V.norm(dim=-1)[..., None, :]
        far = reach[..., None, None]
        short, low = (left - far).clamp(min=0), (right - far).clamp(min=0)
        long, high = left + far, right + far
        www, vvv = WWW * high / short.square(), WWW * long / low.square()
        ones = torch.ones_like(high * long)
        return www, WWV / short * ones, WWV / low * ones, vvv

    def third_alone(self, W: Tensor) -> Tensor:
        """A quadratic has none."""
        return W.new_zeros(W.shape[:-1])


_TINY = torch.finfo(torch.float64).tiny


def _angles(W: Tensor, V: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Norms (..., n, 1) and (..., 1, m), and cos t, sin t and t (..., n, m); t = pi / 2 where a neuron is zero."""
    left, right = W.norm(dim=-1, keepdim=True), V.norm(dim=-1, keepdim=True)
    w, v = W / left.clamp(min=_TINY), V / right.clamp(min=_TINY)
    cosine = w @ v.mT
    zero = (left == 0) | (right == 0).mT
    apart, across = _close(1 - cosine, w, v, -1.0), _close(1 + cosine, w, v, 1.0)
    apart, across = torch.where(cosine < 0, 2 - across, apart), torch.where(cosine > 0, 2 - apart, across)
    apart, across = apart.masked_fill(zero, 1.0), across.masked_fill(zero, 1.0)
    angle = 2 * torch.atan2(apart.sqrt(), across.sqrt())
    return left, right.mT, (across - apart) / 2, (apart * across).sqrt(), angle


def _close(gap: Tensor, w: Tensor, v: Tensor, sign: float) -> Tensor:
    """1 -+ cos t, where it is small from |w -+ v|^2 / 2."""
    near = gap < CLOSE
    if near.any():
        *batch, i, j = near.nonzero(as_tuple=True)
        v = v.expand(*w.shape[:-2], *v.shape[-2:])
        exact = (w[(*batch, i)] + sign * v[(*batch, j)]).square().sum(-1) / 2
        gap = gap.clone()
        gap[near] = exact
    return gap
