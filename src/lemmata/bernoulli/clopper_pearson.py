"""Clopper-Pearson: the exact bounds on a probability p from h hits in n independent tosses.

    lower: the p at which P(X >= h) = alpha,  X ~ Binomial(n, p);   0 where h = 0,   alpha^(1/n) where h = n
    upper: the p at which P(X <= h) = alpha;                        1 where h = n,   1 - alpha^(1/n) where h = 0

Each is a quantile of a beta distribution, since P(X >= h) is the regularised incomplete beta function I_p(h, n - h +
1). A bound errs with probability at most alpha, whatever p is, and with exactly alpha at the p for which it is
attained.

Cost: one inversion of the incomplete beta function, some 2 microseconds a bound. Fails: a bound looked at after every
few tosses errs far more often than alpha (`false_certificate_rate` shows it); that takes a sequential procedure.

Source: Clopper, Pearson (1934).
"""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainccinv, betaincinv

from lemmata.errors import InvalidInput, UnknownName

Floats = NDArray[np.float64]
Side = Literal["lower", "upper", "two-sided"]


@overload
def clopper_pearson(
    hits: ArrayLike, n: ArrayLike, *, alpha: ArrayLike, side: Literal["lower", "upper"] = "lower"
) -> Floats: ...
@overload
def clopper_pearson(
    hits: ArrayLike, n: ArrayLike, *, alpha: ArrayLike, side: Literal["two-sided"]
) -> tuple[Floats, Floats]: ...
def clopper_pearson(
    hits: ArrayLike, n: ArrayLike, *, alpha: ArrayLike, side: Side = "lower"
) -> Floats | tuple[Floats, Floats]:
    """The lower bound, the upper bound, or the interval (low, high) with alpha / 2 on each side.

    `hits`, `n` (whole numbers, 0 <= hits <= n, n >= 1) and `alpha` (in (0, 1)) broadcast; the bounds are float64 of the
    common shape. Accurate to 1e-12 relative, and to some units in the last place where the bound is near 1, down to
    alpha = 1e-300 and up to 10^7 tosses. Nothing is random. Raises `InvalidInput` for what is out of range,
    `UnknownName` for another side.

    >>> clopper_pearson([0, 9, 10], 10, alpha=0.001).round(4)
    array([0.    , 0.3763, 0.5012])
    >>> low, high = clopper_pearson(95, 100, alpha=0.05, side="two-sided")
    >>> print(f"[{low:.4f}, {high:.4f}]")
    [0.8872, 0.9836]
    """
    h, count, level = require_counts(hits, n, alpha)
    if side == "lower":
        return _lower(h, count, level)
    if side == "upper":
        return _upper(h, count, level)
    if side == "two-sided":
        return _lower(h, count, level / 2), _upper(h, count, level / 2)
    raise UnknownName("side", side, ("lower", "upper", "two-sided"))


def require_counts(hits: ArrayLike, n: ArrayLike, alpha: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Hits, tosses and levels as float64 of one shape; refused where they are out of range or not whole.

    >>> require_counts(11, 10, 0.05)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: 11 hits in 10 tosses; hits lie between 0 and n
    """
    try:
        parts = np.broadcast_arrays(*(np.asarray(part, dtype=np.float64) for part in (hits, n, alpha)))
    except (ValueError, TypeError) as error:
        raise InvalidInput(
            f"hits, n and alpha do not go together: {error}; give numbers or arrays that broadcast"
        ) from None
    h, count, level = parts
    _refuse(~((count >= 1) & (count == np.floor(count))), count, "n = {}; give a whole number of tosses, at least 1")
    _refuse(h != np.floor(h), h, "hits = {}; give whole numbers")  # NaN fails too
    outside = ~((h >= 0) & (h <= count))
    if outside.any():
        raise InvalidInput(f"{h[outside][0]:g} hits in {count[outside][0]:g} tosses; hits lie between 0 and n")
    _refuse(~((level > 0) & (level < 1)), level, "alpha = {}; give a probability between 0 and 1, such as 0.001")
    return h, count, level


def _refuse(bad: NDArray[np.bool_], values: Floats, message: str) -> None:
    if bad.any():
        raise InvalidInput(message.format(f"{values[bad][0]:g}"))


def _lower(h: Floats, n: Floats, alpha: Floats) -> Floats:
    inside = np.where((h > 0) & (h < n), betaincinv(np.maximum(h, 1), n - h + 1, alpha), 0.0)
    return np.where(h == n, np.exp(np.log(alpha) / n), inside)[()]


def _upper(h: Floats, n: Floats, alpha: Floats) -> Floats:
    inside = np.where((h > 0) & (h < n), betainccinv(h + 1, np.maximum(n - h, 1), alpha), 1.0)
    return np.where(h == 0, -np.expm1(np.log(alpha) / n), inside)[()]
