"""The order in which each member meets its samples: a permutation an epoch, drawn from the member's own seed.

Batches of several steps are gathered by one indexed copy, bounded in bytes, so that a step costs no indexing.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lemmata.training.probes import Samples

GATHER = 2**20  # bytes of samples gathered at a time: they stay in a core's cache


class Batches:
    """Draws the batches of an epoch for the live members.

    A member's order depends on its seed and on how many epochs it has trained, not on the other members.

    >>> samples = Samples(torch.arange(6.0)[:, None], torch.zeros(6), 2, name="train")
    >>> batches = Batches(samples, batch_size=4, seeds=[0, 1])
    >>> [tuple(x.shape) for x, y in batches.epoch(torch.arange(2))]
    [(2, 4, 1), (2, 2, 1)]
    """

    def __init__(self, samples: Samples, batch_size: int | None, seeds: Sequence[int]):
        self.samples = samples
        self.batch_size = None if batch_size is None else min(batch_size, samples.n)
        self.whole: tuple[tuple[int, int], tuple[Tensor, Tensor]] | None = None
        self.room: dict[tuple[str, int], Tensor] = {}  # where batches are gathered, allocated once for each size
        self.generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]

    @property
    def shared(self) -> bool:
        """Whether the batches' x has no member axis: full batches of shared samples."""
        return self.batch_size is None and self.samples.x_shared

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch; the last batch may be smaller."""
        return 1 if self.batch_size is None else -(-self.samples.n // self.batch_size)

    def epoch(self, live: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (x, y) of each step, x (m, b, ...) and y (m, b, ...), for the m live members (indices)."""
        if self.batch_size is None:
            yield self._whole_set(live)
            return
        n, b, m = self.samples.n, self.batch_size, len(live)
        order = torch.stack([torch.randperm(n, generator=self.generators[i]) for i in live.tolist()]).to(live.device)
        offset = (live * n)[:, None]
        sample = self.samples.x[0] if self.samples.x_shared else self.samples.x[0, 0]
        at_once = max(1, GATHER // (m * b * sample.numel() * sample.element_size())) * b
        whole = n - n % b
        for start in [*range(0, whole, at_once), *([whole] if n % b else [])]:
            stop = min(start + at_once, whole) if start < whole else n
            size = b if start < whole else n - whole
            index = order[:, start:stop].reshape(m, -1, size).transpose(0, 1)  # (steps, m, size)
            x = self._gather("x", self.samples.x, index, None if self.samples.x_shared else offset)
            y = self._gather("y", self.samples.y, index, None if self.samples.y_shared else offset)
            yield from zip(x.unbind(), y.unbind(), strict=True)

    def _whole_set(self, live: Tensor) -> tuple[Tensor, Tensor]:
        """All samples of the live members, copied only when a member has left."""
        if self.whole is None or self.whole[0] != (len(live), self.samples.version):
            self.whole = ((len(live), self.samples.version), self.samples.slice(live, 0, self.samples.n))
        return self.whole[1]

    def _gather(self, name: str, data: Tensor, index: Tensor, offset: Tensor | None) -> Tensor:
        """Rows of shared data (n, ...) or, with the members' offsets, of data (M, n, ...): (*index.shape, ...)."""
        if offset is not None:
            data, index = data.flatten(0, 1), index + offset
        rows = index.numel()
        if (name, rows) not in self.room:
            self.room[name, rows] = data.new_empty(rows, *data.shape[1:])
        out = torch.index_select(data, 0, index.reshape(-1), out=self.room[name, rows])
        return out.view(*index.shape, *data.shape[1:])
