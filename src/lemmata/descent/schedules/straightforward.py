"""Straightforward patterns: steps that are repeated without end, longer than descent allows, and descend as a whole.

With S the sum of a pattern's t steps, R the radius of the level set {f <= f(x_0)} about x* and delta = gap/(L R^2), a
certificate (multipliers lambda, gamma with a threshold Delta) proves for one cycle and every d in [0, Delta]

    delta_t <= delta_0 - 2 d S delta_0 + d^2 (S + t eps)

The best d is delta_0 where that is allowed, else Delta:

    delta_t <= delta_0 - (S - t eps) delta_0^2                        delta_0 <= Delta
    delta_t <= (1 - 2 S Delta) delta_0 + (S + t eps) Delta^2          delta_0 >  Delta

Iterated from any start this is a bound at every cycle: linear until Delta is reached, after s_0 cycles, then

    f_{st} - f* <= L R^2 / (1/delta_{s_0 t} + c t (s - s_0)),   c = (S - t eps)/t:    L R^2/(c T) + O(1/T^2)

R, not D = |x_0 - x*|, stands here: a cycle starts anew from where the last one ended, which is no higher than x_0, but
may be farther from x* than x_0 was. The theorem is Grimmer's (2023, arXiv:2307.06324, Theorem 2.1 and the certificate
of section 3); the case delta_0 > Delta, with which it needs no small start, follows from the same certificate.

Cost: O(1) for a bound. Fails to say much while delta > Delta, which is small for long patterns (3e-8 at t = 127): the
proven rate then sets in only after some 10^7 steps. Between the ends of cycles the gap can be far larger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from lemmata.descent.method import Guarantee, Schedule
from lemmata.descent.schedules.between import GAP_AT_START, growth
from lemmata.errors import InvalidInput

CURVATURES = 400  # of the quadratics that a pattern is tried on, evenly spaced up to 1


def straightforward(
    name: str, steps: Sequence[float] | np.ndarray, *, Delta: float, eps: float = 0.0, where: str, source: str = ""
) -> Schedule:
    """Make the cyclic schedule of a pattern with its guarantee, from the Delta and eps of a certificate.

    The guarantee is of the gap given the level set's radius R, at every n: at the ends of cycles by the theorem, in
    between by what a step can at most do. ``guarantee.bound(n, start)`` takes a known start (f_0 - f*)/(L R^2), by
    default 1/2. Raises `InvalidInput` unless 0 < Delta and 0 <= eps < S/t, for steps that are not positive, and for
    those that no certificate can be of, since a cycle gains nothing on some f = c x^2 / 2.

    >>> pattern = straightforward("t = 3", [1.5, 4.9, 1.5], Delta=1e-3, where="a certificate")
    >>> round(pattern.guarantee.bound(3 * 10**5) * 3 * 10**5 * 7.9 / 3, 3)  # tends to 1
    1.003
    """
    steps = _possible(name, steps)
    t, S = len(steps), float(steps.sum())
    if not Delta > 0 or not 0 <= eps < S / t:
        raise InvalidInput(f"{name}: Delta = {Delta}, eps = {eps}; expected Delta > 0 and 0 <= eps < {S / t:.6g}")
    bound = _bound(steps, S, min(Delta, 1 / (2 * S)), eps)
    return Schedule(name, steps, cyclic=True, guarantee=Guarantee("gap", "level", bound, where), source=source)


def _possible(name: str, steps: Sequence[float] | np.ndarray) -> np.ndarray:
    """The steps (t,), refused where they cannot be straightforward."""
    try:
        steps = np.asarray(steps, dtype=float)
    except (TypeError, ValueError):
        raise InvalidInput(f"{name}: the steps are {steps!r:.80}; give numbers (t,)") from None
    if steps.ndim != 1 or not len(steps) or not np.isfinite(steps).all() or steps.min() <= 0:
        raise InvalidInput(f"{name}: the steps are {steps!r:.80}; give positive, finite ones (t,), in units of 1/L")
    curvature = np.arange(1, CURVATURES + 1) / CURVATURES
    with np.errstate(divide="ignore"):
        factor = np.log(np.abs(1 - np.outer(curvature, steps))).sum(1)
    worst = int(factor.argmax())
    if factor[worst] >= 0:
        raise InvalidInput(
            f"{name}: on f = {curvature[worst]:g} x^2 / 2 a cycle multiplies x by {_exp(factor[worst]):.6g} >= 1 and "
            f"gains nothing; shorten the longest step, {steps.max():g} (`descent.certify` says to what)"
        )
    return steps


def _exp(exponent: float) -> float:
    return math.exp(exponent) if exponent < 700 else math.inf


def _bound(steps: np.ndarray, S: float, Delta: float, eps: float) -> Callable[..., float]:
    """Delta at most 1/(2S), so that a cycle's bound rises with delta_0 and can be iterated."""
    t = len(steps)
    within = np.concatenate([[1.0], np.cumprod(growth(steps))[:-1]])

    def bound(n: int, start: float = GAP_AT_START) -> float:
        if n < 0:
            return math.inf
        cycles, rest = divmod(n, t)
        return float(_after(cycles, start, S, Delta, t * eps) * within[rest])

    return bound


def _after(cycles: int, start: float, S: float, Delta: float, loss: float) -> float:
    """The gap after whole cycles; `loss` is t eps."""
    fixed = (S + loss) * Delta / (2 * S)  # where the linear phase would end; below Delta, since loss < S
    if start > Delta:
        rate = math.log1p(-2 * S * Delta) if 2 * S * Delta < 1 else -math.inf
        needed = 1 if rate == -math.inf else math.ceil(math.log((Delta - fixed) / (start - fixed)) / rate)
        linear = min(cycles, needed)
        start = fixed + (start - fixed) * (math.exp(rate * linear) if linear else 1.0)
        cycles -= linear
    return 1 / (1 / start + (S - loss) * cycles) if start > 0 else 0.0
