"""Random numbers of M members, each from a stream of its own, so that no member's depend on who else is trained.

A stream's seed is drawn from the member's seed and a purpose by `numpy.random.SeedSequence`: the order of the samples,
which comes from the seed itself, and the numbers of two purposes are then independent.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class Streams:
    """One generator a member, on the members' device.

    >>> both, second = Streams([3, 4], purpose=0), Streams([4], purpose=0)
    >>> torch.equal(both.normal(torch.empty(2, 20))[1], second.normal(torch.empty(1, 20))[0])
    True
    """

    def __init__(self, seeds: Sequence[int], *, purpose: int, device: torch.device | str = "cpu"):
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in derived(seeds, purpose)]

    def normal(self, out: Tensor) -> Tensor:
        """Fill (M, ...) with independent standard normal numbers, each member from its own stream."""
        for part, generator in zip(out.unbind(), self.generators, strict=True):
            part.normal_(generator=generator)
        return out

    def uniform(self, out: Tensor) -> Tensor:
        """Fill (M, ...) with independent numbers uniform on [-1, 1)."""
        for part, generator in zip(out.unbind(), self.generators, strict=True):
            part.uniform_(-1, 1, generator=generator)
        return out

    def select(self, index: Tensor) -> None:
        """Keep only the members `index`."""
        self.generators = [self.generators[i] for i in index.tolist()]


def derived(seeds: Sequence[int], purpose: int) -> list[int]:
    """Seeds for another purpose, each from its member's own.

    >>> derived([0, 1], 7) == [*derived([0], 7), *derived([1], 7)]
    True
    """
    states = [np.random.SeedSequence([int(seed) % 2**64, purpose]).generate_state(1, np.uint64) for seed in seeds]
    return [int(state[0] >> np.uint64(1)) for state in states]
