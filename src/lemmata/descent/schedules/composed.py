"""Schedules of any length composed of shorter ones: primitive, dominant and gradient-dominant.

With S_a the sum of the steps a, two schedules and one step between them make a longer one:

    primitive   [P_a, phi(S_a, S_b), P_b]      phi(x, y) = (-x - y + sqrt((x + y + 2)^2 + 4 (x + 1)(y + 1))) / 2
    dominant    [P_a, psi(S_a, S_d), D_d]      psi(x, y) = (3 - 2y + sqrt((2y + 1)(2y + 8x + 9))) / 4
    gradient-dominant: a dominant schedule read backwards

For each N the split with the largest sum S is found by dynamic programming, and the exact worst cases are

    primitive, dominant     f_N - f* <= L D^2 / (2 (2S + 1))
    gradient-dominant       |g_N|^2  <= 2 L (f_0 - f*) / (2S + 1)

The Huber function with threshold 1/(2S + 1) attains the first, and for dominant schedules the quadratic attains the
same number. At N = 2^k - 1 the primitive schedules are the silver ones. The best split is not unique at many lengths
(the sums are equal; which one is taken is decided by rounding).

Cost: O(N^2) flops, vectorised over the split (N = 2000 in 0.2 s), kept for shorter lengths. Fails as all long steps
do: it needs L (a step beyond 2/L diverges if L is underestimated), and nothing good is proven before the last step.
Sources: Zhang and Jiang (2024), arXiv:2410.12395 (primitive and dominant by dynamic programming); Grimmer, Shu and
Wang (2024), arXiv:2410.16249 (the same as s-, f- and g-composable schedules).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lemmata.descent.method import Guarantee, Schedule
from lemmata.descent.schedules.between import GAP_AT_START, GRADIENT_AT_START, carried
from lemmata.descent.schedules.length import whole

ZHANG_JIANG = "Zhang, Jiang (2024), Accelerated gradient descent by concatenation of stepsize schedules"
COMPOSING = "Grimmer, Shu, Wang (2024), Composing optimized stepsize schedules"


def primitive(n: int) -> Schedule:
    """Give the primitive schedule of n steps with the largest sum: silver steps at n = 2^k - 1, of any length.

    The guarantee of the gap is exact at n. Raises `InvalidInput` for n < 1.

    >>> primitive(3).steps.round(4).tolist()
    [1.4142, 2.0, 1.4142]
    """
    n = whole(n)
    steps = _table_for(n).primitive(n)
    proven = {0: GAP_AT_START, n: 1 / (2 * (2 * steps.sum() + 1))}
    guarantee = Guarantee("gap", "distance", carried(proven, steps), f"{ZHANG_JIANG}; {COMPOSING}", tight=True)
    return Schedule(f"primitive, {n} steps", steps, guarantee=guarantee, source=ZHANG_JIANG)


def dominant(n: int) -> Schedule:
    """Give the dominant schedule of n steps with the largest sum: the best gap known at every n.

    The guarantee is exact at n, by Huber function and quadratic both. Raises `InvalidInput` for n < 1.

    >>> dominant(2).steps.round(4).tolist(), round(dominant(2).guarantee.bound(2), 10)
    ([1.4142, 1.8768], 0.0659459764)
    """
    n = whole(n)
    steps = _table_for(n).dominant(n)
    proven = {0: GAP_AT_START, n: 1 / (2 * (2 * steps.sum() + 1))}
    guarantee = Guarantee("gap", "distance", carried(proven, steps), f"{ZHANG_JIANG}; {COMPOSING}", tight=True)
    return Schedule(f"dominant, {n} steps", steps, guarantee=guarantee, source=ZHANG_JIANG)


def gradient_dominant(n: int) -> Schedule:
    """Give the dominant schedule backwards: the best squared gradient norm known at every n.

    The guarantee, |g_n|^2 <= 2/(2S + 1) L (f_0 - f*), is exact at n. Raises `InvalidInput` for n < 1.

    >>> gradient_dominant(2).steps.round(4).tolist(), round(gradient_dominant(2).guarantee.bound(2), 10)
    ([1.8768, 1.4142], 0.2637839058)
    """
    n = whole(n)
    steps = _table_for(n).dominant(n)[::-1]
    proven = {0: GRADIENT_AT_START, n: 2 / (2 * steps.sum() + 1)}
    where = f"{COMPOSING}, of g-composable schedules"
    guarantee = Guarantee("gradient", "gap", carried(proven, steps), where, tight=True)
    return Schedule(f"gradient-dominant, {n} steps", steps, guarantee=guarantee, source=COMPOSING)


def phi(x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
    """Give the step between two primitive schedules of sums x and y."""
    return (-x - y + np.sqrt((x + y + 2) ** 2 + 4 * (x + 1) * (y + 1))) / 2


def psi(x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
    """Give the step between a primitive schedule of sum x and a dominant one of sum y."""
    return (3 - 2 * y + np.sqrt((2 * y + 1) * (2 * y + 8 * x + 9))) / 4


@dataclass(frozen=True, eq=False)
class _Table:
    """The largest sums (N + 1,) of primitive and dominant schedules, and the length of the first part of each."""

    primitive_sum: np.ndarray
    primitive_split: np.ndarray
    dominant_sum: np.ndarray
    dominant_split: np.ndarray

    def primitive(self, n: int) -> np.ndarray:
        steps = np.empty(n)
        self._write_primitive(steps, 0, n)
        return steps

    def dominant(self, n: int) -> np.ndarray:
        """Each dominant schedule ends on a shorter one: a loop over those, with a primitive one before each step."""
        steps, start = np.empty(n), 0
        while start < n:
            first = int(self.dominant_split[n - start])
            rest = n - start - first - 1
            self._write_primitive(steps, start, first)
            steps[start + first] = psi(self.primitive_sum[first], self.dominant_sum[rest])
            start += first + 1
        return steps

    def _write_primitive(self, steps: np.ndarray, start: int, length: int) -> None:
        waiting = [(start, length)]
        while waiting:
            start, length = waiting.pop()
            if not length:
                continue
            first = int(self.primitive_split[length])
            rest = length - first - 1
            steps[start + first] = phi(self.primitive_sum[first], self.primitive_sum[rest])
            waiting += [(start, first), (start + first + 1, rest)]


def _table_for(n: int) -> _Table:
    return _table(max(256, 1 << (n - 1).bit_length()))  # powers of two, so that few tables are made


@lru_cache(maxsize=8)
def _table(N: int) -> _Table:
    primitive, dominant = np.zeros(N + 1), np.zeros(N + 1)
    primitive_split, dominant_split = np.zeros(N + 1, dtype=int), np.zeros(N + 1, dtype=int)
    for n in range(1, N + 1):
        first = primitive[:n]
        for sums, split, step in ((primitive, primitive_split, phi), (dominant, dominant_split, psi)):
            rest = sums[n - 1 :: -1] if n > 1 else sums[:1]
            total = first + rest + step(first, rest)
            split[n] = total.argmax()
            sums[n] = total[split[n]]
    return _Table(primitive, primitive_split, dominant, dominant_split)
