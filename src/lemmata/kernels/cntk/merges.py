"""What the norms of one image contribute to 1 - cos of a pair: half angles of 2-vectors, from which no digit is lost.

A 3 x 3 box sum takes E = U V - covariance from layer to layer, up to A B - sum_n U_n V_n, which is to be found without
taking a difference of nearly equal numbers. Sums of three are built from sums of two, rows first, then columns. Where
numbers u_1, u_2 of one image merge into a = sqrt(u_1^2 + u_2^2), and v_1, v_2 of the other into b,

    a b - u_1 v_1 - u_2 v_2 = 2 a b sin^2((f - g) / 2) = (alpha_x beta_z - beta_x alpha_z)^2,
    alpha, beta = sqrt(sqrt(2) a) sin(f / 2), sqrt(sqrt(2) a) cos(f / 2),    u = a (cos f, sin f)

The square is of a difference that is exact to the rounding of its terms, so that E is right to 1e-14 of U V in float32.
Two neighbouring sums of three share the sum of the two in their middle: three merges for two positions, in either axis.
Numbers outside the image are 0, and a pair of zeros merges into alpha = beta = 0.

All is taken in float64, for it costs one image and not a pair, and rounded to float32 at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.kernels.cntk.norms import activation_norms

VERTICAL, HORIZONTAL, NORMS = 6, 6, 2  # numbers a position and layer


@dataclass(frozen=True, eq=False)
class Merges:
    """Of n images, layers 1 .. L, float32 and contiguous; with lanes, the images are the last axis of each.

    `vertical` (n, L, P, Q, 6): alpha, beta of the merges that start at rows (i, i+1): the two; row i-1 with them; them
    with row i+2. `horizontal`: the same along the columns, of the norms of columns of three. `norms` (n, L, P, Q, 2):
    1 / A (0 where A is) and A. `pixels` (n, C, P, Q): unit vectors over the channels; `sizes` (n, P, Q): their norms.
    `scale` (n,): what the images were divided by, float64.
    """

    vertical: np.ndarray
    horizontal: np.ndarray
    norms: np.ndarray
    pixels: np.ndarray
    sizes: np.ndarray
    scale: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What compiled code reads, in its order."""
        return self.sizes, self.pixels, self.vertical, self.horizontal, self.norms

    def scale_of_lanes(self, lanes: int) -> np.ndarray:
        """`scale`, filled up with ones."""
        return np.concatenate([self.scale, np.ones(lanes - len(self.scale))])


def bytes_of_an_image(layers: int, channels: int, positions: int) -> int:
    """What `merges` holds for an image."""
    return 4 * positions * ((VERTICAL + HORIZONTAL + NORMS) * layers + channels + 1)


def merges(x: Tensor, layers: int, *, lanes: int = 0) -> Merges:
    """All of images x (n, C, P, Q), n at most `lanes`, which are filled up with black images; 0 lanes for none."""
    scale = x.double().abs().amax((1, 2, 3))
    scale = torch.where(scale > 0, scale, 1.0)
    images = x.double() / scale[:, None, None, None]
    if lanes:
        images = torch.cat([images, images.new_zeros(lanes - len(images), *images.shape[1:])])
    (n, channels, p, q), allot = images.shape, _with_lanes if lanes else _aligned
    vertical, horizontal = allot(n, layers, p, q, VERTICAL), allot(n, layers, p, q, HORIZONTAL)
    norms, pixels, sizes = allot(n, layers, p, q, NORMS), allot(n, channels, p, q), allot(n, p, q)
    all_norms = activation_norms(images, layers, 3)
    first = all_norms[:, 0]
    sizes[0][...] = first.numpy()
    pixels[0][...] = torch.where(first > 0, images.movedim(1, 0) / first, 0.0).movedim(0, 1).numpy()
    for layer in range(layers):
        columns, fields = _along_rows(all_norms[:, layer])
        vertical[0][:, layer] = fields.numpy()
        whole, fields = _along_rows(columns.mT)
        horizontal[0][:, layer] = fields.transpose(1, 2).numpy()
        whole = whole.mT
        norms[0][:, layer, ..., 0] = torch.where(whole > 0, 1 / whole, 0.0).numpy()
        norms[0][:, layer, ..., 1] = whole.numpy()
    return Merges(vertical[1], horizontal[1], norms[1], pixels[1], sizes[1], scale.numpy())


def _along_rows(u: Tensor) -> tuple[Tensor, Tensor]:
    """Norms (n, P, Q) of rows of three, and the six numbers of the merges that begin at each row (n, P, Q, 6)."""
    padded = torch.nn.functional.pad(u, (0, 0, 1, 2))
    above, here, below, beyond = (padded[:, k : k + u.shape[1]] for k in range(4))
    two, *middle = _merge(here, below)
    three, *upper = _merge(above, two)
    _, *lower = _merge(two, beyond)
    return three, torch.stack([*middle, *upper, *lower], -1)


def _merge(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    a = torch.hypot(u, v)
    inverse = torch.where(a > 0, 1 / a, 0.0)
    cosine = ((1 + u * inverse) / 2).sqrt()
    size = (2**0.5 * a).sqrt()
    return a, size * v * inverse / (2 * cosine), size * cosine


def _aligned(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    array = aligned(shape)
    return array, array


def _with_lanes(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    """An array with its first axis last, and the view of it that has it first."""
    array = aligned((*shape[1:], shape[0]))
    return np.moveaxis(array, -1, 0), array


def aligned(shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    """An array of zeros that begins at a cache line: vectors of 64 bytes then never lie across two."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)
