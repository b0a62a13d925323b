"""Generators for repeats that are independent of each other's number and order. Cost: none."""

from collections.abc import Sequence

import torch
from torch import Generator

from lemmata.errors import InvalidInput
from lemmata.regression.stochastic.checks import check_counts

Seed = int | Sequence[int] | Generator


def generators(seed: Seed, repeats: int) -> list[Generator]:
    """Give a generator for each repeat: `repeats` drawn from one seed or generator, or one for each of several seeds.

    Raises `InvalidInput` where that is none.

    >>> len(generators(0, 3)), len(generators([5, 6], 0))
    (3, 2)
    """
    if isinstance(seed, int | Generator):
        check_counts(repeats=repeats)
        mother = seed if isinstance(seed, Generator) else torch.Generator().manual_seed(seed)
        seed = torch.randint(2**62, (repeats,), generator=mother, device=mother.device).tolist()
    if not len(seed):
        raise InvalidInput("no seeds are given; there must be one for each repeat, and at least one")
    return [torch.Generator().manual_seed(int(one)) for one in seed]
