"""How many seeds a claim needs: the power of the tests at the mean and deviation observed.

With the noncentral t written as a mixture over s = sqrt(chi2_{n-1} / (n - 1)), and c the critical value of t,

    power inside  = E_s [ Phi((high - mu) sqrt(n) / sigma - c s) - Phi((low - mu) sqrt(n) / sigma + c s) ]_+
    power outside = E_s [ Phi((low - mu) sqrt(n) / sigma - c s) + Phi((mu - high) sqrt(n) / sigma - c s) ]

exact for normal samples (the first is Owen's Q), one Gauss-Legendre sum over the quantiles of s. An observed mean and
deviation are themselves uncertain, so the answer is a plan and no promise; on the region's very edge no n suffices.
"""

import numpy as np
from scipy import special, stats

LIMIT = 10_000  # beyond this the answer is "more than 10,000"
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)


def power_inside(n: int, *, mean: float, sd: float, low: float, high: float, level: float) -> float:
    """Probability that p_inside <= level with n seeds of N(mean, sd^2).

    >>> round(power_inside(10, mean=0.0, sd=1.0, low=-1.0, high=np.inf, level=0.05), 3)
    0.898
    """
    c, s = _critical(level, n), _deviations(n)
    upper, lower = (high - mean) * np.sqrt(n) / sd, (low - mean) * np.sqrt(n) / sd
    return _expect(np.maximum(special.ndtr(upper - c * s) - special.ndtr(lower + c * s), 0.0))


def power_outside(n: int, *, mean: float, sd: float, low: float, high: float, level: float) -> float:
    """Probability that p_outside <= level with n seeds of N(mean, sd^2).

    >>> round(power_outside(10, mean=1.0, sd=1.0, low=-np.inf, high=0.0, level=0.05), 3)
    0.898
    """
    sides = 2 if np.isfinite(low) and np.isfinite(high) else 1
    c, s = _critical(level / sides, n), _deviations(n)
    upper, lower = (mean - high) * np.sqrt(n) / sd, (low - mean) * np.sqrt(n) / sd
    return _expect(special.ndtr(upper - c * s) + special.ndtr(lower - c * s))


def needed(*, mean: float, sd: float, low: float, high: float, level: float, power: float = 0.8) -> int:
    """The fewest seeds, at least 3, that decide with this power whether the mean is inside; LIMIT + 1 if beyond.

    The test planned for is the one that the mean points to: inside if it lies inside, outside if not.

    >>> needed(mean=0.0, sd=1.0, low=-1.0, high=np.inf, level=0.05)
    8
    """
    chance = power_inside if low <= mean <= high else power_outside
    setting = {"mean": mean, "sd": sd, "low": low, "high": high, "level": level}
    if chance(LIMIT, **setting) < power:
        return LIMIT + 1
    short, enough = 2, 3
    while chance(enough, **setting) < power:
        short, enough = enough, min(2 * enough, LIMIT)
    while enough - short > 1:
        middle = (short + enough) // 2
        short, enough = (short, middle) if chance(middle, **setting) >= power else (middle, enough)
    return enough


def _critical(level: float, n: int) -> float:
    return float(stats.t.isf(level, n - 1))


def _deviations(n: int) -> np.ndarray:
    return np.sqrt(special.chdtri(n - 1, 1 - (1 + _NODES) / 2) / (n - 1))


def _expect(values: np.ndarray) -> float:
    return float(values @ _WEIGHTS / 2)
