"""Leave-one-out cross-validation in closed form: m fits without one datum each, from one decomposition.

For a fit that is linear in b, with the influence matrix H = Q Q' + U diag(f) U' of a ridge path,

    b_i - a_i' x^(i) = (b_i - a_i' x) / (1 - H_ii),

x^(i) being the minimiser of |A x - b|^2 + lam |L x|^2 without row i (Allen, 1974; Craven and Wahba, 1979). It is exact
for Tikhonov: x^(i) also minimises the full problem with b_i replaced by a_i' x^(i), so that a_i' x^(i) =
a_i' x + H_ii (a_i' x^(i) - b_i). For truncation and iterations H belongs to all rows, the decomposition would change
with a row removed, and the formula is refused.

Cost: O(T m q), in blocks of bounded memory. Fails where H_ii = 1: row i alone determines a direction that no other row
and no penalty sees, and what it should be cannot be predicted; the score is infinite there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.regression.regularisation.choice import Choice, choose, least
from lemmata.regression.regularisation.filters import Ridge

if TYPE_CHECKING:
    from lemmata.regression.regularisation.path import Path

BYTES = 2**26


def leave_one_out(path: Path) -> Choice:
    """The parameter of least mean squared leave-one-out residual; `score` has it at the path's values.

    The mean is over data and right-hand sides. Raises `InvalidInput` where the filter is not Tikhonov's.

    >>> from lemmata.regression.regularisation import ridge_path
    >>> A, b = torch.ones(3, 1).double(), torch.tensor([1.0, 2.0, 3.0]).double()
    >>> choice = leave_one_out(ridge_path(A, b, torch.tensor([1e-9, 1.0])))
    >>> round(float(choice.score[0]), 6)  # the mean of the others: errors -1.5, 0, 1.5
    1.5
    """
    _require_ridge(path)
    value, scores, at_end = least(path, lambda values: mean_square(path, values))
    return choose(path, value, scores, rule="leave-one-out", quantity="mean squared leave-one-out error", at_end=at_end)


def left_out_residuals(path: Path, value: float) -> Tensor:
    """b_i - a_i' x^(i) for every i at one value of the parameter, of the shape of b."""
    _require_ridge(path)
    factors = path.factors(torch.tensor([value], dtype=torch.float64, device=path.b.device))
    left = _left(path, factors.kept, factors.left)[0].to(path.b)
    r = path.residual(value)
    return r / (left if r.ndim == 1 else left[:, None])


def mean_square(path: Path, values: Tensor) -> Tensor:
    """The mean squared leave-one-out residual at any values, (T,)."""
    b = path.b if path.b.ndim == 2 else path.b[:, None]
    U, beta, rest = path.form.U.double(), path.form.coefficients(b).double(), path.form.incompatible(b).double()
    block = max(1, BYTES // (8 * max(beta.numel() + b.numel(), U.numel() // 8)))
    found = []
    for part in values.split(block):
        kept, left, _ = path.factors(part)
        residuals = torch.einsum("mq,tq,qk->tmk", U, left, beta) + rest
        found.append((residuals / _left(path, kept, left)[:, :, None]).square().mean((1, 2)))
    return torch.cat(found)


def _left(path: Path, kept: Tensor, left: Tensor) -> Tensor:
    """1 - H_ii for all rows, (T, m), as sum (1 - f) U_i^2 + what U does not span: no cancellation where A is square."""
    U2 = path.form.U.double().square()
    outside = (1 - path.form.Q.double().square().sum(1) - U2.sum(1)).clamp(min=0)
    outside = torch.where(outside < 1e-12, 0.0, outside)  # rounding of 1 - 1
    return left @ U2.T + outside


def _require_ridge(path: Path) -> None:
    if not isinstance(path.filter, Ridge):
        raise InvalidInput(
            f"leave-one-out in closed form is exact for Tikhonov only, not for {path.filter.name}; take gcv() or "
            "cross_validation()"
        )
