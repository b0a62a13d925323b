"""The affine subspaces of an expansion manifold one by one: which neuron copies which, and which cancel.

A configuration of m neurons over r is a tuple of m labels: t in 0..r-1 says a copy of neuron t, each at least once;
-1, -2, ... say the groups of equal neurons whose output weights sum to zero, in the order in which they begin. There
are T(r, m); those without negative labels are the G(r, m) of critical points.

Two subspaces meet if some point satisfies both lists of equations. Join their blocks where they share neurons: in a
join, all incoming vectors are equal and all output weights sum to one number, on either side. So they meet exactly if
in every join at most one neuron t of the r occurs, and if it occurs then on both sides (its output weight is not zero).

Cost: one by one, T(r, m) tuples; whether all are connected, T^2 m. A draw uses O(m^3) counts, computed once.
"""

from collections.abc import Iterator
from functools import cache

import torch

from lemmata.errors import InvalidInput
from lemmata.given import require_seed, require_whole
from lemmata.landscape.symmetry.counts import T

Labels = tuple[int, ...]
MOST_COMPARED = 3000  # subspaces compared in pairs: some ten seconds
WIDEST_DRAWN = 300


def configurations(r: int, m: int, *, cancelling: bool = True) -> Iterator[Labels]:
    """All configurations, T(r, m) of them; without `cancelling` neurons, G(r, m).

    >>> sorted(configurations(1, 2))
    [(-1, 0), (0, -1), (0, 0)]
    """
    r, m = require_whole(r, "r", least=0), require_whole(m, "m", least=0)

    def extended(labels: Labels, missing: int, groups: int) -> Iterator[Labels]:
        if m - len(labels) < missing:
            return
        if len(labels) == m:
            yield labels
            return
        for label in range(-groups - 1 if cancelling else 0, r):
            new = label >= 0 and label not in labels
            yield from extended((*labels, label), missing - new, groups + (label == -groups - 1))

    return extended((), r, 0)


def meet(one: Labels, other: Labels) -> bool:
    """Whether two affine subspaces of one expansion manifold have a point in common.

    >>> meet((0, 1, 1), (0, -1, 1)), meet((0, 1, 1), (1, 0, 0))
    (True, False)
    """
    if len(one) != len(other):
        raise InvalidInput(f"labels of {len(one)} and {len(other)} neurons; compare subspaces of one manifold")
    joined: dict[tuple[int, int], tuple[int, int]] = {}

    def root(block: tuple[int, int]) -> tuple[int, int]:
        while joined.setdefault(block, block) != block:
            block = joined[block]
        return block

    for a, b in zip(one, other, strict=True):
        joined[root((0, a))] = root((1, b))
    owners: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for side, label in list(joined):
        if label >= 0:
            owners.setdefault(root((side, label)), set()).add((side, label))
    return all(len(own) == 2 and len({label for _, label in own}) == 1 for own in owners.values())


def components(r: int, m: int) -> int:
    """The number of connected pieces of the expansion manifold, found by comparing all its subspaces.

    r! for m = r, 1 for m > r: one extra neuron connects all minima. Raises `InvalidInput` for more than some thousand
    subspaces.

    >>> components(3, 3), components(3, 4)
    (6, 1)
    """
    if T(r, m) > MOST_COMPARED:
        raise InvalidInput(f"T({r}, {m}) = {T(r, m)} subspaces; at most {MOST_COMPARED} are compared in pairs")
    left, pieces = list(configurations(r, m)), 0
    while left:
        reached, pieces = [left.pop()], pieces + 1
        while reached:
            here, apart = reached.pop(), []
            for other in left:
                (reached if meet(here, other) else apart).append(other)
            left = apart
    return pieces


def draw_configuration(r: int, m: int, *, cancelling: bool = True, seed: int | torch.Generator) -> Labels:
    """One configuration, each of the T(r, m) (or G(r, m), without `cancelling` neurons) with the same probability.

    >>> len(draw_configuration(3, 6, seed=0))
    6
    """
    r, m = require_whole(r, "r", least=0), require_whole(m, "m", least=0)
    if m < r or m > WIDEST_DRAWN or (r == 0 and m and not cancelling):
        raise InvalidInput(f"r = {r}, m = {m}; draw from r to {WIDEST_DRAWN} neurons, and from at least one copied")
    seed = require_seed(seed)
    random = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    labels: list[int] = []
    missing, groups = list(range(r)), 0
    for left in range(m - 1, -1, -1):
        known = r - len(missing) + groups
        ways = [
            known * _completions(left, len(missing), known, cancelling),
            len(missing) * _completions(left, len(missing) - 1, known + 1, cancelling) if missing else 0,
            _completions(left, len(missing), known + 1, cancelling) if cancelling else 0,
        ]
        kind = _chosen(ways, random)
        if kind == 0:
            old = [*range(-groups, 0), *(t for t in range(r) if t not in missing)]
            labels.append(old[_chosen([1] * len(old), random)])
        elif kind == 1:
            labels.append(missing.pop(_chosen([1] * len(missing), random)))
        else:
            groups += 1
            labels.append(-groups)
    return tuple(labels)


def is_configuration(labels: Labels, r: int) -> bool:
    """Whether every neuron of the r is copied, and groups are numbered as they begin.

    >>> is_configuration((0, -1, 1), 2), is_configuration((0, -2, 1), 2), is_configuration((0, 0, 0), 2)
    (True, False, False)
    """
    groups = list(dict.fromkeys(label for label in labels if label < 0))
    return {label for label in labels if label >= 0} == set(range(r)) and groups == [-1 - i for i in range(len(groups))]


@cache
def _completions(left: int, missing: int, known: int, cancelling: bool) -> int:
    """How many ways there are to label `left` more neurons, where `missing` neurons are still to be copied.

    `known` labels are in use. With x^left / left! the generating function is e^(known x) (e^x - 1)^missing, and
    exp(e^x - 1) times that with cancelling neurons.
    """
    if left < missing:
        return 0
    if left == 0:
        return 1
    joins = known * _completions(left - 1, missing, known, cancelling) if known else 0
    covers = missing * _completions(left - 1, missing - 1, known + 1, cancelling) if missing else 0
    begins = _completions(left - 1, missing, known + 1, cancelling) if cancelling else 0
    return joins + covers + begins


def _chosen(ways: list[int], random: torch.Generator) -> int:
    """An index with a probability proportional to its number of ways, to 2^-62 and exactly for small numbers."""
    total = sum(ways)
    at = (
        int(torch.randint(total, (), generator=random))
        if total < 2**62
        else (total * int(torch.randint(2**62, (), generator=random)) >> 62)
    )
    for index, count in enumerate(ways):
        if at < count:
            return index
        at -= count
    raise AssertionError("the ways sum to their total")
