"""Which inequalities a proof needs: all, or O(N log N) of them in dyadic order.

An optimal proof for N steps weighs (N + 2)(N + 1) inequalities, one for every ordered pair of nodes. For schedules that
are put together of shorter ones around a long step, as the silver and the dominant ones, few are needed: those with *,
the chain (k, k + 1), and links from the point before a long step to all those that the shorter steps on either side of
it lead through, and to the last. In the silver schedule these runs are dyadic blocks; in general they are the subtrees
of the steps' Cartesian tree. Where the steps are another method's this is a place to begin from, and the inequalities
that the answer violates are added (`grown`).
"""

from __future__ import annotations

import numpy as np

from lemmata.descent.method import Measure

TIE = 1e-9  # steps closer than this count as equal


def full(steps: int) -> np.ndarray:
    """Every ordered pair of the N + 2 nodes: a mask (N + 2, N + 2).

    >>> int(full(7).sum())
    72
    """
    return ~np.eye(steps + 2, dtype=bool)


def dyadic(steps: np.ndarray) -> np.ndarray:
    """The pairs that the order of the steps (N,) suggests: a mask (N + 2, N + 2).

    >>> silver = [1 + (1 + 2**0.5) ** (((k & -k).bit_length() - 1) - 1) for k in range(1, 128)]
    >>> [int(dyadic(np.array(silver[:n])).sum()) for n in (7, 31, 127)]
    [38, 220, 1146]
    """
    length = len(steps)
    mask = np.zeros((length + 2, length + 2), bool)
    mask[0] = mask[:, 0] = True
    node = np.arange(1, length + 1)
    mask[node, node + 1] = mask[node + 1, node] = True
    for step, (first, last) in enumerate(zip(*_ranges(steps), strict=True)):
        if first < last:
            mask[1 + step, 1 + first : 3 + last] = True
            mask[1 + step, -1] = True
    np.fill_diagonal(mask, False)
    return mask


def starting(steps: np.ndarray, of: Measure, *, nested: bool) -> np.ndarray:
    """The pairs to begin with: the dyadic ones, or the chain and * alone where the steps are not `nested` in order.

    A proof for the gradient needs all links from the last point, as one for the gap needs those from *, whose
    counterpart it is when the order of the nodes is reversed (Kim, Ozdaglar, Park and Ryu, 2023). Runs of rising or
    falling steps would link every point with every other; they are told by the number of pairs.
    """
    chain = dyadic(np.ones(len(steps)))
    if not nested:
        return chain
    mask = dyadic(steps)
    if of == "gradient":
        mask[-1, :-1] = True
    return mask if mask.sum() <= 3 * len(steps) * (2 + np.log2(len(steps))) else chain


def _ranges(steps: np.ndarray) -> tuple[list[int], list[int]]:
    """For each step the first and the last of the run of shorter ones that it stands in."""
    length = len(steps)
    first, last, higher = [0] * length, [length - 1] * length, []
    shorter = steps * (1 - TIE)
    for step in range(length):
        while higher and steps[higher[-1]] < shorter[step]:
            higher.pop()
        first[step] = higher[-1] + 1 if higher else 0
        higher.append(step)
    higher = []
    for step in reversed(range(length)):
        while higher and steps[higher[-1]] < shorter[step]:
            higher.pop()
        last[step] = higher[-1] - 1 if higher else length - 1
        higher.append(step)
    return first, last


def grown(mask: np.ndarray, slacks: np.ndarray, *, tolerance: float, most: int) -> np.ndarray:
    """The mask with the pairs that violate their inequality by more than `tolerance`, the `most` worst of them.

    >>> grown(np.zeros((2, 2), bool), np.array([[np.inf, -1.0], [0.5, np.inf]]), tolerance=1e-9, most=5).tolist()
    [[False, True], [False, False]]
    """
    violation = np.where(mask, 0.0, -slacks)
    order = np.argsort(violation, axis=None)[::-1][:most]
    added = np.zeros(mask.size, bool)
    added[order] = violation.ravel()[order] > tolerance
    return mask | added.reshape(mask.shape)
