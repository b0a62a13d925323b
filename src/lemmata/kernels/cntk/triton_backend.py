"""CNTK and CNN-GP on a GPU: what `triton_kernel` computes, laid out, launched in parts and added up.

All norms are taken in float64 (`norms`), the pairs in float32, and the sums over displacements in float64, in one
order: the result is the same at every run. Work: `Convolutional.elements` rounded up to whole circular displacements
(none is lost with the readout ``"average"``; ``"local-average"`` computes a displacement and its complement). Memory
beside the result: 8 bytes a pair and task, in parts under `memory`, and the norms of all layers, 3 L + 5 numbers a
pixel. It fails for filters other than 3 x 3, images of more than 64 columns or 64 rows (above 32 the rows of a lane are
more than its registers, and spill), and float64. The first call of a size compiles for some ten seconds.
"""

from __future__ import annotations

# pyright: reportArgumentType=false
import os
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from lemmata.errors import InvalidInput
from lemmata.kernels.cntk.convolutional import Convolutional
from lemmata.kernels.cntk.norms import activation_norms

WARP = 32
LARGEST = 64
REGISTERS = 128  # a thread: 16 warps on a multiprocessor, and the loop over the layers spills nothing (32 x 32)
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # as triton itself reads it, when it is imported
SIDE = 512  # images a side whose norms are laid out at a time


def triton_kernel(
    x: Tensor, z: Tensor | None, network: Convolutional, *, tangent: bool, plain: bool, memory: int
) -> Tensor:
    """The kernel of images x (n, C, P, Q) and z (m, C, P, Q) or x: float64 (n, m) on their device.

    Raises `InvalidInput` for what the kernel does not take, and where there is neither triton nor a GPU.
    """
    refuse(x, network)
    z_ = x if z is None else z
    out = torch.empty(len(x), len(z_), dtype=torch.float64, device=x.device)
    for start in range(0, len(x), SIDE):
        rows = slice(start, min(start + SIDE, len(x)))
        left = Side.of(x[rows], network, doubled=False)
        for begin in range(0, rows.stop if z is None else len(z_), SIDE):
            columns = slice(begin, begin + SIDE)
            right = Side.of(z_[columns], network, doubled=True)
            half = z is None and begin == start
            block = _block(left, right, network, tangent=tangent, plain=plain, half=half, memory=memory)
            out[rows, columns] = block
            if z is None and not half:
                out[columns, rows] = block.mT
    return out


def refuse(x: Tensor, network: Convolutional) -> None:
    """Raise `InvalidInput` for what the kernel does not take."""
    try:
        import triton  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InvalidInput(
            "backend='triton' needs triton (pip install 'lemmata[gpu]', Linux); backend='auto' needs none"
        ) from None
    if x.device.type != "cuda" and not INTERPRETED:
        raise InvalidInput(
            f"backend='triton' runs on a CUDA device, and the images are on {x.device}: move them there, or take "
            "backend='auto'. (TRITON_INTERPRET=1, set before Python starts, runs it on the processor, very slowly)"
        )
    if network.filter != 3:
        raise InvalidInput(f"backend='triton' takes filters of 3 x 3, and this net has {network.filter}; use 'torch'")
    if x.dtype != torch.float32:
        raise InvalidInput(f"backend='triton' computes in float32, and the images are {x.dtype}; use backend='torch'")
    if max(x.shape[2:]) > LARGEST:
        raise InvalidInput(
            f"backend='triton' takes images of at most {LARGEST} x {LARGEST}, and these are {x.shape[2]} x "
            f"{x.shape[3]}; pool them, or use backend='torch'"
        )


