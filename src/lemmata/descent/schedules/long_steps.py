"""The long steps of Grimmer, Shu and Wang: the patterns of 2023, and the accelerated schedules of 2024.

2023 (arXiv:2309.09961). With rho = 1 + sqrt 2, beta_i = 1 + rho^(i-1), mu_0 = 2,

    alpha_i = 1 + (-(mu_i - 1) + sqrt((mu_i - 1)^2 + 8 (beta_{i+1} - 1)(mu_i - 1))) / 4
    mu_{i+1} = mu_i + 2 (alpha_i + beta_{i+1} - 2)

the pattern h^(k) is a palindrome of t = 2^(k+1) - 1 steps: at i = 1, ..., 2^k - 1 alpha_j if i = 2^j, else beta_nu(i)
with nu(i) the number of twos in i; in the middle 2 + 2 sum of the first half. Its average grows like t^0.27, and 3.33
at t = 7 beats the 3.2 found by hand. It is the limit of straightforward patterns: only with its middle step shortened
by some slack > 0 is there a threshold Delta > 0, which shrinks with the slack.

2024 (arXiv:2403.14045). N = 2^k - 1 steps, one half silver, the other built up from the end,

    right_k = [silver_{k-1}, a_k, right_{k-1}],     a_k = psi(rho^(k-1) - 1, sum right_{k-1})

for the objective gap, and the same backwards for the gradient norm. Exact worst cases as for all dominant schedules,
L D^2 / (2 (2S + 1)) and 2 L (f_0 - f*) / (2S + 1), of order N^(-1.2716).
"""

from __future__ import annotations

import math

import numpy as np

from lemmata.descent.method import Guarantee, Measure, Schedule
from lemmata.descent.schedules.between import GAP_AT_START, GRADIENT_AT_START, carried
from lemmata.descent.schedules.composed import psi
from lemmata.descent.schedules.length import whole
from lemmata.descent.schedules.silver import RHO, silver
from lemmata.descent.schedules.straightforward import straightforward
from lemmata.errors import InvalidInput, UnknownName

PATTERNS = "Grimmer, Shu, Wang (2023), Accelerated gradient descent via long steps"
ACCELERATED = "Grimmer, Shu, Wang (2024), Accelerated objective gap and gradient norm convergence via long steps"
SLACK = 0.1
CERTIFIED = {1: 3e-3, 2: 3e-4, 3: 2e-5}  # k: Delta of a rational certificate of the pattern with slack 0.1
EPS = 1e-11  # above the eps of each


def long_steps(k: int, *, slack: float = 0.0) -> Schedule:
    """Give the pattern h^(k) of 2023, t = 2^(k+1) - 1 steps, cyclic, its middle step shortened by `slack`.

    As published (slack 0) it has no guarantee, being the limit of patterns that do. With the slack 0.1, which costs
    0.1/t of the average, it has that of a straightforward pattern for k = 1, 2, 3, with Delta = 3e-3, 3e-4, 2e-5.
    Raises `InvalidInput` for k < 1, or a slack below 0 or that takes the whole step.

    >>> long_steps(2).steps.round(4).tolist()
    [1.5, 2.4142, 1.4142, 12.6569, 1.4142, 2.4142, 1.5]
    >>> round(float(long_steps(2).steps.mean()), 4), long_steps(2, slack=0.1).guarantee.given
    (3.3305, 'level')
    """
    k = whole(k, "k")
    half = _first_half(k)
    middle = 2 + 2 * float(half.sum())
    if not 0 <= slack < middle:
        raise InvalidInput(f"slack = {slack}; it must lie in [0, {middle:.6g}), the middle step")
    steps = np.concatenate([half, [middle - slack], half[::-1]])
    name = f"long steps, t = {len(steps)}" + (f", slack {slack:g}" if slack else "")
    if slack == SLACK and k in CERTIFIED:
        where = f"{PATTERNS}; certified exactly by `descent.certificate.certify`"
        return straightforward(name, steps, Delta=CERTIFIED[k], eps=EPS, where=where, source=PATTERNS)
    return Schedule(name, steps, cyclic=True, source=PATTERNS)


def accelerated_long_steps(k: int, *, of: Measure = "gap") -> Schedule:
    """Give the 2^k - 1 steps of 2024, made for the objective gap or, backwards, for the gradient norm.

    The guarantee is exact at 2^k - 1. Raises `InvalidInput` for k < 1, `UnknownName` for another measure.

    >>> accelerated_long_steps(2).steps.round(4).tolist()
    [1.4142, 2.4142, 1.5]
    >>> accelerated_long_steps(2, of="gradient").steps.round(4).tolist()
    [1.5, 2.4142, 1.4142]
    """
    k = whole(k, "k")
    if of not in ("gap", "gradient"):
        raise UnknownName("measure", of, ("gap", "gradient"))
    steps = np.array([1.5])
    for level in range(1, k):
        middle = psi(RHO**level - 1, steps.sum())
        steps = np.concatenate([silver(2**level - 1).steps, [middle], steps])
    N, S = len(steps), float(steps.sum())
    if of == "gap":
        bound = carried({0: GAP_AT_START, N: 1 / (2 * (2 * S + 1))}, steps)
        guarantee = Guarantee("gap", "distance", bound, ACCELERATED, tight=True)
        return Schedule(f"accelerated long steps, {N}", steps, guarantee=guarantee, source=ACCELERATED)
    steps = steps[::-1]
    bound = carried({0: GRADIENT_AT_START, N: 2 / (2 * S + 1)}, steps)
    guarantee = Guarantee("gradient", "gap", bound, ACCELERATED, tight=True)
    return Schedule(f"accelerated long steps for the gradient, {N}", steps, guarantee=guarantee, source=ACCELERATED)


def _first_half(k: int) -> np.ndarray:
    half, mu = np.empty(2**k - 1), 2.0
    for level in range(k):
        beta = 1 + RHO**level  # beta_{level + 1}
        alpha = 1 + (-(mu - 1) + math.sqrt((mu - 1) ** 2 + 8 * (beta - 1) * (mu - 1))) / 4
        mu += 2 * (alpha + beta - 2)
        start = 2**level
        half[start - 1] = alpha
        half[start : 2 * start - 1] = silver(start - 1).steps if start > 1 else ()
    return half
