"""Splits of one small data set such that five seeds test on disjoint fifths of it."""

from collections.abc import Sequence

import torch
from torch import Tensor

FIFTHS = 5


def disjoint_fifths(x: Tensor, y: Tensor, seeds: Sequence[int]) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """For each seed its samples to train on, x (M, 4n/5, ...) in random order, and those held out, x (M, n/5, ...).

    Seeds 0 to 4 hold out the five parts of one random order, seeds 5 to 9 those of another, and so on. The first axis
    is left out for a single seed.

    >>> rest, held = disjoint_fifths(torch.arange(10.0)[:, None], torch.arange(10), [0, 1, 2, 3, 4])
    >>> sorted(held[1].flatten().tolist()), rest[0].shape
    ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], torch.Size([5, 8, 1]))
    """
    size, rest, held = len(x) // FIFTHS, [], []
    for seed in seeds:
        draw = torch.Generator().manual_seed(1000 + seed // FIFTHS)
        parts = torch.randperm(len(x), generator=draw)[: FIFTHS * size].view(FIFTHS, size)
        held.append(parts[seed % FIFTHS])
        rest.append(torch.cat([part for k, part in enumerate(parts) if k != seed % FIFTHS]))
    kept, tested = torch.stack(rest).squeeze(0), torch.stack(held).squeeze(0)
    return (x[kept], y[kept]), (x[tested], y[tested])
