"""k-fold cross-validation over a ridge path: fit on all folds but one, predict that one, for every value at once.

The rows are dealt at random into folds of sizes that differ by one at most. The score of a value is the mean squared
error over all rows, each predicted by the fit that has not seen it; its standard error is that of the mean of the
folds' errors, which is indicative only, since the fits share data (Bengio and Grandvalet, 2004).

Cost: as many decompositions as folds, O(folds m n min(m, n) + T m q). k = m is leave-one-out, which `leave_one_out`
has in closed form from a single one. Fails where rows depend on one another (time series, blocks): a fold is then
predicted from its own neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.linalg.operator import LinearOperator
from lemmata.regression.regularisation.choice import Choice, choose
from lemmata.regression.regularisation.linear_system import dense_system
from lemmata.regression.regularisation.path import VALUES, Path, ridge_path


@dataclass(frozen=True, eq=False, kw_only=True)
class CrossValidation(Choice):
    """The choice of least score; `folds` (F, T) each fold's mean squared error, `stderr` (T,) that of the score.

    `simplest` is the largest parameter whose score is within one standard error of the least.
    """

    folds: Tensor
    stderr: Tensor
    simplest: float


def cross_validation(
    A: Tensor,
    b: Tensor,
    values: int | Tensor = VALUES,
    *,
    folds: int = 5,
    L: Tensor | LinearOperator | None = None,
    seed: int | torch.Generator = 0,
) -> CrossValidation:
    """The value of lam with the least k-fold error, and the fit to all rows there. Arguments as `ridge_path`.

    The dealing of rows into folds is random, from `seed`. Raises `InvalidInput` for fewer than 2 folds or more than
    rows, and as `ridge_path`.

    >>> draw = torch.Generator().manual_seed(0)
    >>> A = torch.randn(40, 5, generator=draw).double()
    >>> b = A @ torch.ones(5).double() + torch.randn(40, generator=draw).double()
    >>> found = cross_validation(A, b, folds=4)
    >>> found.folds.shape, bool(found.simplest >= found.value)
    (torch.Size([4, 200]), True)
    """
    columns = dense_system(A, b)[1]
    if not (isinstance(folds, int) and 2 <= folds <= len(b)):
        raise InvalidInput(f"folds = {folds} for {len(b)} rows; take a whole number between 2 and as many")
    whole = ridge_path(A, b, values, L=L)
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    order = torch.randperm(len(b), generator=generator).to(b.device)
    errors, rows = [], []
    for fold in order.tensor_split(folds):
        others = torch.ones(len(b), dtype=torch.bool, device=b.device).index_fill(0, fold, False)
        x = ridge_path(A[others], columns[others], whole.values, L=L).solutions()
        wrong = torch.einsum("mn,nkt->mkt", A[fold], x) - columns[fold, :, None]
        errors.append(wrong.double().square().mean((0, 1)))
        rows.append(len(fold))
    each, weights = torch.stack(errors), torch.tensor(rows, dtype=torch.float64, device=b.device) / len(b)
    return _found(whole, weights @ each, each)


def _found(path: Path, score: Tensor, each: Tensor) -> CrossValidation:
    stderr, place = each.std(0) / len(each) ** 0.5, int(score.argmin())
    near = int((score <= score[place] + stderr[place]).nonzero().max())
    at_end = place in (0, len(path.values) - 1)
    chosen = choose(
        path, float(path.values[place]), score, rule=f"{len(each)}-fold cross-validation",
        quantity="mean squared error on left-out rows", at_end=at_end,
    )  # fmt: skip
    return CrossValidation(**vars(chosen), folds=each, stderr=stderr, simplest=float(path.values[near]))