@dataclass(frozen=True)
class Side:
    """One side's images as the kernel reads them: padded by a row and a column of zeros at either end.

    `units` (n, C, rows, columns): pixels divided by their norm over the channels (by nothing, in the plain recursion,
    whose first norm is left out); `norms` and `inverse` (n, L + 1, rows, columns): U_0 .. U_L and 1 / U, 0 where U is
    0. The rows of a doubled side are the image's twice, padded by its last and its first row.
    """

    units: Tensor
    norms: Tensor
    inverse: Tensor
    images: int
    shape: tuple[int, int]

    @staticmethod
    def of(images: Tensor, network: Convolutional, *, doubled: bool) -> Side:
        """Lay out images (n, C, P, Q)."""
        norms = activation_norms(images, network.convolutions, network.filter)
        length = norms[:, :1]
        units = torch.where(length > 0, images.double() / length, 0.0)
        inverse = torch.where(norms > 0, 1 / norms, 0.0)
        parts = [_padded(part, doubled).to(torch.float32).contiguous() for part in (units, norms, inverse)]
        return Side(*parts, images=len(images), shape=(images.shape[2], images.shape[3]))


def _padded(t: Tensor, doubled: bool) -> Tensor:
    sides = (1, 1 + lanes(t.shape[-1])[0] - t.shape[-1])
    if not doubled:
        return pad(t, (*sides, 1, 1))
    return pad(torch.cat([t[..., -1:, :], t, t, t[..., :1, :]], -2), sides)


def lanes(columns: int) -> tuple[int, int]:
    """Lanes of one image's row, a power of two, and of a program.

    >>> lanes(28), lanes(8), lanes(40)
    ((32, 32), (8, 32), (64, 64))
    """
    wide = 1 << (columns - 1).bit_length()
    return wide, max(WARP, wide)


def circular(network: Convolutional, shape: tuple[int, int]) -> tuple[list[int], list[int]]:
    """The circular displacements of rows and columns that the readout looks at.

    >>> circular(Convolutional(3, "local-average", window=3), (8, 8))
    ([0, 1, 2, 6, 7], [0, 1, 2, 6, 7])
    """
    needed = network.displacements(shape)
    rows, columns = ({d[axis] % shape[axis] for d in needed} for axis in (0, 1))
    return sorted(rows), sorted(columns)


def _block(
    left: Side, right: Side, network: Convolutional, *, tangent: bool, plain: bool, half: bool, memory: int
) -> Tensor:
    """The kernel between two sides, in launches whose partial sums take at most `memory` bytes."""
    from lemmata.kernels.cntk.triton_kernel import cntk_displacements

    device, (P, Q) = left.norms.device, left.shape
    rows, columns = circular(network, left.shape)
    wide, wave = lanes(Q)
    groups = -(-len(columns) // (wave // wide))
    tasks = len(rows) * groups
    weights = network.weights(P).to(device, torch.float32), network.weights(Q).to(device, torch.float32)
    numbers = {"dtype": torch.int32, "device": device}
    shifts = torch.tensor(rows, **numbers), torch.tensor(columns, **numbers)
    where = _pairs(left.images, right.images, half, device)
    values = []
    for part in where.split(max(1, memory // (8 * tasks)), dim=1):
        sums = torch.empty(part.shape[1], tasks, dtype=torch.float64, device=device)
        first, second = part.to(torch.int32).contiguous()
        cntk_displacements[(part.shape[1] * tasks,)](
            left.units, right.units, left.norms, right.norms, left.inverse, right.inverse, first, second, *shifts,
            torch.cat([weights[0], weights[0]], 1).contiguous(), weights[1].contiguous(), sums,
            network.convolutions, tasks, groups, len(columns),
            P=P, Q=Q, CHANNELS=left.units.shape[1], COLUMNS=wide, LANES=wave, PLAIN=plain, TANGENT=tangent,
            TRAIN_FIRST=network.train_first, TRAIN_LAST=network.train_last,
            DIRECT=not INTERPRETED, **{"num_warps": 1, "maxnreg": REGISTERS},
        )  # fmt: skip
        values.append(sums.sum(1))
    block = torch.empty(left.images, right.images, dtype=torch.float64, device=device)
    block[where[0], where[1]] = torch.cat(values)
    if half:
        block[where[1], where[0]] = torch.cat(values)
    return block


def _pairs(n: int, m: int, half: bool, device: torch.device) -> Tensor:
    """The first and second image of each pair, (2, pairs); the lower half of them where both sides are the same."""
    if half:
        return torch.tril_indices(n, n, device=device)
    return torch.cartesian_prod(torch.arange(n, device=device), torch.arange(m, device=device)).mT
