"""Regularisation of linear problems A x = b, and the choice of its parameter.

| function | what | parameter |
|---|---|---|
| `tikhonov` | one minimiser of |A x - b|^2 + lam |L x|^2, dense or matrix-free | lam |
| `ridge_path` | hundreds of them from one decomposition, a `Path` | lam |
| `truncated_svd_path`, `truncated_svd` | the largest components only | components kept |
| `iterative` | CGLS or Landweber, stopped early, with filter factors | steps |
| `total_variation` | |A x - b|^2 / 2 + lam TV(x) in one and two dimensions, with a duality gap | lam |

A `Path` chooses: `.gcv()`, `.l_curve()`, `.discrepancy(noise)`, `.unbiased_risk(sigma)`, `.leave_one_out()`;
`cross_validation` by k folds; `bias_variance` shows what is to be chosen, where the truth is known.
"""

from lemmata.regression.regularisation.bias_variance import BiasVariance, bias_variance
from lemmata.regression.regularisation.choice import Choice
from lemmata.regression.regularisation.cross_validation import CrossValidation, cross_validation
from lemmata.regression.regularisation.iterative import Iterates, iterative
from lemmata.regression.regularisation.path import Path, ridge_path
from lemmata.regression.regularisation.standard_form import StandardForm
from lemmata.regression.regularisation.tikhonov import Tikhonov, tikhonov
from lemmata.regression.regularisation.total_variation import TotalVariation, total_variation
from lemmata.regression.regularisation.truncated_svd import truncated_svd, truncated_svd_path

__all__ = [
    "BiasVariance",
    "Choice",
    "CrossValidation",
    "Iterates",
    "Path",
    "StandardForm",
    "Tikhonov",
    "TotalVariation",
    "bias_variance",
    "cross_validation",
    "iterative",
    "ridge_path",
    "tikhonov",
    "total_variation",
    "truncated_svd",
    "truncated_svd_path",
]
