"""What each layer keeps of a block of samples, and how two blocks give the layer's share of the kernel.

Every class holds one side (n samples) and adds the share of samples of it with samples of another side to the kernel
of these (rows R, columns R). See `lemmata.kernels.empirical.layers` for formulas and flops.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

GRAM_ENTRIES = 2**20  # products of positions that are held at a time


Share = Callable[[Tensor, slice, slice, Tensor], None]


class Kept(ABC):
    """One layer's part of one side."""

    R: int

    @abstractmethod
    def share(self, other: "Kept", rows: slice, columns: slice) -> Share:
        """Prepare these samples with those; the answer adds the share of some of them to their entries.

        It takes the entries (rows R, columns R), their samples, and scratch with room for as many numbers.
        """

    def rows_of(self, samples: slice) -> slice:
        """The rows of the kernel that belong to samples."""
        return slice(samples.start * self.R, samples.stop * self.R)


class Gradients(Kept):
    """Per-sample gradients, or rows of the Jacobian: matrices (n R, p)."""

    def __init__(self, parts: Sequence[Tensor], R: int):
        self.parts, self.R = parts, R

    def share(self, other: Kept, rows: slice, columns: slice) -> Share:
        """G_n G_m^T."""
        assert isinstance(other, Gradients)

        def add(out: Tensor, rows: slice, columns: slice, scratch: Tensor) -> None:
            for G, H in zip(self.parts, other.parts, strict=True):
                out.addmm_(G[self.rows_of(rows)], H[self.rows_of(columns)].T)

        return add


class ProductOfGrams(Kept):
    """Inputs a (g, n, k) and cotangents d (g, n R, c) of a layer with one position."""

    def __init__(self, a: Tensor, d: Tensor, R: int):
        self.a, self.d, self.R = a, d, R

    def share(self, other: Kept, rows: slice, columns: slice) -> Share:
        """(a_n . a_m) d_n d_m^T."""
        assert isinstance(other, ProductOfGrams)
        panel = self._inputs(other, 0, rows, columns) if len(self.a) == 1 else None  # of many groups it may be large
        top, left = rows.start, columns.start * self.R

        def add(out: Tensor, rows: slice, columns: slice, scratch: Tensor) -> None:
            across = self.rows_of(columns)
            signals = scratch[: out.numel()].view(out.shape)
            for h, (d, e) in enumerate(zip(self.d, other.d, strict=True)):
                torch.mm(d[self.rows_of(rows)], e[across].T, out=signals)
                if panel is None:
                    inputs = self._inputs(other, h, rows, columns)
                else:
                    inputs = panel[rows.start - top : rows.stop - top, across.start - left : across.stop - left]
                out.unflatten(0, (-1, self.R)).addcmul_(signals.unflatten(0, (-1, self.R)), inputs[:, None])

        return add

    def _inputs(self, other: "ProductOfGrams", group: int, rows: slice, columns: slice) -> Tensor:
        """The products a_n . a_m, each R times in a row, for the sake of long loops: (rows, columns R)."""
        return (self.a[group, rows] @ other.a[group, columns].T).repeat_interleave(self.R, 1)


class PositionGrams(Kept):
    """Inputs a (g, n, T, k) and cotangents d (g, n, T, c) of one row a sample."""

    R = 1

    def __init__(self, a: Tensor, d: Tensor):
        self.a, self.d = a, d

    def share(self, other: Kept, rows: slice, columns: slice) -> Share:
        """sum_{t,t'} (a_nt . a_mt') (d_nt . d_mt')."""
        assert isinstance(other, PositionGrams)
        return partial(self._add, other)

    def _add(self, other: "PositionGrams", out: Tensor, rows: slice, columns: slice, _: Tensor) -> None:
        T, S = self.a.shape[2], other.a.shape[2]
        step = max(1, int((GRAM_ENTRIES / (T * S)) ** 0.5))
        for i in range(rows.start, rows.stop, step):
            I = slice(i, min(i + step, rows.stop))  # noqa: E741
            for j in range(columns.start, columns.stop, step):
                J = slice(j, min(j + step, columns.stop))
                part = out[i - rows.start : I.stop - rows.start, j - columns.start : J.stop - columns.start]
                for a, b, d, e in zip(self.a, other.a, self.d, other.d, strict=True):
                    grams = (a[I].flatten(0, 1) @ b[J].flatten(0, 1).T).mul_(d[I].flatten(0, 1) @ e[J].flatten(0, 1).T)
                    part += grams.view(I.stop - i, T, J.stop - j, S).sum((1, 3))


class GramOnCotangents(Kept):
    """Inputs a (g, n, T, k) and cotangents, as d (g, n, R, T c) and with the rows last, (g, n, T, c R)."""

    def __init__(self, a: Tensor, d: Tensor, last: Tensor, R: int):
        self.a, self.d, self.last, self.R = a, d, last, R

    def share(self, other: Kept, rows: slice, columns: slice) -> Share:
        """d_n (A_nm d_m), with A_nm the products of positions (T, T')."""
        assert isinstance(other, GramOnCotangents)
        return partial(self._add, other)

    def _add(self, other: "GramOnCotangents", out: Tensor, rows: slice, columns: slice, _: Tensor) -> None:
        n, R = rows.stop - rows.start, self.R
        pairs = out.unflatten(0, (n, R)).unflatten(2, (-1, R))
        for a, b, d, e in zip(self.a, other.a, self.d, other.last, strict=True):
            inputs = a[rows].flatten(0, 1)
            for m in range(columns.start, columns.stop):
                applied = (inputs @ b[m].T) @ e[m]  # (n T, c R)
                pairs[:, :, m - columns.start] += torch.bmm(d[rows], applied.view(n, -1, R))
