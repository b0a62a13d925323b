"""The loss of a linear classifier with its derivatives, made for speed: softmax (k columns) or logistic (one).

With scores S = X W + 1 b^T, probabilities P and targets Y, the mean cross-entropy with a ridge on W, not on b, has

    f = mean_i (log sum_j exp S_ij - S_iy_i) + ridge/2 |W|^2
    gradient    X^T (P - Y) / n + ridge W
    Hessian     V -> X^T T / n + ridge V,   T = P o Q - P o (sum_j P_ij Q_ij),   Q = X V

Four things make it fast. Products with the Hessian are taken in float32, which bends a direction and not the
gradient, so not the answer: half the memory to read. X^T U is computed as (U^T X)^T, along the rows that lie together
in memory. Features that do not vary are left out: with a free intercept their weights are zero at the minimum.
And the Hessian is preconditioned by (X^T diag(w) X / n + ridge I)^-1 in every class, with w_i = sum_j p_ij (1 - p_ij) /
(k - 1), which for P = 1/k is the bound of Boehning (1992): one matrix for all classes, made anew as P moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.regression.smooth_function import SmoothFunction

STALE = 25  # products a step beyond which a new preconditioner is worth its price


class Softmax:
    """The multinomial link: scores (n, k), k >= 2, labels (n,)."""

    def __init__(self, y: Tensor, classes: int):
        self.y, self.columns = y[:, None], classes
        self.counts = torch.bincount(y, minlength=classes)

    def loss(self, S: Tensor) -> tuple[Tensor, Tensor]:
        """The mean cross-entropy and P - Y; the largest score is taken off first, so that nothing overflows."""
        P = torch.log_softmax(S, 1)
        value = -P.gather(1, self.y).mean()
        P = P.exp_()
        return value, P.scatter_add_(1, self.y, P.new_full((1, 1), -1.0).expand(len(P), 1))

    def probabilities(self, residual: Tensor) -> Tensor:
        """P from P - Y."""
        return residual.scatter_add(1, self.y, residual.new_ones(1, 1).expand(len(residual), 1))

    def curve(self, P: Tensor, Q: Tensor) -> Tensor:
        """The Hessian of each sample's loss by its scores, times Q; writes over Q."""
        T = Q.mul_(P)
        return T.addcmul_(P, T.sum(1, keepdim=True), value=-1)

    def weights(self, P: Tensor) -> Tensor:
        """How much each sample's loss curves, averaged over the directions it curves in (n,)."""
        return (1 - P.square().sum(1)) / (self.columns - 1)

    def separates(self, S: Tensor) -> bool:
        """Whether every sample's own score is the largest of all."""
        own = S.gather(1, self.y)
        return bool((own > S.scatter(1, self.y, -torch.inf).amax(1, keepdim=True)).all())


class Logistic:
    """The binary link: scores (n, 1), labels 0 or 1."""

    columns = 1

    def __init__(self, y: Tensor):
        self.y = y[:, None]
        self.counts = torch.bincount(y, minlength=2)

    def loss(self, S: Tensor) -> tuple[Tensor, Tensor]:
        """The mean of log(1 + exp S) - y S, and sigmoid(S) - y."""
        value = torch.nn.functional.softplus(S, threshold=40.0) - self.y * S
        return value.mean(), torch.sigmoid(S) - self.y

    def probabilities(self, residual: Tensor) -> Tensor:
        """The probability of class 1, from the residual."""
        return residual + self.y

    def curve(self, P: Tensor, Q: Tensor) -> Tensor:
        """The second derivative by the score, times Q; writes over Q."""
        return Q.mul_(P * (1 - P))

    def weights(self, P: Tensor) -> Tensor:
        """P (1 - p) of each sample (n,)."""
        return (P * (1 - P))[:, 0]

    def separates(self, S: Tensor) -> bool:
        """Whether every score has the sign of its class."""
        return bool((S * (2 * self.y - 1) > 0).all())


Link = Softmax | Logistic


@dataclass(frozen=True)
class _Preconditioner:
    """An approximate inverse of the Hessian: one matrix (p, p) for all classes, and 1 / ridge on their mean."""

    inverse: Tensor
    ridge: float
    several: bool

    def __call__(self, r: Tensor) -> Tensor:
        R = r.view(len(self.inverse), -1)
        Z = (self.inverse @ R.to(self.inverse)).to(r)
        if (
            self.several and self.ridge > 0
        ):  # the loss does not change along (1, ..., 1): there the Hessian is the ridge
            mean = R.mean(1, keepdim=True)
            if float(mean.norm()) > 1e-8 * float(R.norm()):
                Z = Z - Z.mean(1, keepdim=True) + mean / self.ridge
        return Z.view(-1)


