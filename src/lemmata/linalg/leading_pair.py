"""The largest eigenpair of each of M symmetric operators together, from subspaces where it is nearly known.

    theta, s: the last eigenpair of V^T A V,     r = A V s - theta V s,     V <- [V, r / |r|]

Rayleigh-Ritz on a subspace that grows by the residual. From one vector this is Lanczos; from the leading Ritz vectors
of a matrix nearby it needs but a few products, since what has turned among these vectors is put right at once, without
any step of the iteration (Davidson's method without its preconditioner; Parlett, 1998, section 11.3 on the method of
Rayleigh and Ritz). A V is kept beside V, so that the residual is computed, not recurred. A matrix whose pair has
converged is left out of further products.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged

ROWS = 24  # of the subspace, at which it is restarted from a third of its Ritz vectors


@dataclass(frozen=True)
class LeadingPairs:
    """Of each of M operators: `values` (M,) float64, residuals (M,), leading Ritz vectors (M, r, n), products (M,)."""

    values: Tensor
    residuals: Tensor
    vectors: Tensor
    products: Tensor


def leading_pairs(
    product: Callable[[Tensor, Tensor], Tensor],
    start: Tensor,
    *,
    keep: int = 2,
    tolerance: float = 1e-3,
    max_products: int = 300,
) -> LeadingPairs:
    """Find the largest eigenvalue, by sign, of each of M symmetric operators to |A v - theta v| <= tolerance |A|.

    `product(V, members)` multiplies the rows of V (m, n) by the operators of these indices (m,). `start` (M, s, n)
    spans the first subspaces; `keep` is how many leading Ritz vectors are given back for the next start. |A| is the
    largest |Ritz value|. A member with a product that is not finite has NaN for its value. Raises `NotConverged` when
    some member needs more than `max_products`.

    >>> A = torch.diag_embed(torch.tensor([[1.0, 2.0, 5.0], [3.0, 1.0, 0.0]]))
    >>> found = leading_pairs(lambda V, members: (A[members] @ V[..., None])[..., 0], torch.ones(2, 1, 3))
    >>> found.values.round(decimals=4).tolist(), found.products.tolist()
    ([5.0, 3.0], [3, 3])
    """
    members, s, n = start.shape
    if not 1 <= s <= n:
        raise InvalidInput(f"start of shape {tuple(start.shape)}: give (M, s, n) with s between 1 and n")
    grown = _Subspaces(start)
    found = LeadingPairs(
        torch.full((members,), torch.nan, dtype=torch.float64),
        torch.full((members,), torch.nan, dtype=torch.float64),
        start.new_zeros(members, min(keep, n), n),
        torch.zeros(members, dtype=torch.long),
    )
    while len(grown.live):
        grown.extend(product)
        found.products[grown.live] += 1
        if grown.size < s:
            continue
        theta, residual, scale = grown.solve()
        done = ~(residual > tolerance * scale) | (grown.size == n)
        if done.any():
            index = grown.live[done]
            found.values[index], found.residuals[index] = theta[done], residual[done]
            top = grown.ritz(done, keep)
            found.vectors[index.to(start.device), : top.shape[1]] = top
            grown.drop(done)
        if int(found.products.max()) >= max_products and len(grown.live):
            slow, left = int(grown.live[0]), residual[~done]
            raise NotConverged(
                f"the largest eigenvalue of member {slow}", best=theta[~done], residual=float(left.max()),
                tolerance=float((tolerance * scale[~done]).max()), remedy="allow more products or a larger tolerance",
            )  # fmt: skip
    return found


class _Subspaces:
    """V and A V (m, rows, n) of the members still live, and H = V^T A V (m, rows, rows)."""

    def __init__(self, start: Tensor):
        members, s, n = start.shape
        rows = min(n, max(ROWS, 2 * s))
        self.live = torch.arange(members)
        self.size = 0
        self.V, self.AV = start.new_empty(members, rows, n), start.new_empty(members, rows, n)
        self.H = torch.zeros(members, rows, rows, dtype=torch.float64)
        self.next = list(start.unbind(1))
        self.S = torch.empty(0)

    def extend(self, product: Callable[[Tensor, Tensor], Tensor]) -> None:
        """Take the next direction into V, and multiply it."""
        if self.size == self.V.shape[1]:
            self._restart()
        j = self.size
        v = self._new_direction(self.next.pop(0))
        self.V[:, j] = v
        self.AV[:, j] = product(v, self.live)
        h = torch.bmm(self.V[:, : j + 1], self.AV[:, j, :, None])[..., 0].double().cpu()
        self.H[:, : j + 1, j] = self.H[:, j, : j + 1] = h
        self.size = j + 1

    def solve(self) -> tuple[Tensor, Tensor, Tensor]:
        """Leading Ritz values, their residuals and the largest |Ritz value|, (m,) each; not finite counts as NaN."""
        H = self.H[:, : self.size, : self.size]
        broken = ~H.flatten(1).isfinite().all(1)
        theta, self.S = torch.linalg.eigh(torch.where(broken[:, None, None], 0.0, H))
        s = self.S[:, :, -1:].to(self.V).mT
        r = (s @ self.AV[:, : self.size] - theta[:, -1:, None].to(self.V) * (s @ self.V[:, : self.size]))[:, 0]
        residual = r.norm(dim=1).double().cpu()
        if not self.next:
            self.next = [r]
        nan = torch.where(broken, torch.nan, 0.0)
        return theta[:, -1] + nan, residual + nan, theta.abs().amax(1)

    def ritz(self, which: Tensor, count: int) -> Tensor:
        """The leading `count` Ritz vectors of some members, the first one first: (c, count, n)."""
        S = self.S[which].flip(2)[:, :, :count].to(self.V)
        where = which.to(self.V.device)
        return S.mT @ self.V[where, : self.size]

    def drop(self, done: Tensor) -> None:
        """Go on without some members."""
        left = ~done
        there = left.to(self.V.device)
        self.live, self.H, self.S = self.live[left], self.H[left], self.S[left]
        self.V, self.AV = self.V[there], self.AV[there]
        self.next = [direction[there] for direction in self.next]

    def _restart(self) -> None:
        """Keep a third of the Ritz vectors, the leading ones."""
        keep = max(1, self.size // 3)
        S = self.S.flip(2)[:, :, :keep]
        turned = S.mT.to(self.V)
        self.V[:, :keep], self.AV[:, :keep] = turned @ self.V[:, : self.size], turned @ self.AV[:, : self.size]
        self.H[:, :keep, :keep] = S.mT @ self.H @ S
        self.size = keep

    def _new_direction(self, v: Tensor) -> Tensor:
        """V made orthogonal to V and of unit length; where nothing is left of it, a fixed direction that V lacks."""
        V = self.V[:, : self.size]
        v = v / v.norm(dim=1, keepdim=True).clamp(min=torch.finfo(v.dtype).tiny)
        for again in range(3):
            for _ in range(2):
                v = v - (v[:, None] @ V.mT @ V)[:, 0]
            length = v.norm(dim=1, keepdim=True)
            lost = length < 100 * torch.finfo(v.dtype).eps
            if not lost.any():
                break
            generator = torch.Generator().manual_seed(10 * self.size + again)
            fresh = torch.randn(v.shape[1], generator=generator, dtype=torch.float64).to(v)
            v = torch.where(lost, fresh / fresh.norm(), v / length)
        return v / v.norm(dim=1, keepdim=True)
