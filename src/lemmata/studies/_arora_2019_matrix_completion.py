"""Deep matrix factorisation and the least nuclear norm, on many completion problems at once: `arora_2019_matrix`.

M (n x n) has rank r, Gaussian factors and |M|_F = n; a random share of its entries is observed. A product
W = W_N ... W_1 of n x n matrices is fitted to them by plain gradient descent on

    l(W) = n / (2 m) sum_{observed} (W - M)^2,        m observed entries,

from Gaussian weights whose product has entries of size alpha / sqrt(n), until the mean square on observed entries is
below the tolerance. Problems that are done, or have diverged, wait for the others. A step costs 4 (N - 1) products n^3.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lemmata.studies._deep_linear import layer_gradients, prefixes


class Problem(NamedTuple):
    """Matrices to complete (B, n, n) and which entries are observed (B, n, n), float64 and bool."""

    matrix: Tensor
    observed: Tensor

    @classmethod
    def drawn(cls, n: int, rank: int, share: float, random: torch.Generator) -> "Problem":
        """One problem, with a leading axis of 1."""
        left, right = (torch.randn(n, rank, generator=random, dtype=torch.float64) for _ in range(2))
        M = left @ right.T
        return cls((n * M / M.norm())[None], (torch.rand(n, n, generator=random) < share)[None])

    def slope(self, W: Tensor) -> Tensor:
        """The gradient of l at W (B, n, n)."""
        return self.observed * (W - self.matrix) * (W.shape[-1] / self.observed.sum((1, 2))[:, None, None])

    def train_error(self, W: Tensor) -> Tensor:
        """The mean square on observed entries (B,)."""
        return (self.observed * (W - self.matrix)).square().sum((1, 2)) / self.observed.sum((1, 2))

    def test_error(self, W: Tensor) -> Tensor:
        """|W - M| over |M| on the entries that are not observed (B,)."""
        hidden = ~self.observed
        return (hidden * (W - self.matrix)).norm(dim=(1, 2)) / (hidden * self.matrix).norm(dim=(1, 2))


def factorised(
    problem: Problem, layers: list[Tensor], *, rate: float, steps: int, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Gradient descent on all problems; products (B, n, n) and the steps that each took (B,), infinite if not done."""
    rows = torch.arange(len(problem.matrix))  # those that still go on
    taken, found = torch.full((len(rows),), torch.inf, dtype=torch.float64), torch.zeros_like(problem.matrix)
    for step in range(steps + 1):
        parts = prefixes(layers)
        if step % 25 == 0 or step == steps:
            error = problem.train_error(parts[-1])
            done = error < tolerance
            taken[rows[done]], found[rows] = float(step), parts[-1]
            on = ~done & (error < 1e6)
            if not on.all():
                rows, problem = rows[on], Problem(problem.matrix[on], problem.observed[on])
                layers, parts = [w[on] for w in layers], [part[on] for part in parts]
            if not len(rows):
                break
        slope = rate * problem.slope(parts[-1])
        layers = [w - g for w, g in zip(layers, layer_gradients(layers, parts, slope), strict=True)]
    return found, taken


def small_layers(n: int, depth: int, alpha: float, random: torch.Generator) -> list[Tensor]:
    """Gaussian weights (1, n, n) of standard deviation alpha^(1/N) / sqrt(n)."""
    scale = alpha ** (1 / depth) / n**0.5
    return [scale * torch.randn(1, n, n, generator=random, dtype=torch.float64) for _ in range(depth)]


def least_nuclear_norm(problem: Problem, *, steps: int = 2000, gap: float = 1e-4) -> tuple[Tensor, Tensor]:
    """The matrices of least nuclear norm that agree with the observed entries, by Douglas-Rachford splitting.

    With Z the state, X = the singular values of Z shrunk by t, and Z moves by P(2 X - Z) - X, P putting in the observed
    entries. (Z - X) / t is a subgradient of the nuclear norm at X; its observed part Y, scaled to spectral norm 1 at
    most, is feasible for the dual problem, max <Y, M>, so that the result comes with a certified relative gap. Returns
    P(X) (B, n, n) and gaps (B,). A singular value decomposition a step, of all that are not within `gap`.
    """
    rows = torch.arange(len(problem.matrix))  # those whose gap is not closed
    found, best = torch.full((len(rows),), torch.inf, dtype=torch.float64), problem.observed * problem.matrix
    M, observed = problem
    t = 0.1 * torch.linalg.matrix_norm(best, 2)[:, None, None]
    Z = best.clone()
    for step in range(1, steps + 1):
        U, s, V = torch.linalg.svd(Z)
        X = U * (s[:, None] - t).clamp(min=0) @ V
        if step % 20 == 0:
            feasible = torch.where(observed, M, X)
            gaps = relative_gap(feasible, observed * (Z - X) / t, M)
            better = gaps < found[rows]
            best[rows[better]], found[rows[better]] = feasible[better], gaps[better]
            on = found[rows] > gap
            rows, M, observed, t, Z, X = (part[on] for part in (rows, M, observed, t, Z, X))
            if not len(rows):
                break
        Z = Z + torch.where(observed, M, 2 * X - Z) - X
    return best, found


def relative_gap(feasible: Tensor, dual: Tensor, M: Tensor) -> Tensor:
    """The nuclear norm of matrices that agree with M on what is seen, less a lower bound of the least; (B,), relative.

    `dual` (B, n, n) is any matrix that is 0 where M is not seen: scaled to spectral norm 1, <dual, M> is a bound.
    """
    dual = dual / torch.linalg.matrix_norm(dual, 2).clamp(min=1)[:, None, None]
    value = torch.linalg.matrix_norm(feasible, "nuc")
    return (value - (dual * M).sum((1, 2))) / value


def effective_rank(W: Tensor) -> Tensor:
    """Exp of the entropy of singular values over their sum (B,) of W (B, n, n) (Roy and Vetterli, 2007).

    >>> round(float(effective_rank(torch.diag(torch.tensor([2.0, 2.0, 0.0]))[None])), 6)
    2.0
    """
    s = torch.linalg.svdvals(W)
    p = s / s.sum(1, keepdim=True)
    return torch.exp(-torch.special.xlogy(p, p).sum(1))
