"""How many hits a printed radius stands for: logs give the radius, and the hits are what further inference wants.

    R = radius(p),   p = Clopper-Pearson's lower bound of k hits in n at level alpha

Both are increasing, so a printed radius, an interval of half a digit to either side, comes from a run of whole k: those
k whose own radius is printed alike. k certifies p' > p exactly where P(X >= k; n, p) < alpha, so each end is a quantile
of a binomial law.

Cost: two quantiles a radius, a few microseconds. Fails: near the largest radius that n samples give, one k has many
digits and is exact; near radius 0 three digits leave hundreds of k.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

from lemmata.bernoulli.clopper_pearson import clopper_pearson
from lemmata.bernoulli.looks import require_count
from lemmata.errors import InvalidInput
from lemmata.robustness.smoothing.noise import Noise

Ints = NDArray[np.int64]
USUAL = (0.001, 0.01, 0.05, 0.005, 0.0001)  # levels that a refusal tries


def recovered_hits(
    radius: ArrayLike, n: int, noise: Noise, *, alpha: float = 0.001, digits: int = 3
) -> tuple[Ints, Ints]:
    """The least and the largest number of hits in `n` samples whose radius is `radius` (N,) to `digits` digits.

    Radius 0 (an abstention) gives 0 and the most hits that certify nothing. Deterministic. Raises `InvalidInput` for
    radii that no number of hits gives: another noise, n or alpha was used (the message names a usual alpha that fits).

    >>> from lemmata.robustness.smoothing.noise import Gaussian
    >>> low, high = recovered_hits([0.378, 0.953], 100_000, Gaussian(0.25))
    >>> low.tolist(), high.tolist()
    ([93689, 100000], [93738, 100000])
    """
    radii, low, high = _ends(radius, n, noise, alpha, digits)
    impossible = high < low
    if impossible.any():
        fits = [level for level in USUAL if attainable(radii, n, noise, alpha=level, digits=digits).all()]
        hint = f"; at alpha = {fits[0]:g} all do" if fits else ""
        raise InvalidInput(
            f"{int(impossible.sum())} of {int((radii > 0).sum())} radii, {radii[impossible][0]:g} the first, come from "
            f"no number of hits among n = {n:,} samples of {noise} at alpha = {alpha:g}{hint}; give the noise, n and "
            "alpha that were used"
        )
    return low, high


def attainable(radius: ArrayLike, n: int, noise: Noise, *, alpha: float = 0.001, digits: int = 3) -> NDArray[np.bool_]:
    """Which radii (N,), printed to `digits` digits, some number of hits in `n` samples gives: a check of a log's
    settings.

    Near the largest radius the attainable ones lie far apart, so that a few hundred radii tell n, sigma and alpha
    apart.

    >>> from lemmata.robustness.smoothing.noise import Gaussian
    >>> attainable([0.953, 0.978], 100_000, Gaussian(0.25)), attainable([0.978], 100_000, Gaussian(0.25), alpha=0.01)
    (array([ True, False]), array([ True]))
    """
    _, low, high = _ends(radius, n, noise, alpha, digits)
    return low <= high


def _ends(radius: ArrayLike, n: int, noise: Noise, alpha: float, digits: int) -> tuple[NDArray[np.float64], Ints, Ints]:
    """The radii, and the least and largest hits of each, the least above the largest where there are none."""
    digits, n = require_count(digits, "digits"), require_count(n, "n")
    if not isinstance(noise, Noise):
        raise InvalidInput(f"noise = {noise!r}; give the law, such as Gaussian(0.25)")
    try:
        given = np.atleast_1d(np.asarray(radius, dtype=np.float64))
    except (TypeError, ValueError):
        raise InvalidInput(f"radius = {radius!r:.60}; give one number or several") from None
    if not ((given >= 0) & (given < np.inf)).all():  # NaN fails too
        raise InvalidInput(f"radius = {given[~((given >= 0) & (given < np.inf))][0]:g}; radii are finite distances")
    radii = _rounded(given, digits)
    above = radii > 0
    exponent = np.floor(np.log10(np.where(above, radii, 1.0)))
    half = np.where(above, 0.5 * 10.0 ** (exponent - digits + 1), 0.0)
    below = np.where(radii <= 10.0**exponent, half / 10, half)  # below a power of ten a digit is a tenth of that above
    low = np.where(above, _certifying(np.maximum(radii - below, 0.0), n, noise, alpha), 0)
    high = np.minimum(_certifying(radii + half, n, noise, alpha) - 1, n)
    # Only at a tie, half a digit away to rounding, is an end printed otherwise.
    low = low + (above & (low <= high) & (_printed(low, n, noise, alpha, digits) != radii))
    high = high - (above & (low <= high) & (_printed(high, n, noise, alpha, digits) != radii))
    return radii, low, high


def _certifying(radius: NDArray[np.float64], n: int, noise: Noise, alpha: float) -> Ints:
    """The least hits that certify more than a radius; n + 1 where none do."""
    p = np.clip(-np.expm1(noise.log_failure(radius)), 0.0, 1.0)
    return np.asarray(binom.isf(alpha, n, p)).astype(np.int64) + 1


def _printed(hits: Ints, n: int, noise: Noise, alpha: float, digits: int) -> NDArray[np.float64]:
    """The radii that hits give, rounded as in a log."""
    found = noise.radius(clopper_pearson(np.clip(hits, 0, n), n, alpha=alpha, side="lower"))
    return _rounded(found, digits)


def _rounded(values: NDArray[np.float64], digits: int) -> NDArray[np.float64]:
    return np.array([float(f"{value:.{digits}g}") for value in values])
