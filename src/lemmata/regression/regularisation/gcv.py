"""Generalised cross-validation (Golub, Heath and Wahba, 1979).

    GCV(lam) = (|b - A x|^2 / m) / (1 - freedom / m)^2

It is leave-one-out cross-validation made invariant under rotations of b. Needs no noise level. For white noise, and
many data m, the chosen x predicts A x_true as well as the best lam does: the ratio of the predictive errors tends to 1
(Li, 1986, Annals of Statistics 14). That is about the *predictive* error |A x - A x_true|; for |x - x_true| it is of
the optimal order, no more (Lukas, 1993).

On few data its curve is flat, and in some per cent of draws it has a second minimum at tiny lam, which lies lower: the
choice is then useless. The robust variant (Lukas, 2006, Inverse Problems 22) keeps such minima up,

    RGCV(lam) = GCV(lam) (gamma + (1 - gamma) tr(H^2) / m),     0 < gamma <= 1,

at the price of a little oversmoothing. Cost: O(T q). Fails for correlated noise, which it takes for signal (it then
undersmooths). Where no degree of freedom is left (a square A of full rank, lam tending to 0) it is 0/0, and infinite
here. A minimum at the end of the path is said by `Choice.at_end`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.regression.regularisation.choice import Choice, choose, least

if TYPE_CHECKING:
    from lemmata.regression.regularisation.path import Path


def gcv(path: Path, *, robust: float = 1.0) -> Choice:
    """The parameter at which the GCV function of a path is least; `score` has the function at the path's values.

    `robust` is gamma: 1 for plain GCV; 0.1 to 0.3 where data are few. Raises `InvalidInput` outside (0, 1]. With
    several right-hand sides one parameter serves all. Nothing is random.

    >>> from lemmata.regression.regularisation import ridge_path
    >>> A = torch.diag(torch.tensor([1.0, 0.1, 0.01]).double())
    >>> path = ridge_path(A, torch.tensor([1.0, 0.0, 0.01]).double())
    >>> bool(1e-6 < gcv(path).value < 1e-1)
    True
    """
    if not 0 < robust <= 1:
        raise InvalidInput(f"robust = {robust}; gamma lies above 0 and is at most 1, which is plain GCV")
    value, scores, at_end = least(path, lambda values: gcv_function(path, values, robust=robust))
    name = "GCV" if robust == 1 else f"robust GCV, γ = {robust:g}"
    return choose(path, value, scores, rule=name, quantity=name, at_end=at_end)


def gcv_function(path: Path, values: Tensor, *, robust: float = 1.0) -> Tensor:
    """GCV at any values of the parameter, (T,): infinite where no degree of freedom is left."""
    residual, _, left = path.squares(values)
    m = len(path.b)
    scores = torch.where(left > 0, m * residual / left.clamp(min=torch.finfo(left.dtype).tiny).square(), torch.inf)
    if robust == 1:
        return scores
    spent = (path.form.null + path.factors(values).kept.square().sum(1)) / m
    return scores * (robust + (1 - robust) * spent)
