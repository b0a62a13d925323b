"""A convolution as a sparse matrix T: (output channels x positions, input channels x positions), of one group.

    y[o, p] = sum_(c, i) w[o, c, i] x[c, pad(p stride + i dilation)]

Rows and columns are ordered position by position, the longest side of the image first and channels last, which makes
T^T T and T T^T banded: entries are coupled over the kernel's reach only. Padding by zeros, or by what the image has.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

MODES = {"zeros": "constant", "circular": "wrap", "reflect": "reflect", "replicate": "edge"}


@dataclass(frozen=True)
class Geometry:
    """Where a convolution reads: sizes a side of the image, each a tuple over its one to three sides."""

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    mode: str = "zeros"

    @property
    def output(self) -> tuple[int, ...]:
        """The sides of the output.

        >>> Geometry((8, 8), (3, 3), (2, 2), (1, 1), (1, 1)).output
        (4, 4)
        """
        sides = zip(self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sides)

    def sources(self, side: int) -> np.ndarray:
        """The place along one side that each padded place is read from; -1 for a zero."""
        places = np.arange(self.size[side])
        extra = {"constant_values": -1} if self.mode == "zeros" else {}
        return np.pad(places, self.padding[side], mode=MODES[self.mode], **extra)  # type: ignore[call-overload]

    @property
    def copies(self) -> int:
        """The most often that padding repeats an entry, the entry itself included."""
        most = 1
        for side in range(len(self.size)):
            sources = self.sources(side)
            most *= int(np.bincount(sources[sources >= 0]).max())
        return most


def sparse_matrix(weight: np.ndarray, geometry: Geometry) -> Any:
    """T as a scipy CSR matrix, from the weight (out, in, *kernel), float64."""
    from scipy import sparse

    outs, ins = weight.shape[:2]
    order = np.argsort([-n for n in geometry.size], kind="stable")  # the longest side is the outermost
    rows, columns, values = [], [], []
    out_place = _flat(np.indices(geometry.output).reshape(len(order), -1), geometry.output, order)
    for taps in product(*(range(k) for k in geometry.kernel)):
        read = [
            geometry.sources(side)[np.arange(n) * geometry.stride[side] + taps[side] * geometry.dilation[side]]
            for side, n in enumerate(geometry.output)
        ]
        grid = np.stack(np.meshgrid(*read, indexing="ij")).reshape(len(order), -1)
        there = (grid >= 0).all(0)
        into, of = out_place[there], _flat(grid[:, there], geometry.size, order)
        shape = (len(into), outs, ins)
        rows.append(np.broadcast_to(into[:, None, None] * outs + np.arange(outs)[:, None], shape).ravel())
        columns.append(np.broadcast_to(of[:, None, None] * ins + np.arange(ins), shape).ravel())
        values.append(np.broadcast_to(weight[(slice(None), slice(None), *taps)], shape).ravel())
    shape = (outs * int(np.prod(geometry.output)), ins * int(np.prod(geometry.size)))
    stacked = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.coo_matrix(stacked, shape=shape).tocsr()


def _flat(places: np.ndarray, sizes: tuple[int, ...], order: np.ndarray) -> np.ndarray:
    return np.ravel_multi_index(tuple(places[side] for side in order), tuple(sizes[side] for side in order))


def half_bandwidth(matrix: Any) -> int:
    """The largest distance of an entry from the diagonal."""
    entries = matrix.tocoo()
    return int(np.abs(entries.row.astype(np.int64) - entries.col).max(initial=0))
