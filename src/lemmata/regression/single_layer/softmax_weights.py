"""The output weights under cross-entropy: a convex problem, solved by Newton's method.

    min_W  1/n sum_i (log sum_c exp(z_i' W)_c - (z_i' W)_{y_i}) + ridge/2 |W|^2

Its Hessian by W is S = 1/n sum_i (diag p_i - p_i p_i') (x) z_i z_i' + ridge I, of size (M k)^2. Written as one product
of (n, M k) matrices its assembly takes 2 n (M k)^2 operations; it is done once for each linearisation, where the Schur
complement needs it anyway, and its Cholesky factor is the preconditioner of the conjugate gradients by which all Newton
steps until the next one are solved, at 4 n M k operations a product. Newton's step is halved until the value falls
enough (Armijo). The ridge must be positive: without it separable data have no minimum, and S is singular, since equal
weights added to all classes change nothing.

Cost: one assembly and a few dozen products for each solution. Memory 8 (M k)^2 bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged

BYTES = 2**27  # of a block of samples while the Hessian is assembled
LARGEST = 6000  # M k of the largest Hessian: 288 MB
ARMIJO = 1e-4
ROUNDING = 1e-14  # of a value: a rise that sums of so many terms can make
STALE = 10  # products after which a preconditioner from elsewhere is replaced: some two assemblies


@dataclass
class Settled:
    """The best weights for one Z, and the cross-entropy around them; the fields are those of `Projected`."""

    Z: Tensor
    weights: Tensor
    value: float
    slope: Tensor
    p: Tensor
    ridge: float
    near: Tensor | None = field(default=None, repr=False)  # the factor of a Hessian near by
    _own: Tensor | None = field(default=None, repr=False)
    constant: ClassVar[None] = None  # the second derivative by the outputs differs from sample to sample

    @property
    def factor(self) -> Tensor:
        """The Cholesky factor of the Hessian by the weights, here; weights ordered class by class."""
        if self._own is None:
            self.near = self._own = _cholesky(self.Z, self.p, self.ridge)
        return self._own

    def bend(self, T: Tensor, rows: slice = slice(None)) -> Tensor:
        """The second derivative of the data term by the outputs of these samples, applied to T (rows, k[, q])."""
        p = self.p[rows] if T.ndim == 2 else self.p[rows, :, None]
        pT = p * T
        return (pT - p * pT.sum(1, keepdim=True)) / len(self.Z)

    def whiten(self, C: Tensor) -> Tensor:
        """B with B' B = C' S^-1 C for C (M, k, q): (M k, q)."""
        flat = C.transpose(0, 1).flatten(0, 1)
        return torch.linalg.solve_triangular(self.factor, flat, upper=False)

    def solve(self, C: Tensor) -> Tensor:
        """S^-1 C for C (M, k)."""
        return _solve(self.factor, C)


@dataclass(frozen=True)
class CrossEntropy:
    """The inner problem of labels y (n,) in 0..classes-1 and a ridge; solved to a relative `tolerance`.

    The gradient by W is brought to `tolerance` times its size at W = 0; after `newton` steps the problem is given up.
    """

    y: Tensor
    classes: int
    ridge: float
    tolerance: float = 1e-10
    newton: int = 100
    direct: ClassVar[bool] = False

    @property
    def outputs(self) -> int:
        """The number of classes."""
        return self.classes

    def best(self, Z: Tensor, near: Settled | None = None, guess: Tensor | None = None) -> Settled:
        """Solve from 0, the weights of `near` or `guess`, whichever is best. Raises `NotConverged` with what it had."""
        starts = [Z.new_zeros(Z.shape[1], self.classes)]
        starts += ([] if near is None else [near.weights]) + ([] if guess is None else [guess])
        W = min(starts, key=lambda weights: self._value(Z, weights)[0])
        factor = None if near is None else near.near
        goal = self.tolerance * float((Z.T @ self._off(Z.new_full((len(Z), self.classes), 1 / self.classes))).norm())
        for _ in range(self.newton):
            value, p = self._value(Z, W)
            g = Z.T @ self._off(p) + self.ridge * W
            size = float(g.norm())
            if size <= goal:
                break
            step, factor = self._newton(Z, p, g, factor)
            moved = self._line(Z, W, step, value, float((g * step).sum()))
            if moved is None:  # no descent beyond rounding
                break
            W = moved
        value, p = self._value(Z, W)
        slope = self._off(p)
        found = Settled(Z, W, value, slope, p, self.ridge, factor)
        residual = float((Z.T @ slope + self.ridge * W).norm())
        if not residual <= max(goal, 1e-12 * float(W.norm())):
            raise NotConverged(
                "the inner Newton iteration", best=found, residual=residual, tolerance=goal,
                remedy="take a larger ridge on the weights, or a larger inner tolerance",
            )  # fmt: skip
        return found

    def loss(self, Z: Tensor, W: Tensor) -> tuple[float, Tensor]:
        """The data term at any weights, and its derivative by the outputs."""
        outputs = Z @ W
        log_p = outputs.log_softmax(1)
        value = -float(log_p.gather(1, self.y[:, None]).mean())
        return value, self._off(log_p.exp())

    def _off(self, p: Tensor) -> Tensor:
        """(p - one-hot y) / n."""
        off = p / len(p)
        off[torch.arange(len(p), device=p.device), self.y] -= 1 / len(p)
        return off

    def _value(self, Z: Tensor, W: Tensor) -> tuple[float, Tensor]:
        log_p = (Z @ W).log_softmax(1)
        value = -float(log_p.gather(1, self.y[:, None]).mean()) + self.ridge / 2 * float(W.square().sum())
        return value, log_p.exp()

    def _newton(self, Z: Tensor, p: Tensor, g: Tensor, factor: Tensor | None) -> tuple[Tensor, Tensor]:
        """Newton's step by preconditioned conjugate gradients, or directly where there is no good preconditioner."""
        if factor is not None:
            step = self._conjugate_gradients(Z, p, g, factor)
            if step is not None:
                return step, factor
        factor = _cholesky(Z, p, self.ridge)
        return -_solve(factor, g), factor

    def _conjugate_gradients(self, Z: Tensor, p: Tensor, g: Tensor, factor: Tensor) -> Tensor | None:
        """The step to a hundredth of the gradient; None if that takes more than a few dozen products."""
        x, r = torch.zeros_like(g), -g
        z = _solve(factor, r)
        d, rz = z, float((r * z).sum())
        goal = 1e-2 * float(g.norm())
        for _ in range(STALE):
            pT = p * (Z @ d)
            Sd = Z.T @ (pT - p * pT.sum(1, keepdim=True)) / len(Z) + self.ridge * d
            alpha = rz / float((d * Sd).sum())
            x, r = x + alpha * d, r - alpha * Sd
            if float(r.norm()) <= goal:
                return x
            z = _solve(factor, r)
            rz, before = float((r * z).sum()), rz
            d = z + rz / before * d
        return None

    def _line(self, Z: Tensor, W: Tensor, step: Tensor, value: float, slope: float) -> Tensor | None:
        t = 1.0
        while t > 1e-10:
            trial = W + t * step
            if self._value(Z, trial)[0] <= value + ARMIJO * t * slope + ROUNDING * abs(value):
                return trial
            t /= 2
        return None


