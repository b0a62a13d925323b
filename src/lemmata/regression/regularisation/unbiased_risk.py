"""The unbiased estimate of the predictive risk (Mallows' C_L, 1973), for a known noise level.

For white noise of standard deviation sigma and the influence matrix H, E|r|^2 = |(I - H) A x_true|^2 +
sigma^2 tr (I - H)^2, so that the two parts of E|A x - A x_true|^2 are estimated without bias by

    squared bias   |r|^2 - sigma^2 (m - 2 tr H + tr H^2),        variance   sigma^2 tr H^2 (exact).

Cost: O(T q). As good as GCV where that works (Li, 1986), and spared its accidents on few data; needs sigma. Fails where
sigma is wrong, or the noise is not white. The estimated squared bias is negative by chance where the true one is small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from lemmata.regression.regularisation.choice import Choice, choose, least
from lemmata.regression.regularisation.linear_system import positive

if TYPE_CHECKING:
    from lemmata.regression.regularisation.path import Path


def unbiased_risk(path: Path, sigma: float) -> Choice:
    """The parameter of least estimated predictive risk, for noise of standard deviation `sigma` an entry of b.

    Raises `InvalidInput` for a sigma that is not positive and finite.

    >>> import torch
    >>> from lemmata.regression.regularisation import ridge_path
    >>> path = ridge_path(torch.eye(2).double(), torch.tensor([3.0, 4.0]).double())
    >>> round(unbiased_risk(path, 1.0).value, 4)  # b shrinks by 1 / (1 + lam): least at 2 / (25 - 2)
    0.087
    """
    positive(sigma, "sigma")

    def score(values: Tensor) -> Tensor:
        bias, variance = estimated_parts(path, sigma, values)
        return bias + variance

    value, scores, at_end = least(path, score)
    return choose(path, value, scores, rule="unbiased risk", quantity="estimated predictive risk", at_end=at_end)


def estimated_parts(path: Path, sigma: float, values: Tensor) -> tuple[Tensor, Tensor]:
    """Estimates of squared predictive bias and variance at any values, each (T,); summed over right-hand sides."""
    k = 1 if path.b.ndim == 1 else path.b.shape[1]
    kept, left, _ = path.factors(values)
    rows = len(path.b) - path.form.null - len(path.form.s)
    bias = path.squares(values)[0] - sigma**2 * k * (rows + left.square().sum(1))
    return bias, sigma**2 * k * (path.form.null + kept.square().sum(1))
