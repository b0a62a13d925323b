"""MINRES for many symmetric systems at once: A_i x_i = b_i, singular and indefinite ones included.

After k products x_k minimises |b - A x| over the Krylov space of b (Paige and Saunders, 1975). Where A is singular and
b not in its range, the residual tends to the part of b in the kernel, and x to a least-squares solution that need not
be the shortest. One projection makes it so: at the end A r = 0, and

    x - (<r, x> / |r|^2) r

is the pseudo-inverse solution (Liu, Milzarek and Roosta, 2023, "Obtaining pseudo-inverse solutions with MINRES").

It stops at a small residual |r| <= rtol |b|, or, where there is none to be had, at a small residual of the normal
equations, |A r| <= atol |A| |r|, with |A| estimated from below by what was met. Since <r, A x> = 0 at every iterate,
<b, A x> = |A x|^2: a step x for b = -g never raises |g|^2 to first order. Cost: one product a step, and 7 vectors.
Fails, as all short recurrences do, to keep its basis orthogonal; this delays convergence, and the residual returned
is computed afresh.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Multiply = Callable[[Tensor, Tensor], Tensor]
"""Multiply rows V (m, P) by the matrices of these indices (m,), which increase."""


@dataclass(frozen=True)
class Minres:
    """Solutions x (M, P), residuals b - A x (M, P), |A| as estimated (M,), products for each system (M,)."""

    x: Tensor
    residual: Tensor
    norm: Tensor
    products: Tensor


def minres(multiply: Multiply, b: Tensor, *, rtol: Tensor | float, atol: float = 1e-8, most: int) -> Minres:
    """Solve A_i x_i = b_i for the rows of b (M, P), with at most `most` products each and two at the end.

    `rtol` is a number or one for each system, (M,). Nothing is random, and nothing is raised: the residual tells.

    >>> A = torch.diag(torch.tensor([2.0, -1.0, 0.0], dtype=torch.float64))
    >>> found = minres(lambda V, rows: V @ A, torch.ones(1, 3, dtype=torch.float64), rtol=1e-12, most=3)
    >>> found.x.round(decimals=6).tolist(), found.residual.round(decimals=6).tolist()
    ([[0.5, -1.0, 0.0]], [[0.0, 0.0, 1.0]])
    """
    M = len(b)
    x, norm = torch.zeros_like(b), b.new_zeros(M)
    products = torch.zeros(M, dtype=torch.long, device=b.device)
    wanted = torch.as_tensor(rtol, dtype=b.dtype, device=b.device).expand(M)
    state = _State.begin(b, wanted)
    for _ in range(most):
        if not len(state.rows):
            break
        state.extend(multiply)
        products[state.rows] += 1
        done = state.solved(atol)
        if bool(done.any()):
            _keep(x, norm, state, done)
            state = state.at(~done)
        if len(state.rows):
            state.advance()
    _keep(x, norm, state, torch.ones(len(state.rows), dtype=torch.bool, device=b.device))
    every = torch.arange(M, device=b.device)
    residual = b - multiply(x, every)
    left = (residual.norm(dim=1) > 10 * wanted * b.norm(dim=1)).nonzero()[:, 0]
    if len(left):
        x[left] = _lifted(multiply, x[left], residual[left], left, 100 * atol * norm[left])
        products[left] += 1
    return Minres(x, residual, norm, products + 1)


def _lifted(multiply: Multiply, x: Tensor, r: Tensor, rows: Tensor, allowed: Tensor) -> Tensor:
    """Take the part along the residual out of x where the residual lies in the kernel: |A r| <= allowed |r|."""
    size = r.norm(dim=1)
    final = multiply(r, rows).norm(dim=1) <= allowed * size
    share = torch.where(final, (r * x).sum(1) / size.square().clamp(min=1e-300), 0.0)
    return x - share[:, None] * r


def _keep(x: Tensor, norm: Tensor, state: "_State", done: Tensor) -> None:
    x[state.rows[done]] = state.x[done]
    norm[state.rows[done]] = state.norm[done]


@dataclass
class _State:
    """The recurrences of the systems that still go on: vectors (m, P) and numbers (m, 1), named as in the literature.

    `rows` says which systems they are.
    """

    rows: Tensor
    rtol: Tensor
    x: Tensor
    r1: Tensor
    r2: Tensor
    w: Tensor
    w2: Tensor
    v: Tensor
    begin_norm: Tensor
    beta: Tensor
    before: Tensor
    alpha: Tensor
    dbar: Tensor
    epsilon: Tensor
    phibar: Tensor
    cs: Tensor
    sn: Tensor
    norm: Tensor
    following: Tensor

    @classmethod
    def begin(cls, b: Tensor, rtol: Tensor) -> "_State":
        zero, beta = torch.zeros_like(b), b.norm(dim=1, keepdim=True)
        none = torch.zeros_like(beta)
        some = beta[:, 0] > 0
        rows = torch.arange(len(b), device=b.device)
        state = cls(
            rows, rtol, zero, zero, b, zero, zero, zero, beta, beta, none, none, none, none, beta, none - 1, none,
            none[:, 0], none,
        )  # fmt: skip
        return state.at(some)

    def at(self, mask: Tensor) -> "_State":
        """The systems chosen by a mask."""
        return _State(**{name: value[mask] for name, value in vars(self).items()})

    def extend(self, multiply: Multiply) -> None:
        """One step of Lanczos: the next column of the tridiagonal matrix."""
        self.v = self.r2 / self.beta
        y = multiply(self.v, self.rows)
        y = y - torch.where(self.before > 0, self.beta / self.before.clamp(min=1e-300), 0.0) * self.r1
        self.alpha = (self.v * y).sum(1, keepdim=True)
        y = y - (self.alpha / self.beta) * self.r2
        self.r1, self.r2 = self.r2, y
        self.following = y.norm(dim=1, keepdim=True)
        above = torch.where(self.before > 0, self.beta, 0.0)
        length = (above.square() + self.alpha.square() + self.following.square()).sqrt()
        self.norm = torch.maximum(self.norm, length[:, 0])

    def solved(self, atol: float) -> Tensor:
        """Whether the iterate before this column is good enough, by its residual or that of the normal equations."""
        gbar = self.sn * self.dbar - self.cs * self.alpha
        root = torch.hypot(gbar, -self.cs * self.following)[:, 0]  # |A r| / |r|
        small = self.phibar[:, 0] <= self.rtol * self.begin_norm[:, 0]
        return small | ~(root > atol * self.norm)

    def advance(self) -> None:
        """Rotate the new column away, and move x along the direction it makes."""
        old, beta = self.epsilon, self.following
        delta = self.cs * self.dbar + self.sn * self.alpha
        gbar = self.sn * self.dbar - self.cs * self.alpha
        self.epsilon, self.dbar = self.sn * beta, -self.cs * beta
        gamma = torch.hypot(gbar, beta)
        self.cs, self.sn = gbar / gamma, beta / gamma
        phi, self.phibar = self.cs * self.phibar, self.sn * self.phibar
        w1, self.w2 = self.w2, self.w
        self.w = (self.v - old * w1 - delta * self.w2) / gamma
        self.x = self.x + phi * self.w
        self.before, self.beta = self.beta, beta.clamp(min=1e-300)
