"""Generalised cross-validation (Golub, Heath and Wahba, 1979).

    GCV(lam) = (|b - A x|^2 / m) / (1 - freedom / m)^2

It is leave-one-out cross-validation made invariant under rotations of b. Needs no noise level. For white noise, and
many data m, the chosen x predicts A x_true as well as the best lam does: the ratio of the predictive errors tends to 1
(Li, 1986, Annals of Statistics 14). That is about the *predictive* error |A x - A x_true|; for |x - x_true| it is of
the optimal order, no more (Lukas, 1993).

Cost: O(T q). Fails for correlated noise, which it takes for signal (it then undersmooths), and now and then on few
data, where the curve is flat or its minimum lies at the end of the path; the second is said by `Choice.at_end`. It is
undefined where no degree of freedom is left (a full-rank square A as lam tends to 0: 0/0), where it is not evaluated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lemmata.regression.regularisation.choice import Choice, choose, least

if TYPE_CHECKING:
    from lemmata.regression.regularisation.path import Path


def gcv(path: Path) -> Choice:
    """The parameter at which the GCV function of a path is least; `score` has the function at the path's values.

    With several right-hand sides one parameter serves all. Nothing is random.

    >>> from lemmata.regression.regularisation import ridge_path
    >>> A = torch.diag(torch.tensor([1.0, 0.1, 0.01]).double())
    >>> path = ridge_path(A, torch.tensor([1.0, 0.0, 0.01]).double())
    >>> bool(1e-6 < gcv(path).value < 1e-1)
    True
    """
    value, scores, at_end = least(path, lambda values: gcv_function(path, values))
    return choose(path, value, scores, rule="GCV", quantity="GCV", at_end=at_end)


def gcv_function(path: Path, values: Tensor) -> Tensor:
    """GCV at any values of the parameter, (T,): infinite where no degree of freedom is left."""
    residual, _, left = path.squares(values)
    m = len(path.b)
    return torch.where(left > 0, m * residual / left.clamp(min=torch.finfo(left.dtype).tiny).square(), torch.inf)
