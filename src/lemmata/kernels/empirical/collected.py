"""What a layer takes in while samples go through the passes, laid out as the contraction wants it.

A layer of g groups with T positions, k inputs and c channels has patches (n, g, k, T) and signals (n, g, passes, c, T),
one entry along `passes` for each output. Memory that is as long as the block of samples is taken once and written in
place, since touching new memory costs as much as the products of small layers.
"""

import torch
from torch import Tensor

from lemmata.curvature.ghost_norm import Outer, Use
from lemmata.kernels.empirical.contractions import (
    Gradients,
    GramOnCotangents,
    Kept,
    PositionGrams,
    ProductOfGrams,
)
from lemmata.kernels.empirical.layers import APPLIED, PRODUCT, Layer, Size


class CollectedPairs:
    """Patches and signals of all samples, for the ways that take Grams."""

    def __init__(self, layer: Layer, size: Size, n: int, way: str):
        g, T, k, c = layer.geometry()
        like = layer.outer[0].layer_input
        self.way, self.received = way, 0
        self.a, self.d = like.new_empty(n, g, k, T), like.new_zeros(n, g, size.passes, c, T)

    def begin(self, layer: Layer, start: int) -> None:
        """Take the patches of samples from `start` on."""
        rows = slice(start, start + layer.weights[0].n)
        write_patches(self.a[rows], layer)
        self.signals, self.places = self.d[rows], _places(layer)

    def receive(self, use: Use, d: Tensor, j: int) -> None:
        """Take the signal of pass j."""
        assert isinstance(use, Outer)
        self.signals[:, :, j, :, self.places[use]] = use.outer_signal(d).unflatten(0, (use.n, -1))

    def end(self) -> None:
        """Nothing remains to be done."""

    def kept(self, R: int) -> Kept:
        """Patches and signals with the axes in the order of the contraction."""
        a, d = self.a, self.d
        if self.way == PRODUCT:
            return ProductOfGrams(a[..., 0].transpose(0, 1), d.transpose(0, 1).reshape(d.shape[1], len(d) * R, -1), R)
        last = a.permute(1, 0, 3, 2).contiguous()
        if self.way == APPLIED:
            first = d.permute(1, 0, 2, 4, 3).flatten(3)
            return GramOnCotangents(last, first, d.permute(1, 0, 4, 3, 2).flatten(3), R)
        return PositionGrams(last, d.flatten(2, 3).permute(1, 0, 3, 2).contiguous())


class CollectedGradients:
    """The gradients (n, g, passes c, k) of a weight, and (n, g passes c) of the bias beside it."""

    def __init__(self, layer: Layer, size: Size, n: int):
        g, self.T, k, c = layer.geometry()
        like = layer.outer[0].layer_input
        self.k, self.passes, self.c = k - (layer.shift is not None), size.passes, c
        self.G = like.new_empty(n, g, size.passes * c, self.k)
        self.shifts = like.new_empty(n, g, size.passes * c) if layer.shift is not None else None
        self.signals = like.new_empty(0)

    def begin(self, layer: Layer, start: int) -> None:
        """Make room for the signals of these samples; the patches wait until they are multiplied."""
        self.layer, self.rows = layer, slice(start, start + layer.weights[0].n)
        self.places = _places(layer)
        shape = (layer.weights[0].n, self.G.shape[1], self.passes, self.c, self.T)
        if self.signals.shape != shape:
            self.signals = self.G.new_zeros(shape)

    def receive(self, use: Use, d: Tensor, j: int) -> None:
        """Take the signal of pass j."""
        assert isinstance(use, Outer)
        self.signals[:, :, j, :, self.places[use]] = use.outer_signal(d).unflatten(0, (use.n, -1))

    def end(self) -> None:
        """Multiply signals by patches."""
        n, g = self.signals.shape[:2]
        only = self.layer.outer[0]
        if len(self.layer.outer) == 1 and only.factor == 1:
            patches = only.patches.unflatten(0, (n, g))
        else:
            patches = self.G.new_empty(n, g, self.k, self.T)
            write_patches(patches, self.layer, shift=False)
        out = self.G[self.rows].flatten(0, 1)
        torch.bmm(self.signals.flatten(2, 3).flatten(0, 1), patches.mT.flatten(0, 1), out=out)
        if self.shifts is not None and self.layer.shift is not None:
            torch.sum(self.signals.flatten(2, 3), 3, out=self.shifts[self.rows])
            self.shifts[self.rows] *= self.layer.shift

    def kept(self, R: int) -> Kept:
        """Matrices (n R, p)."""
        n, g = self.G.shape[:2]
        parts = [self.G] if self.shifts is None else [self.G, self.shifts]
        return Gradients([_rows(part.view(n, g, R, -1), n * R) for part in parts], R)


class CollectedSums:
    """The gradients (n, passes, p) of a parameter that is used otherwise than by outer products of one kind."""

    def __init__(self, layer: Layer, size: Size, n: int):
        self.shape, self.G = (n, size.passes, layer.weights[0].shape.numel()), None

    def begin(self, layer: Layer, start: int) -> None:
        """Look at the samples from `start` on."""
        self.start = start

    def receive(self, use: Use, d: Tensor, j: int) -> None:
        """Add the gradient of one use."""
        if self.G is None:
            self.G = d.new_zeros(self.shape)
        self.G[self.start : self.start + use.n, j] += use.gradients(d).flatten(1)

    def end(self) -> None:
        """Nothing remains to be done."""

    def kept(self, R: int) -> Kept:
        """One matrix (n R, p)."""
        n = self.shape[0]
        return Gradients([] if self.G is None else [self.G.view(n * R, -1)], R)


def write_patches(out: Tensor, layer: Layer, *, shift: bool = True) -> None:
    """The inputs at all positions of all uses, (n, g, k, T), times the factor of the use; the bias as a constant."""
    places = _places(layer)
    for use in layer.outer:
        patches = use.patches.unflatten(0, (use.n, -1))
        into = out[:, :, : use.K, places[use]]
        into.copy_(patches)
        if use.factor != 1:
            into.mul_(use.factor)
    if shift and layer.shift is not None:
        out[:, :, -1] = layer.shift


def _places(layer: Layer) -> dict[Use, slice]:
    """Where the positions of each use lie."""
    found, start = {}, 0
    for use in layer.outer:
        found[use] = slice(start, start + use.positions)
        start += use.positions
    return found


def _rows(G: Tensor, n: int) -> Tensor:
    """(n, g, R, p) as (n R, g p): a view of one group."""
    return G.transpose(1, 2).reshape(n, -1)
