"""Splits of one small data set such that consecutive seeds test on disjoint parts of it."""

from collections.abc import Callable

import torch
from torch import Tensor

from lemmata.errors import InvalidInput


def apart(size: int, n: int, n_test: int, seed: int, draw: Callable[[int, int], int]) -> tuple[Tensor, Tensor]:
    """Rows to train on (n,) and to test on (n_test,): consecutive seeds test on disjoint parts of one random order.

    When the parts are used up, those of another order follow. `draw` gives the random seed of an order, ``draw(k, 0)``
    of the k-th, and that of a seed's own samples, ``draw(seed, 1)``.

    >>> rows = [apart(10, 8, 2, seed, lambda s, k: 2 * s + k) for seed in range(5)]
    >>> sorted(torch.cat([test for _, test in rows]).tolist()), len(set(torch.cat(rows[3]).tolist()))
    ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 10)
    """
    if n + n_test > size:
        raise InvalidInput(f"n + n_test = {n} + {n_test}: there are {size} samples")
    parts = size // n_test
    order = torch.randperm(size, generator=torch.Generator().manual_seed(draw(seed // parts, 0)))
    first = (seed % parts) * n_test
    rest = torch.cat([order[:first], order[first + n_test :]])
    own = torch.randperm(len(rest), generator=torch.Generator().manual_seed(draw(seed, 1)))
    return rest[own[:n]], order[first : first + n_test]