def hessian(Z: Tensor, p: Tensor, ridge: float) -> Tensor:
    """S (M k, M k) at probabilities p (n, k), ordered class by class. Raises `InvalidInput` where it is too large."""
    (n, M), k = Z.shape, p.shape[1]
    if M * k > LARGEST:
        raise InvalidInput(
            f"the Hessian by {M} x {k} output weights has {(M * k) ** 2 * 8 / 1e9:.1f} GB; take method='lbfgs-full'"
        )
    S = Z.new_zeros(k, M, k, M)
    chunk = max(1, BYTES // (8 * M * k))
    for rows, shares in zip(Z.split(chunk), p.split(chunk), strict=True):
        weighted = (shares[:, :, None] * rows[:, None, :]).flatten(1)
        same = weighted.T @ rows
        S.diagonal(dim1=0, dim2=2).add_(same.view(k, M, M).permute(1, 2, 0))
        S.view(k * M, k * M).addmm_(weighted.T, weighted, alpha=-1)
    S = S.view(k * M, k * M).div_(n)
    S.diagonal().add_(ridge)
    return S


def _cholesky(Z: Tensor, p: Tensor, ridge: float) -> Tensor:
    return torch.linalg.cholesky(hessian(Z, p, ridge))


def _solve(factor: Tensor, C: Tensor) -> Tensor:
    """S^-1 C for C (M, k)."""
    return torch.cholesky_solve(C.T.reshape(-1, 1), factor).view(C.shape[1], -1).T
