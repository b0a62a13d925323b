"""The Gauss-Newton model of the reduced objective, by a matrix or by products.

Let J be the Jacobian of the outputs by theta with the weights W fixed, B the second derivative of the loss by the
outputs, and S that of J(theta, W) by W. The Gauss-Newton matrix of the whole problem has the blocks J'BJ, J'BZ, S, and
that of the reduced problem is the Schur complement of S,

    G = J' B J - (Z' B J)' S^-1 (Z' B J) + ridge I.

For least squares this is J' P J / n with the (ridge-damped) projector P beside the columns of Z: the approximation of
Kaufman (1975). The whole Jacobian of the projected residual (Golub and Pereyra, 1973) has a second term, orthogonal
to the first, which for B = I / n adds

    Q' S^-1 Q,     Q_i = (dH/dtheta_i)' R / n,     R = Z W - Y.

The gradient is the same in both. As a matrix, G takes k backward passes and 2 n k p^2 operations, in chunks of samples
that fit a number of bytes, and its step a Cholesky factor. As products, one takes a push, a pull and two products with
Z; the step is by conjugate gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.regression.single_layer.reduced import At

BYTES = 2**19  # of a chunk of the Jacobian: what a cache holds
DENSE = 4000  # largest p of which G is written down: 128 MB
FORCING = 0.1  # residual of the conjugate gradients, of the gradient
PRODUCTS = 60  # at most, for a step


@dataclass
class Step:
    """A step d (p,) and the fall of the model that it promises."""

    d: Tensor
    predicted: float


class Matrix:
    """G written down."""

    def __init__(self, at: At, *, kaufman: bool = True):
        self.at = at
        self.G = _schur_complement(at)
        if not kaufman:
            bent = at.inner.whiten(_with_zero(at.features.moved(at.inner.slope)))
            self.G.addmm_(bent.T, bent)
        self.G.diagonal().add_(at.ridge)
        self.largest = float(self.G.diagonal().max())

    def step(self, damping: float) -> Step | None:
        """Solve (G + damping I) d = -g; None where that is not positive definite to rounding."""
        damped = self.G.clone()
        damped.diagonal().add_(damping)
        factor, failed = torch.linalg.cholesky_ex(damped)
        if failed:
            return None
        g = self.at.gradient
        d = -torch.cholesky_solve(g[:, None], factor)[:, 0]
        return Step(d, -float(g @ d) / 2 + damping / 2 * float(d @ d))


class Products:
    """G by its products with vectors."""

    def __init__(self, at: At, *, kaufman: bool = True):
        self.at, self.kaufman = at, kaufman
        self.products = 0
        self.largest = self._rayleigh()

    def product(self, v: Tensor) -> Tensor:
        """G v."""
        self.products += 1
        inner, W = self.at.inner, self.at.inner.weights[:-1]
        moved = self.at.features.push(v)
        T = inner.bend(moved @ W)
        T = T - inner.bend(inner.Z @ inner.solve(inner.Z.T @ T))
        G = T @ W.T
        if not self.kaufman:
            G = G + inner.slope @ inner.solve(_with_zero(moved.T @ inner.slope))[:-1].T
        return self.at.features.pull(G) + self.at.ridge * v

    def step(self, damping: float) -> Step | None:
        """(G + damping I) d = -g by conjugate gradients, to a tenth of the gradient."""
        g = self.at.gradient
        d, r = torch.zeros_like(g), -g
        q, rr = r, float(r @ r)
        goal = FORCING**2 * rr
        for _ in range(PRODUCTS):
            Gq = self.product(q) + damping * q
            alpha = rr / float(q @ Gq)
            d, r = d + alpha * q, r - alpha * Gq
            rr, before = float(r @ r), rr
            if rr <= goal:
                break
            q = r + rr / before * q
        # the residual is orthogonal to d, so that the model's fall is that of an exact solution
        return Step(d, -float(g @ d) / 2 + damping / 2 * float(d @ d))

    def _rayleigh(self) -> float:
        g = self.at.gradient
        return float(g @ self.product(g)) / max(float(g @ g), 1e-300)


def _schur_complement(at: At) -> Tensor:
    """J'BJ - (Z'BJ)' S^-1 (Z'BJ), summed over chunks of samples."""
    inner = at.inner
    (n, M), k, p = inner.Z.shape, inner.weights.shape[1], len(at.theta)
    if p > DENSE:
        raise InvalidInput(f"a Gauss-Newton matrix of {p} x {p} numbers; leave `matrix` to be chosen")
    G, C, g = at.theta.new_zeros(p, p), at.theta.new_zeros(M, k * p), at.theta.new_zeros(p)
    rows = max(1, BYTES // (8 * k * p))
    for start in range(0, n, rows):
        part = slice(start, start + rows)
        J = at.features.jacobian(inner.weights[:-1], part)
        BJ = J if inner.constant else inner.bend(J, part)
        G.addmm_(J.flatten(0, 1).T, BJ.flatten(0, 1))
        C.addmm_(inner.Z[part].T, BJ.flatten(1))
        g.addmv_(J.flatten(0, 1).T, inner.slope[part].flatten())
    if inner.constant:  # B is a multiple of the identity, and put in at the end
        G.mul_(inner.constant)
        C.mul_(inner.constant)
    at.know(g)
    white = inner.whiten(C.view(M, k, p))
    return G.addmm_(white.T, white, alpha=-1)


def _with_zero(Q: Tensor) -> Tensor:
    """A row of zeros below: the constant feature does not depend on theta."""
    return torch.cat([Q, torch.zeros_like(Q[:1])])
