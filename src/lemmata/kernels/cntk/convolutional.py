"""The law of a convolutional net of infinite width, as Arora et al. (2019) define it: what `cntk` and `cnn_gp` take.

With x^(0) the image (C channels), q x q filters W ~ N(0, 1), zero padding that keeps the size (SAME), no biases, and
phi the ReLU with c = 2 = 1 / E[phi(g)^2], g ~ N(0, 1):

    y^(1)   = sum_channels W^(1) * x^(0)                                       not scaled
    x^(h)   = sqrt(c / (width q^2)) phi(y^(h)),   y^(h+1) = sum_channels W^(h+1) * x^(h),    h = 1 .. L = depth - 1
    f(x)    = sum_channels <W^(depth), readout(x^(L))>

    readout          f sees                                        kernel of f, from K(i, i') at positions i, i' (PQ)
    vanilla          every position, a weight each                 sum_i K(i, i)
    average          the mean over the image (GAP)                 (PQ)^-2 sum_i sum_i' K(i, i')
    local-average    the mean over the w x w window around every   w^-4 sum_i sum_{m, m' in the window of i} K(m, m')
                     position, zero outside, a weight each

These are the numbers of Arora et al., section 4 and appendix B: K includes the factor 1 / q^2 of the last ReLU, the
vanilla kernel is a sum and not a mean, and first and last layer are fixed as in their section 4.2 unless
`train_first`, `train_last` say otherwise. A library that scales every layer by its fan-in, without c and with means
for sums, gives the same up to the factors C 2^L, and PQ for the readouts that sum.

Sources: Arora, Du, Hu, Li, Salakhutdinov, Wang (2019), arXiv:1904.11955; Li, Wang, Yu, Du, Hu, Salakhutdinov, Arora
(2019), arXiv:1911.00809 (local average pooling).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName

READOUTS = ("vanilla", "average", "local-average")


@dataclass(frozen=True)
class Convolutional:
    """A ReLU net of `depth` weight layers: depth - 1 convolutions and the readout, as Table 1 of Arora et al. counts.

    `filter` is the odd side q of the filters, `window` the odd side w of the readout ``"local-average"``.
    `train_first` and `train_last` say whether the first convolution and the last layer are trained; they are fixed by
    default. They matter to the CNTK only: the CNN-GP is the prior of the net and knows no training.

    >>> network = Convolutional(depth=21, readout="average")
    >>> network.convolutions, network.share((32, 32))
    (20, 1.0)
    >>> Convolutional(depth=21, readout="local-average", window=9).share((32, 32))
    0.21...
    """

    depth: int
    readout: Literal["vanilla", "average", "local-average"] = "vanilla"
    window: int | None = None
    filter: int = 3
    train_first: bool = False
    train_last: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.depth, int) or self.depth < 2:
            raise InvalidInput(f"depth = {self.depth}; give a whole number from 2: convolutions and the last layer")
        if self.readout not in READOUTS:
            raise UnknownName("readout", self.readout, READOUTS)
        if not _odd(self.filter):
            raise InvalidInput(f"filter = {self.filter}; the side of a filter is an odd positive number")
        if self.readout == "local-average" and not _odd(self.window):
            raise InvalidInput(f"window = {self.window}; readout 'local-average' takes an odd positive window")
        if self.readout != "local-average" and self.window is not None:
            raise InvalidInput(f"window = {self.window} with readout {self.readout!r}; only 'local-average' takes one")
        for name in ("train_first", "train_last"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInput(f"{name} = {getattr(self, name)!r}; give True or False")

    @property
    def convolutions(self) -> int:
        """The number L of convolutions, each followed by a ReLU."""
        return self.depth - 1

    def weights(self, size: int) -> Tensor:
        """The readout along an axis of `size` positions, float64 (size, size); the readout is the product of two axes.

        >>> Convolutional(3, "local-average", window=3).weights(3) * 9
        tensor([[2., 2., 1.],
                [2., 3., 2.],
                [1., 2., 2.]], dtype=torch.float64)
        """
        return self.counts(size) * self.unit(size)

    def counts(self, size: int) -> Tensor:
        """The weights of `weights` in units of `unit`: whole numbers, which no rounding touches."""
        if self.readout == "vanilla":
            return torch.eye(size, dtype=torch.float64)
        if self.readout == "average":
            return torch.ones(size, size, dtype=torch.float64)
        window = self.window or 1
        if window > size:
            raise InvalidInput(f"window = {window} does not fit images of {size} positions a side; take a smaller one")
        place = torch.arange(size)
        seen = ((place[:, None] - place).abs() <= window // 2).double()
        return seen @ seen

    def unit(self, size: int) -> float:
        """What one of `counts` weighs."""
        return {"vanilla": 1.0, "average": size**-2, "local-average": (self.window or 1) ** -2}[self.readout]

    def displacements(self, shape: tuple[int, int]) -> list[tuple[int, int]]:
        """All displacements i' - i that the readout looks at, of images of `shape` (P, Q)."""
        rows, columns = (
            [a for a in range(1 - size, size) if bool(self.weights(size).diagonal(a).any())] for size in shape
        )
        return [(a, b) for a in rows for b in columns]

    def elements(self, shape: tuple[int, int]) -> int:
        """The number of pairs of positions (i, i') that a pair of images of `shape` (P, Q) costs, in each layer."""
        return sum((shape[0] - abs(a)) * (shape[1] - abs(b)) for a, b in self.displacements(shape))

    def share(self, shape: tuple[int, int]) -> float:
        """The share of all (PQ)^2 pairs of positions that is computed: 1 of ``"average"``, 1 / PQ of ``"vanilla"``."""
        return self.elements(shape) / (shape[0] * shape[1]) ** 2


def _odd(side: int | None) -> bool:
    return isinstance(side, int) and side > 0 and side % 2 == 1
