"""Is the mean over seeds inside a region, outside it, or on the right side of "no effect"? Three one-sided questions.

With x_1 ... x_n (one number a seed), mean m, standard deviation s and t(e) = (m - e) sqrt(n) / s, the p-values are

    p_inside    = max( P(T >= t(low)), P(T <= t(high)) )         two one-sided tests (Schuirmann 1987)
    p_outside   = c min( P(T <= t(low)), P(T >= t(high)) )       c = 2 for an interval (Bonferroni), 1 for a half-line
    p_direction = P(T >= t(null)), or P(T <= t(null))            whichever side of `null` the region lies on

with T Student's t of n - 1 degrees of freedom. Everything is vectorised over leading axes, so that simulations of the
error rates call the very functions that judge. Cost O(samples). Three cases in which t says nothing:

- a statistic on a grid of spacing r: s is not believed below r / sqrt(12), the deviation of a rounding error;
- no variation at all: the limit s -> 0 of the test, which compares the constant with the closed region (p is 0 or 1).
  `null` does not belong to the region: a constant "no effect" refutes a claim of an effect;
- some samples infinite (a level never reached): the mean does not exist, and sign tests of the *median* take over.

It fails, as t does, for few seeds of a very skewed statistic; docs/statistics.md says by how much.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

ROUNDING = 1e-12  # relative spread below which samples are one number


class Answers(NamedTuple):
    """Arrays over the leading axes; `low`, `high` bound the centre; `method` is "t", "constant" or "sign"."""

    centre: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_inside: np.ndarray
    p_outside: np.ndarray
    p_direction: np.ndarray
    method: np.ndarray


def one_sided_tests(
    samples: ArrayLike,
    *,
    low: ArrayLike,
    high: ArrayLike,
    null: ArrayLike = np.nan,
    resolution: ArrayLike = 0.0,
    confidence: float = 0.95,
) -> Answers:
    """Test samples of shape (..., n), n >= 2, against the regions low <= mean <= high; options broadcast to (...).

    `null` is the value of no effect (NaN: none). Infinite samples are allowed, NaN are not.

    >>> result = one_sided_tests([4.7, 4.8, 5.7, 5.1, 4.9], low=2, high=10, null=1)
    >>> float(result.p_inside) < 0.001, float(result.p_outside), float(result.p_direction) < 0.001
    (True, 1.0, True)
    """
    x = np.asarray(samples, dtype=float)
    batch = x.shape[:-1]
    edges = [np.broadcast_to(np.asarray(edge, float), batch) for edge in (low, high, null)]
    grid = np.broadcast_to(np.asarray(resolution, float), batch)
    finite = np.asarray(np.isfinite(x).all(axis=-1))
    with np.errstate(invalid="ignore"):
        spread = np.nan_to_num(x.max(axis=-1) - x.min(axis=-1), nan=0.0, posinf=np.inf)
    size = np.abs(x).max(axis=-1)
    alike = (x == x[..., :1]).all(axis=-1) | (finite & (spread <= ROUNDING * np.where(finite, size, 0.0)))
    constant = alike & ((grid == 0) | ~finite)

    student = _student(np.where(finite[..., None], x, 0.0), edges, grid, confidence)
    result = _choose(constant, _constant(x, edges), student)
    signs = ~finite & ~constant
    return _choose(signs, _sign(x, edges, confidence), result) if signs.any() else result


def side(low: np.ndarray, high: np.ndarray, null: np.ndarray) -> np.ndarray:
    """On which side of `null` the region lies: +1 above, -1 below, 0 when `null` is inside it or NaN.

    >>> side(np.array([2.0, -3.0, -1.0]), np.array([9.0, -1.0, 1.0]), np.array([1.0, 0.0, 0.0]))
    array([ 1, -1,  0])
    """
    above, below = low >= null, high <= null
    return above.astype(int) - below.astype(int)


def holm(p: ArrayLike) -> np.ndarray:
    """Holm's adjusted p-values along the last axis (Holm 1979); each row is a family of its own.

    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, axis=-1)
    factors = np.arange(p.shape[-1], 0, -1)
    adjusted = np.minimum(1.0, np.maximum.accumulate(np.take_along_axis(p, order, -1) * factors, axis=-1))
    result = np.empty_like(p)
    np.put_along_axis(result, order, adjusted, -1)
    return result


def _student(x, edges, grid, confidence) -> Answers:
    n = x.shape[-1]
    mean = x.mean(axis=-1)
    sd = np.maximum(x.std(axis=-1, ddof=1), grid / np.sqrt(12))
    error = np.where(sd > 0, sd, 1.0) / np.sqrt(n)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * error

    def above(edge):
        return stats.t.sf((mean - edge) / error, n - 1)

    def below(edge):
        return stats.t.cdf((mean - edge) / error, n - 1)

    return Answers(mean, sd, mean - half, mean + half, *_combine(above, below, edges), np.full(mean.shape, "t"))


def _sign(x, edges, confidence) -> Answers:
    """Sign tests: K = number of samples beyond an edge is Binomial(n, 1/2) or smaller when the median is not."""
    n = x.shape[-1]
    ordered = np.sort(x, axis=-1)
    median = (ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2
    rank = int(stats.binom.ppf((1 - confidence) / 2, n, 0.5))
    if stats.binom.cdf(rank, n, 0.5) > (1 - confidence) / 2:
        rank -= 1
    whole = np.full(median.shape, np.inf)

    def above(edge):
        count = (x > np.asarray(edge)[..., None]).sum(axis=-1)
        return np.where(np.isneginf(edge), 0.0, stats.binom.sf(count - 1, n, 0.5))

    def below(edge):
        count = (x < np.asarray(edge)[..., None]).sum(axis=-1)
        return np.where(np.isposinf(edge), 0.0, stats.binom.sf(count - 1, n, 0.5))

    bounds = (ordered[..., rank], ordered[..., n - 1 - rank]) if rank >= 0 else (-whole, whole)
    p = _combine(above, below, edges)
    return Answers(median, np.full(median.shape, np.nan), *bounds, *p, np.full(median.shape, "sign"))


def _constant(x, edges) -> Answers:
    low, high, null = edges
    value = x[..., 0]
    slack = ROUNDING * np.where(np.isfinite(value), np.abs(value), 0.0)
    no_effect = (np.abs(np.where(np.isfinite(value), value, np.inf) - null) <= slack) & ((null == low) | (null == high))
    inside = (value >= low - slack) & (value <= high + slack) & ~no_effect
    where = side(low, high, null)
    right = ((where > 0) & (value > null + slack)) | ((where < 0) & (value < null - slack))
    p = ((~inside).astype(float), inside.astype(float), (~right).astype(float))
    return Answers(value, np.zeros(value.shape), value, value, *p, np.full(value.shape, "constant"))


def _combine(above, below, edges) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    low, high, null = edges
    inside = np.maximum(above(low), below(high))
    sides = 1 + (np.isfinite(low) & np.isfinite(high))
    outside = np.minimum(1.0, sides * np.minimum(below(low), above(high)))
    where = side(low, high, null)
    known = np.where(where == 0, 0.0, null)
    direction = np.where(where > 0, above(known), np.where(where < 0, below(known), 1.0))
    return inside, outside, direction


def _choose(condition: np.ndarray, yes: Answers, no: Answers) -> Answers:
    return Answers(*(np.where(condition, a, b) for a, b in zip(yes, no, strict=True)))
