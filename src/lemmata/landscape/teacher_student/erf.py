"""Pairs of neurons erf(w.x / sqrt 2), with derivatives (Saad, Solla, 1995).

    f(w, v) = (2 / pi) arcsin(q / sqrt(A B)),    q = w.v,  A = 1 + |w|^2,  B = 1 + |v|^2
    alpha = -(2 / pi) q / (A sqrt D),   beta = (2 / pi) / sqrt D,    D = A B - q^2 >= 1

D >= 1 + |w|^2 + |v|^2 by Cauchy-Schwarz, so nothing is near-singular. Third derivatives are bounded everywhere:
d3f/dw3 = E[phi'''(w.x) (.x)^3 phi(v.x)] with |phi'''| <= sqrt(2 / pi), |phi| <= 1 and E|z|^3 = 2 sqrt(2 / pi); likewise
d3f/dw2dv with |phi''| <= sqrt(2 / pi) exp(-1/2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lemmata.landscape.teacher_student.pairs import Curvature, First, Second, Self

WWW = 4 / math.pi
WWV = 4 / math.pi * math.sqrt(2 / math.pi) * math.exp(-0.5)


class Erf:
    """erf(x / sqrt 2)."""

    name = "erf"
    trained_symmetry = False

    def first(self, W: Tensor, V: Tensor) -> First:
        """Values and gradients of all pairs."""
        q, A, _, D = _products(W, V)
        root = D.sqrt()
        return First(2 / math.pi * torch.atan2(q, root), -2 / math.pi * q / (A * root), 2 / math.pi / root)

    def second(self, W: Tensor, V: Tensor) -> Second:
        """Second derivatives too."""
        q, A, B, D = _products(W, V)
        root = D.sqrt()
        first = First(2 / math.pi * torch.atan2(q, root), -2 / math.pi * q / (A * root), 2 / math.pi / root)
        cube = 2 / math.pi / (D * root)
        own = Curvature(cube * q * (B / A + 2 * D / A.square()), -cube * B, -cube * B, cube * q)
        return Second(first, own, Curvature(-cube * B, cube * q, cube * q, -cube * A))

    def alone(self, W: Tensor) -> Self:
        """(2 / pi) arcsin(|w|^2 / A)."""
        r = W.square().sum(-1)
        A, C = 1 + r, 1 + 2 * r
        gain = 4 / math.pi / (A * C.sqrt())
        return Self(2 / math.pi * torch.asin(r / A), gain, -2 * gain * (1 / A + 1 / C))

    def third(self, W: Tensor, V: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Constants, wherever the rows are."""
        ones = W.new_ones((*torch.broadcast_shapes(W.shape[:-2], V.shape[:-2]), W.shape[-2], V.shape[-2]))
        return WWW * ones, WWV * ones, WWV * ones, WWW * ones

    def third_alone(self, W: Tensor) -> Tensor:
        """Of f(w, w): both arguments move."""
        return W.new_full(W.shape[:-1], 2 * WWW + 6 * WWV)


def _products(W: Tensor, V: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r, s = W.square().sum(-1, keepdim=True), V.square().sum(-1, keepdim=True).mT
    q = W @ V.mT
    apart = (r * s - q.square()).clamp(min=0)  # Cauchy-Schwarz, kept where it is rounded away
    return q, 1 + r, 1 + s, 1 + r + s + apart
