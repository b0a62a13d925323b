"""Looking more than once: levels that sum to the stated error, and whether another look is wanted.

Look k is judged at the level alpha / (k (k + 1)); these sum to alpha however many looks there are, so no maximum has
to be fixed beforehand. Seeds double from look to look: the level falls like 1 / k^2 while n grows like 2^k, and since
the n that a test needs grows only with log(1 / level), the price of a look is paid back by the next doubling. A claim
keeps the verdict of the first look that decides it. By the union bound the chance of any false statement is at most
the sum of the levels; docs/statistics.md has the proof, and tests/verdicts the simulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lemmata.errors import InvalidInput

if TYPE_CHECKING:
    from lemmata.verdicts.verdict import Verdict


def level(look: int, alpha: float) -> float:
    """The level of look number 1, 2, ...

    >>> round(sum(level(k, 0.05) for k in range(1, 1000)), 4)
    0.05
    """
    return alpha / (look * (look + 1))


def schedule(first: int, last: int) -> tuple[int, ...]:
    """Looks at first, 2 first, 4 first, ... seeds, up to `last`.

    >>> schedule(5, 40)
    (5, 10, 20, 40)
    """
    if first < 1:
        raise InvalidInput(f"the first look wants at least one seed, got {first}")
    looks = [first]
    while 2 * looks[-1] <= last:
        looks.append(2 * looks[-1])
    return tuple(looks)


def undecided(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts that more seeds could change.

    >>> undecided([])
    []
    """
    return [verdict for verdict in verdicts if verdict.wants_seeds]


def first_decision(decided: np.ndarray) -> np.ndarray:
    """Index of the first look that decides, from booleans of shape (looks, ...); the last look where none does.

    >>> first_decision(np.array([[False, False], [True, False], [True, False]]))
    array([1, 2])
    """
    return np.where(decided.any(axis=0), decided.argmax(axis=0), len(decided) - 1)
