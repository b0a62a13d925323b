"""Low-rank approximation of a kernel matrix by randomly pivoted Cholesky.

    K ~ F F^T,   F (n, r),   K - F F^T positive semidefinite with diagonal d

A pivot is drawn with probability d_i / sum d, that is, where the approximation is worst, weighted by how bad it is;
its column of K is subtracted. Pivots are drawn b at a time and thinned by rejection, so that their law is the same as
one by one. Of K only r columns and the diagonal are ever computed.

    E tr(K - F F^T) <= (1 + epsilon) tr(K - K_k)   for   r >= k / epsilon + k log(1 / (epsilon eta)),

with K_k the best approximation of rank k, and eta the relative error tr(K - K_k) / tr K. Cost: r n kernel values and
2 n r^2 flops, in float64. Sources: Chen, Epperly, Tropp, Webber (2023), arXiv:2207.06503, theorem 2.3; Epperly, Tropp,
Webber (2024), arXiv:2410.03969 (rejection).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.kernels.regression.entries import Entries

DRAWN = 96  # pivots drawn at a time


def pivoted_cholesky(entries: Entries, rank: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """F (n, r), the pivots (r,) and the diagonal of what is left (n,), float64; r <= rank where K has no more.

    >>> K = torch.tensor([[4.0, 2.0], [2.0, 1.0]])
    >>> F, pivots, left = pivoted_cholesky(Entries(K, None), 2, generator=torch.Generator().manual_seed(0))
    >>> F.shape[1], torch.allclose(F @ F.T, K.double()), float(left.sum())
    (1, True, 0.0)
    """
    d = entries.diagonal().double().clone()
    if bool((d < 0).any()) or not bool(d.isfinite().all()):
        at = int(((d < 0) | ~d.isfinite()).nonzero()[0])
        raise InvalidInput(f"k(x, x) = {float(d[at])} at sample {at}: the kernel is not positive semidefinite")
    n, floor = entries.n, 4 * torch.finfo(entries.dtype).eps * float(d.sum())
    F = d.new_zeros(n, min(rank, n))
    pivots = torch.empty(0, dtype=torch.long, device=entries.device)
    while len(pivots) < F.shape[1] and float(d.sum()) > floor:
        have = len(pivots)
        drawn = torch.multinomial(d.cpu(), min(DRAWN, 2 * (F.shape[1] - have)), replacement=True, generator=generator)
        drawn = drawn.to(entries.device)
        columns = entries.columns(drawn) - F[:, :have] @ F[drawn, :have].mT
        d[drawn] = columns[drawn].diagonal().clamp(min=0)  # as it is, not as it was carried along
        kept, triangle = _thinned(columns[drawn], F.shape[1] - have, generator)
        if not len(kept):
            continue
        new = torch.linalg.solve_triangular(triangle.mT, columns[:, kept], upper=True, left=False)
        F[:, have : have + len(kept)] = new
        d.sub_(new.square().sum(1)).clamp_(min=0)
        d[drawn[kept]] = 0.0
        pivots = torch.cat([pivots, drawn[kept]])
    return F[:, : len(pivots)], pivots, d


def _thinned(H: Tensor, most: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Which of the drawn pivots stand, as indices, and the Cholesky factor of their block of the residual H (b, b).

    Pivot i was drawn with the diagonal before the others of its lot were eliminated, and stands with the probability
    that its diagonal entry kept.
    """
    device, H = H.device, H.cpu()
    chance = torch.rand(len(H), generator=generator, dtype=torch.float64, device=generator.device).cpu()
    threshold = (chance * H.diagonal().clamp(min=0)).tolist()
    kept: list[int] = []
    factor = H.new_zeros(len(H), min(most, len(H)))
    for i, bar in enumerate(threshold):
        row = factor[i, : len(kept)]
        left = float(H[i, i] - row @ row)
        if left <= bar or len(kept) == factor.shape[1]:
            continue
        column = (H[:, i] - factor[:, : len(kept)] @ row) / left**0.5
        factor[:, len(kept)] = column
        kept.append(i)
    chosen = torch.tensor(kept, dtype=torch.long)
    triangle = factor[chosen][:, : len(kept)].tril()
    return chosen.to(device), triangle.to(device)
