"""The discrepancy principle (Morozov, 1966): fit the data as well as the noise allows, and no better.

    |b - A x| = factor |e|,    e the noise in b; |e| is about sigma sqrt(m) for white noise of standard deviation sigma

The residual is increasing in lam (and falls with the number of components or steps kept), from the part of b that no x
fits to the part that x = 0 leaves, so that there is one answer if the noise lies between, and none otherwise: both are
refused by name. With factor > 1 the error tends to 0 with the noise at the best possible order, for Tikhonov as long as
the solution is no smoother than x = A' w (saturation: Groetsch, 1984; Engl, Hanke and Neubauer, 1996, section 4.3);
for CGLS without that bound.

Cost: O(q) a step of the root finding. Fails where |e| is not known: a level a few per cent too low can put the answer
at lam = 0, or nowhere. It oversmooths by a little, since x also fits some of the noise: |b - A x_best|^2 is about
sigma^2 (m - freedom), less than |e|^2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from lemmata.errors import InvalidInput
from lemmata.regression.regularisation.choice import Choice, choose
from lemmata.regression.regularisation.linear_system import positive

if TYPE_CHECKING:
    from lemmata.regression.regularisation.path import Path


def discrepancy(path: Path, noise: float, *, factor: float = 1.0) -> Choice:
    """The parameter at which the residual norm is `factor` times `noise`, the norm of the noise in b (Frobenius).

    A discrete path gives the fewest components or steps whose residual is no larger. Nothing is random. Near the
    floor of the residual a norm told too small by a few per cent is fatal: the noise is fitted, and the solution's
    error may grow by orders of magnitude. Where the norm is only estimated (sigma sqrt(m)), take `factor` > 1, 1.1 say
    (Morozov's tau).

    Raises `InvalidInput` for noise or a factor that is negative, zero or not finite, and for noise out of reach: above
    what x = 0 leaves, or below the part of b that no x fits.

    >>> from lemmata.regression.regularisation import ridge_path
    >>> path = ridge_path(torch.eye(2).double(), torch.tensor([3.0, 4.0]).double())
    >>> round(discrepancy(path, 1.0).value, 6)  # |r| = 5 lam / (1 + lam)
    0.25
    """
    level = positive(factor, "factor") * _noise(noise)
    least, most = _reach(path)
    if level >= most:
        raise InvalidInput(
            f"discrepancy: {level:.4g} of noise is no less than {most:.4g}, what x = 0 leaves of b: the data hold "
            "nothing but noise at this level; check the noise level (it is a norm, sigma sqrt(m), not sigma)"
        )
    if level <= least:
        raise InvalidInput(
            f"discrepancy: no x has a residual of {level:.4g} or less; the part of b that A cannot fit has norm "
            f"{least:.4g}; the noise level is too low, or A is not the right model"
        )
    value = _root(path, level) if path.filter.continuous else _first(path, level)
    return choose(
        path, value, path.residual_norms, rule="discrepancy principle", quantity="residual norm", target=level
    )


def _noise(noise: float) -> float:
    if not (noise > 0 and math.isfinite(noise)):
        raise InvalidInput(f"noise = {noise}; the norm of the noise must be positive and finite")
    return float(noise)


def _reach(path: Path) -> tuple[float, float]:
    """The smallest and the largest residual norm that there is."""
    compatible = path.power[path.form.s > 0].sum() if path.filter.continuous else path.power.sum()
    floor = path.incompatible + float(path.power.sum() - compatible)
    if not path.filter.continuous:
        floor = float(path.residual_norms.min()) ** 2
    return math.sqrt(floor), math.sqrt(path.incompatible + float(path.power.sum()))


def _root(path: Path, level: float) -> float:
    """The root of residual(lam) = level by bisection of log lam, wherever it lies, to rounding."""
    from scipy.optimize import brentq

    def excess(log_value: float) -> float:
        value = torch.tensor([math.exp(log_value)], dtype=torch.float64, device=path.b.device)
        return float(path.squares(value)[0][0].sqrt()) - level

    low, high = math.log(float(path.values[0])), math.log(float(path.values[-1]))
    while excess(low) > 0 and low > -600:
        low -= 5.0
    while excess(high) < 0 and high < 600:
        high += 5.0
    return math.exp(float(brentq(excess, low, high, xtol=1e-13)))  # type: ignore[arg-type]


def _first(path: Path, level: float) -> float:
    """The first value of a discrete path whose residual is no larger."""
    return float(path.values[int((path.residual_norms <= level).double().argmax())])
