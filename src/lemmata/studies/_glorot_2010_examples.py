"""Training examples of the study of Glorot and Bengio (2010), by seed: Shapeset without end, digits and photographs.

Pixels are in [-1, 1] (Shapeset, CIFAR-10) or in [0, 1] (MNIST), as vectors.
"""

from functools import cache
from typing import Literal

import torch
from torch import Tensor

from lemmata import data
from lemmata.data import shapeset

Name = Literal["shapeset", "mnist-5k", "cifar10"]
TEST, OFFSET = 1000, 10**6  # test examples of each seed; seeds of theirs, which training never meets
TRAIN = {"mnist-5k": 4000, "cifar10": 40_000}


def source(name: str) -> str | None:
    """The dataset's name as `lemmata.data` knows it; None for what is generated."""
    return None if name == "shapeset" else name


class Examples:
    """Batches for training, and a test set that no batch has anything of; all determined by the seed.

    >>> some = Examples("shapeset", seed=0)
    >>> x, y = some.draw(5)
    >>> x.shape, some.x_test.shape, some.classes
    (torch.Size([5, 1024]), torch.Size([1000, 1024]), 9)
    """

    def __init__(self, name: str, seed: int, *, test: int = TEST):
        self.stream = shapeset.Stream(seed) if name == "shapeset" else None
        if self.stream is not None:
            x, self.y_test = shapeset.generate(test, seed=OFFSET + seed)
            self.x_test, self.classes = x.flatten(1), len(shapeset.CLASSES)
            return
        own = _loaded(name).flat().split(train=TRAIN[name], test=test, seed=seed)
        assert own.x_test is not None
        assert own.y_test is not None
        scale, shift = (2.0, -1.0) if name == "cifar10" else (1.0, 0.0)
        self.x, self.y, self.classes = own.x * scale + shift, own.y, own.classes
        self.x_test, self.y_test = own.x_test * scale + shift, own.y_test
        self.generator, self.order = torch.Generator().manual_seed(OFFSET + seed), torch.empty(0, dtype=torch.int64)

    @property
    def inputs(self) -> int:
        """The length of an example."""
        return self.x_test.shape[1]

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """The next n examples (n, inputs) and labels (n,): new ones, or the next of a permutation an epoch."""
        if self.stream is not None:
            x, y = self.stream.draw(n)
            return x.flatten(1), y
        while len(self.order) < n:
            self.order = torch.cat([self.order, torch.randperm(len(self.y), generator=self.generator)])
        rows, self.order = self.order[:n], self.order[n:]
        return self.x[rows], self.y[rows]


@cache
def _loaded(name: str) -> data.Dataset:
    return data.load(name)
