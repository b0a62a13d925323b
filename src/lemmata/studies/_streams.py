"""Random numbers by purpose: a seed draws its data, its weights and its orders from independent streams."""

import numpy as np
import torch


class Streams:
    """Streams by name, each known by its place, so that new names go last; `first` is added to every seed.

    >>> streams = Streams("split", "weights")
    >>> streams.seed(0, "weights") == streams.generator(0, "weights").initial_seed() != streams.seed(0, "split")
    True
    """

    def __init__(self, *purposes: str, first: int = 0):
        self.purposes, self.first = purposes, first

    def seed(self, seed: int, purpose: str, *which: int) -> int:
        """A seed for one purpose, and for one of several things it is for, independent of all others.

        Zeros at the end of `which` leave no trace: the first of several has the seed that the purpose has alone.
        """
        place = self.purposes.index(purpose)
        return int(np.random.SeedSequence([self.first + seed, place, *which]).generate_state(1)[0])

    def generator(self, seed: int, purpose: str, *which: int) -> torch.Generator:
        """The random numbers that a seed draws for one purpose."""
        return torch.Generator().manual_seed(self.seed(seed, purpose, *which))
