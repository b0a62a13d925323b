"""The CNTK and the CNN-GP in plain torch: any device, dtype, filter, readout; what the fast kernels are tested against.

A zero-padded convolution couples the positions (i, i') of two images with (i + n, i' + n), so that the displacement
d = i' - i never changes: the covariance over all pairs of positions falls into independent images, one for each d, on
the rectangle where i and i + d both lie inside. With norms U_l, V_l and A_l, B_l (`norms`), one layer is

    difference    E' = box(E) + A B / 2 sum_n (U(i+n) / A - V(i'+n) / B)^2,    E = U V - covariance = U V D
                  D' = E' / (A B),   D = rectify(D'),   E = A B D / q^2
    plain         S' = box(S),   c = S' / (A B),   S = A B kappa_1(c) / q^2
    both          T = (box(T) + A B (1 - D')) kappa_0 / q^2      (the term A B (1 - D') of layer 1: if it is trained)

The first adds positive numbers only, so that D keeps its relative accuracy however near two patches are; the second
has 1 - D, which float32 knows to 6e-8. Cost in each layer and pair of positions: about 30 q^2 flops for the first, in
q^2 passes over memory. It fails nowhere, and is slow.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lemmata.kernels.cntk.convolutional import Convolutional
from lemmata.kernels.cntk.norms import activation_norms, box
from lemmata.kernels.cntk.rectifier import rectify


def reference(
    x: Tensor, z: Tensor | None, network: Convolutional, *, tangent: bool, plain: bool, memory: int
) -> Tensor:
    """The kernel (n, m) in float64, computed in the dtype of the images and on their device."""
    other = x if z is None else z
    out = torch.empty(len(x), len(other), dtype=torch.float64, device=x.device)
    side = _side(x.shape[2] * x.shape[3] * x.element_size(), x.shape[1], network.filter, memory)
    for start in range(0, len(x), side):
        rows = slice(start, start + side)
        for begin in range(start if z is None else 0, len(other), side):
            columns = slice(begin, begin + side)
            block = _block(x[rows], other[columns], network, tangent, plain)
            out[rows, columns] = block
            if z is None:
                out[columns, rows] = block.mT
    return out


def _side(bytes_of_a_field: int, channels: int, filter: int, memory: int) -> int:
    """How many images a side fit into `memory` bytes: about 16 fields a pair, and two products over the channels."""
    return max(1, int((memory / (bytes_of_a_field * (16 + 2 * channels + filter))) ** 0.5))


def _block(x: Tensor, z: Tensor, network: Convolutional, tangent: bool, plain: bool) -> Tensor:
    shape = (x.shape[2], x.shape[3])
    rows, columns = (network.weights(size).to(x.device) for size in shape)
    norms = [activation_norms(images, network.convolutions, network.filter) for images in (x, z)]
    recursion = _plain if plain else _difference
    total = torch.zeros(len(x), len(z), dtype=torch.float64, device=x.device)
    for a, b in network.displacements(shape):
        here, there = _rectangle(a, b, shape)
        weights = rows[here[0], there[0]].diagonal()[:, None] * columns[here[1], there[1]].diagonal()
        last = recursion(_Pair((x, z), norms, (here, there), network.filter), network, tangent)
        total += (last.double() * weights).sum((-1, -2))
    return total


def _rectangle(a: int, b: int, shape: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where i and i' = i + (a, b) lie: the same rectangle of the first and of the second image."""
    first = tuple(slice(max(0, -d), size - max(0, d)) for d, size in zip((a, b), shape, strict=True))
    second = tuple(slice(max(0, d), size - max(0, -d)) for d, size in zip((a, b), shape, strict=True))
    return (first[0], first[1]), (second[0], second[1])


class _Pair:
    """All pairs of two sets of images at one displacement, with the norms that a layer needs of either."""

    def __init__(self, images: tuple[Tensor, Tensor], norms: list[Tensor], places: tuple, filter: int) -> None:
        self.images = tuple(part[..., *at] for part, at in zip(images, places, strict=True))
        self.norms, self.places, self.filter, self.dtype = norms, places, filter, images[0].dtype

    def product(self, layer: int) -> Tensor:
        """U_l V_l, (n, m, h, w)."""
        u, v = (norm[:, layer, *at].to(self.dtype) for norm, at in zip(self.norms, self.places, strict=True))
        return u[:, None] * v[None]

    def first(self) -> Tensor:
        """U_0 V_0 D_0 of the pixels: half the square of the difference of their unit vectors."""
        units = [_divided(part.double(), part.double().norm(dim=1, keepdim=True)) for part in self.images]
        return _half_square(*(unit.to(self.dtype) for unit in units)) * self.product(0)

    def profiles(self, layer: int) -> Tensor:
        """1 / 2 sum_n (U_{l-1}(i+n) / A_l - V_{l-1}(i'+n) / B_l)^2, (n, m, h, w)."""
        q, reach = self.filter, self.filter // 2
        parts = []
        for norm, at in zip(self.norms, self.places, strict=True):
            padded = torch.nn.functional.pad(norm[:, layer - 1], (reach, reach, reach, reach))
            patches = padded.unfold(1, q, 1).unfold(2, q, 1).flatten(-2).movedim(-1, 1)
            unit = _divided(patches, q * norm[:, layer, None])
            parts.append(unit[..., *at].to(self.dtype))
        return _half_square(*parts)


def _divided(t: Tensor, by: Tensor) -> Tensor:
    return torch.where(by > 0, t / by, 0.0)


def _half_square(a: Tensor, b: Tensor) -> Tensor:
    """|a_i - b_j|^2 / 2 over the second axis of a (n, k, h, w) and b (m, k, h, w), added in turn: (n, m, h, w)."""
    total = 0.5 * (a[:, None, 0] - b[None, :, 0]).square()
    for k in range(1, a.shape[1]):
        difference = a[:, None, k] - b[None, :, k]
        total.addcmul_(difference, difference, value=0.5)
    return total


def _layers(network: Convolutional) -> Iterator[tuple[int, bool]]:
    """The number of each convolution, and whether its own weights are trained."""
    for layer in range(1, network.convolutions + 1):
        yield layer, layer > 1 or network.train_first


def _difference(pair: _Pair, network: Convolutional, tangent: bool) -> Tensor:
    area = network.filter**2
    e = pair.first()
    t = torch.zeros_like(e)
    product = e
    for layer, trained in _layers(network):
        product = pair.product(layer)  # A B / q^2
        distance = _divided(box(e, network.filter), area * product) + pair.profiles(layer)
        gate, behind = rectify(distance)
        t = (box(t, network.filter) / area + (product * (1 - distance) if trained else 0)) * gate
        e = product * behind
    return t + (product - e) * network.train_last if tangent else product - e


def _plain(pair: _Pair, network: Convolutional, tangent: bool) -> Tensor:
    area = network.filter**2
    x, z = pair.images
    s = (x[:, None] * z[None]).sum(2)
    t = torch.zeros_like(s)
    for layer, trained in _layers(network):
        before, product = box(s, network.filter) / area, pair.product(layer)
        distance = 1 - _divided(before, product)
        gate, behind = rectify(distance)
        t = (box(t, network.filter) / area + (before if trained else 0)) * gate
        s = product * (1 - behind)
    return t + s * network.train_last if tangent else s
