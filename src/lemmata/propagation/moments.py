"""Mean, variance and 98th percentile of the entries of a layer, over units (channels, positions) and samples.

The first two moments of every sample are kept, in float64; over all samples

    mean = (1/n) sum_i m_i        variance = (1/n) sum_i s_i - mean^2        m_i, s_i mean and mean square of sample i

The percentile is the exact order statistic of |.| over all entries of all samples, for which the largest fiftieth part
of the entries is kept while batches go by: memory 2 % of the entries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from lemmata.short_repr import short_repr

SHARE = 0.98


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of one quantity at L layers: of each sample (n, L), and over all; `percentile` (L,) of |.|.

    >>> found = Moments(torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [10.0]]), torch.tensor([4.0]))
    >>> found.mean, found.variance, found.sample_variance
    (tensor([2.]), tensor([2.]), tensor([[1.],
            [1.]]))
    """

    sample_mean: Tensor
    sample_square: Tensor
    percentile: Tensor

    __repr__ = short_repr

    @property
    def mean(self) -> Tensor:
        """Over units and samples, (L,)."""
        return self.sample_mean.mean(0)

    @property
    def square(self) -> Tensor:
        """The mean square over units and samples, (L,)."""
        return self.sample_square.mean(0)

    @property
    def variance(self) -> Tensor:
        """Over units and samples, (L,)."""
        return (self.square - self.mean.square()).clamp(min=0)

    @property
    def std(self) -> Tensor:
        """The root of the variance, (L,)."""
        return self.variance.sqrt()

    @property
    def sample_variance(self) -> Tensor:
        """Over the units of each sample, (n, L)."""
        return (self.sample_square - self.sample_mean.square()).clamp(min=0)


class Tally:
    """Takes the entries of one layer batch by batch: `values` (samples, units)."""

    def __init__(self, samples: int):
        self.samples = samples
        self.means: list[Tensor] = []
        self.squares: list[Tensor] = []
        self.largest: Tensor | None = None

    def take(self, values: Tensor) -> None:
        """Count a batch in."""
        wide = values.detach().flatten(1).double()
        self.means.append(wide.mean(1).cpu())
        self.squares.append(wide.square().mean(1).cpu())
        sizes = values.detach().abs().flatten()
        total = self.samples * wide.shape[1]
        keep = total - math.ceil(SHARE * total) + 1  # the smallest of these is the order statistic
        pooled = sizes if self.largest is None else torch.cat([self.largest, sizes])
        self.largest = pooled.topk(min(keep, len(pooled)), sorted=False).values

    @classmethod
    def finished(cls, tallies: Sequence[Self]) -> Moments:
        """The moments of L layers."""
        return Moments(
            torch.stack([torch.cat(each.means) for each in tallies], 1),
            torch.stack([torch.cat(each.squares) for each in tallies], 1),
            torch.stack([each.percentile() for each in tallies]),
        )

    def percentile(self) -> Tensor:
        """The smallest number that at least 98 % of all |values| do not exceed."""
        return (
            torch.tensor(math.nan, dtype=torch.float64) if self.largest is None else self.largest.min().double().cpu()
        )
