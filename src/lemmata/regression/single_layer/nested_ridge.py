"""Ridge regression on the first m columns of a matrix, for several m, from one QR factorisation.

    min over W, c of  |H_m W + 1 c' - Y|_F^2 + ridge |W|_F^2,        H_m the first m columns of H (n, M)

With [1, H] = Q R the centred H_m has the R factor R[1:m+1, 1:m+1], whose singular values s and left singular vectors
give, with beta = U' Q' Y and g = ridge / (s^2 + ridge), every penalty in closed form:

    |r|^2 = |Y outside|^2 + sum_j g_j^2 |beta_j|^2,     n - tr A = n - 1 - rank + sum_j g_j,
    r_i   = (Y outside)_i + sum_j (Q U)_ij g_j beta_j,  1 - A_ii = (1 outside)_i + sum_j (Q U)_ij^2 g_j

Nothing is squared before its singular values are known, and sums of positive terms stand where differences would
cancel. Cost: 2 n M^2 flops for QR, about 22 m^3 for each m, and 2 n m^2 besides where leave-one-out is asked for.
Fails in nothing but memory: rank-deficient columns are solved with least norm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from lemmata.errors import InvalidInput

Choice = Literal["gcv", "loo"] | float
GRID = 65  # penalties tried at once, twice: over the whole range, and between the neighbours of the best


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """The fits of R problems on m columns: `weights` (R, m, k), `intercept` (R, k), and a number (R,) of each else."""

    weights: Tensor
    intercept: Tensor
    ridge: Tensor
    criterion: Tensor | None
    freedom: Tensor
    rank: Tensor
    condition: Tensor


def nested_ridge(
    H: Tensor, Y: Tensor, widths: Sequence[int], ridge: Choice = "gcv", *, intercept: bool = True
) -> list[RidgeFit]:
    """Fit Y (n, k) on the first m columns of each H (R, n, M), for every m in `widths`; nothing is random.

    `ridge` is a penalty, or the criterion it is to minimise. `freedom` is tr A (with the intercept), `rank` and
    `condition` are those of the columns as they are.

    >>> H = torch.eye(4, dtype=torch.float64)[None, :, :2]
    >>> fit, = nested_ridge(H, torch.tensor([[1.0], [2.0], [0.0], [0.0]]).double(), [2], 1.0, intercept=False)
    >>> fit.weights.flatten().tolist(), fit.freedom.tolist()
    ([0.5, 1.0], [1.0])
    """
    ones = H.new_ones(len(H), H.shape[1], int(intercept))
    Q, R = torch.linalg.qr(torch.cat([ones, H], -1))
    C = Q.mT @ Y
    factors = _Factors(H.mean(1), Y.mean(0), Q, R, C, Y - Q @ C, int(intercept))
    return [_fit(factors, m, ridge) for m in widths]


class _Factors(NamedTuple):
    """[1, H] = Q R of the widest H, its column means (R, M), C = Q' Y, and Y outside its range."""

    mean: Tensor
    target_mean: Tensor
    Q: Tensor
    R: Tensor
    C: Tensor
    outside: Tensor
    first: int  # columns before H: the ones of the intercept, if there is one


def _fit(factors: _Factors, m: int, ridge: Choice) -> RidgeFit:
    mean, target_mean, Q, R, C, outside, first = factors
    n = Q.shape[1]
    U, s, Vt = torch.linalg.svd(R[:, first : first + m, first : first + m], full_matrices=False)
    beta = U.mT @ C[:, first : first + m]
    s = torch.where(s > s[:, :1] * max(n, m) * torch.finfo(s.dtype).eps, s, 0.0)
    left = n - first - s.shape[1]  # dimensions that no column reaches; without any, what is outside is rounding
    beyond = (outside.square().sum((-2, -1)) + C[:, first + m :].square().sum((-2, -1))) * (left > 0)

    def gcv(penalties: Tensor) -> Tensor:
        g = _left_over(s, penalties)
        misfit = beyond[:, None] + torch.einsum("rjl,rj->rl", g.square(), beta.square().sum(-1))
        return n * misfit / (left + g.sum(1)).square()

    def loo(penalties: Tensor) -> Tensor:
        QU = Q[:, :, first : first + m] @ U
        Z = (outside + Q[:, :, first + m :] @ C[:, first + m :]) * (left > 0)
        rest = (1 - first / n - QU.square().sum(-1)).clamp(min=0) if left else QU.new_zeros(QU.shape[:2])
        found = []
        for g in _left_over(s, penalties).unbind(-1):
            kept = rest + torch.einsum("rnj,rj->rn", QU.square(), g)
            found.append(((Z + QU @ (g[..., None] * beta)).square().sum(-1) / kept.square()).mean(-1))
        return torch.stack(found, -1)

    criterion, chosen = None, None
    if isinstance(ridge, str):
        chosen, criterion = _least(gcv if ridge == "gcv" else loo, s, max(n, m))
    penalty = torch.full_like(s[:, 0], float(ridge)) if chosen is None else chosen
    g = _left_over(s, penalty[:, None])[..., 0]
    weights = Vt.mT @ ((torch.where(s > 0, (1 - g) / s, 0.0))[..., None] * beta)
    c = first * (target_mean - (mean[:, None, :m] @ weights)[:, 0])
    rank, condition = _rank(R[:, : first + m, first : first + m], max(n, m))
    return RidgeFit(weights, c, penalty, criterion, first + (1 - g).sum(-1), rank, condition)


def _left_over(s: Tensor, penalties: Tensor) -> Tensor:
    """Give g = ridge / (s^2 + ridge), (R, j, L) for penalties (R, L): 1 where s is 0, 0 elsewhere without a penalty."""
    square = s.square()[..., None]
    return torch.where(square > 0, penalties[:, None] / (square + penalties[:, None]), 1.0)


def _least(criterion: Callable[[Tensor], Tensor], s: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The penalty (R,) of least criterion, and its value: on a grid from rounding to 100 s_max^2, then a finer one."""
    top = 2 * s[:, :1].clamp(min=torch.finfo(s.dtype).tiny ** 0.25).log10()
    low, high = top + 2 * torch.tensor(size * torch.finfo(s.dtype).eps).log10(), top + 2
    steps = torch.linspace(0, 1, GRID, dtype=s.dtype, device=s.device)
    for _ in range(2):
        grid = low + (high - low) * steps
        values = criterion(10**grid)
        if not values.isfinite().any(-1).all():
            raise InvalidInput("no penalty has a finite criterion; the features or targets overflow, so scale them")
        best = values.nan_to_num(nan=torch.inf).argmin(-1, keepdim=True)
        low, high = (grid.gather(1, (best + side).clamp(0, GRID - 1)) for side in (-1, 1))
    return 10 ** grid.gather(1, best)[:, 0], values.gather(1, best)[:, 0]


def _rank(R: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The numerical rank of the columns as they are, and their condition number without what is rounding."""
    s = torch.linalg.svdvals(R)
    kept = s > s[:, :1] * size * torch.finfo(s.dtype).eps
    smallest = torch.where(kept, s, torch.inf).amin(-1)
    return kept.sum(-1), s[:, 0] / smallest