class ClassificationLoss:
    """f of the flat weights (p k,), of which the last k are the intercept if there is one.

    `A` (n, p) holds the features that vary, and a column of ones for the intercept.

    >>> f = ClassificationLoss(torch.eye(2), Softmax(torch.tensor([0, 1]), 2), ridge=0.0, intercept=False)
    >>> f.value_and_gradient(torch.zeros(4))[0]
    tensor(0.6931)
    """

    def __init__(self, x: Tensor, link: Link, *, ridge: float, intercept: bool, mixed: bool = True):
        self.link, self.ridge, self.intercept = link, ridge, intercept
        self.varies = _varying(x, x[0] if intercept else torch.zeros_like(x[0]))
        columns = self.varies.nonzero()[:, 0]
        if intercept:  # one copy: a column more is taken, and overwritten
            self.A = x.index_select(1, torch.cat([columns, columns.new_zeros(1)]))
            self.A[:, -1] = 1.0
        else:
            self.A = x.index_select(1, columns)
        self.n, self.p = self.A.shape
        self.single = self.A.float() if mixed else self.A
        self._last: tuple[Tensor, Tensor] | None = None
        self._preconditioner: _Preconditioner | None = None
        self._products = 0

    def smooth(self) -> SmoothFunction:
        """As minimisers see it."""
        return SmoothFunction(
            self.value_and_gradient, hessian=self.hessian, gauss_newton=self.hessian, preconditioner=self.preconditioner
        )

    def value_and_gradient(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """F and its gradient, 4 n p k flops."""
        V = v.view(self.p, -1)
        value, residual = self.link.loss(self.A @ V)
        G = (residual.T @ self.A).T / self.n
        W = self.penalised(V)
        self.penalised(G).add_(W, alpha=self.ridge)
        self._last = v, residual
        return value + 0.5 * self.ridge * W.square().sum(), G.reshape(-1)

    def hessian(self, v: Tensor) -> Callable[[Tensor], Tensor]:
        """The product with the Hessian at v, 4 n p k flops in float32."""
        P = self.link.probabilities(self.residual(v)).to(self.single)
        A, n, ridge = self.single, self.n, self.ridge

        def product(d: Tensor) -> Tensor:
            self._products += 1
            D = d.view(self.p, -1)
            T = self.link.curve(P, A @ D.to(A))
            H = (T.T @ A).T.to(d) / n
            self.penalised(H).add_(self.penalised(D), alpha=ridge)
            return H.reshape(-1)

        return product

    def preconditioner(self, v: Tensor) -> Callable[[Tensor], Tensor]:
        """An approximate inverse of the Hessian near v; the last one, for as long as few products sufficed with it."""
        if self._preconditioner is None or self._products > STALE:
            w = self.link.weights(self.link.probabilities(self.residual(v))).to(self.single)
            self._preconditioner = self._invert(w)
        self._products = 0
        return self._preconditioner

    def penalised(self, V: Tensor) -> Tensor:
        """The rows of weights, without the intercept: a view."""
        return V[:-1] if self.intercept else V

    def flat(self, W: Tensor, b: Tensor) -> Tensor:
        """Weights (p, k) of all features and an intercept (k,) as one flat vector of those that vary."""
        W = W[self.varies]
        return (torch.cat([W, b[None]]) if self.intercept else W).detach().to(self.A).reshape(-1).clone()

    def unpacked(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (p, k) of all features, zero for those that do not vary, and the intercept (k,)."""
        V = v.view(self.p, -1)
        W = V.new_zeros(len(self.varies), V.shape[1])
        W[self.varies] = self.penalised(V)
        return W, V[-1].clone() if self.intercept else V.new_zeros(V.shape[1])

    def polished(self, v: Tensor) -> Tensor:
        """The same weights with the intercept that is best for them, by Newton's method on k numbers, to rounding."""
        V = v.view(self.p, -1).clone()
        if not self.intercept:
            return V.reshape(-1)
        S, best, least = self.A @ V, V[-1].clone(), math.inf
        for _ in range(20):
            residual = self.link.loss(S)[1]
            slope = residual.mean(0)
            if not float(slope.norm()) < 0.5 * least:
                break
            least, best = float(slope.norm()), V[-1].clone()
            H = self._intercept_hessian(self.link.probabilities(residual))
            step = torch.linalg.pinv(H, hermitian=True, rtol=1e-12) @ slope
            V[-1] -= step
            S = S - step
        V[-1] = best
        return V.reshape(-1)

    def judged(self, v: Tensor) -> tuple[float, float, float]:
        """F at v, and the norms of its gradient by the weights and by the intercept."""
        value, gradient = self.value_and_gradient(v)
        G = gradient.view(self.p, -1)
        return float(value), float(self.penalised(G).norm()), float(G[-1].norm()) if self.intercept else 0.0

    def separates(self, v: Tensor) -> bool:
        """Whether the scores put every sample on its own side."""
        return self.link.separates(self.A @ v.view(self.p, -1))

    def residual(self, v: Tensor) -> Tensor:
        """P - Y (n, k) at v: what was computed last, or computed."""
        if self._last is not None and self._last[0] is v:
            return self._last[1]
        return self.link.loss(self.A @ v.view(self.p, -1))[1]

    def _intercept_hessian(self, P: Tensor) -> Tensor:
        """The second derivative of f by the intercept (k, k)."""
        eye = torch.eye(P.shape[1], dtype=P.dtype, device=P.device)
        return torch.stack([self.link.curve(P, unit.expand_as(P).clone()).mean(0) for unit in eye])

    def _invert(self, w: Tensor) -> _Preconditioner:
        """(A^T diag(w) A / n + ridge)^-1 in float32, n p^2 + p^3 flops, over the samples whose weight counts."""
        counts = w > 1e-4 * w.mean()
        rows = self.single if bool(counts.all()) else self.single[counts]
        M = rows.T @ (rows * (w[counts] / self.n)[:, None])
        self.penalised(M.diagonal()).add_(self.ridge)
        shift = 1e-6 * float(M.diagonal().mean())
        while True:
            M.diagonal().add_(shift)
            L, failed = torch.linalg.cholesky_ex(M)
            if not int(failed):
                return _Preconditioner(torch.cholesky_inverse(L), self.ridge, self.link.columns > 1)
            shift *= 10


def _varying(x: Tensor, common: Tensor) -> Tensor:
    """Which features differ from a value common to all samples somewhere (p,); most are told by the first few."""
    varies = (x[:256] != common).any(0)
    same = (~varies).nonzero()[:, 0]
    varies[same] = (x.index_select(1, same) != common[same]).any(0)
    return varies
