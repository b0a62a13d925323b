"""The CNTK and CNN-GP on processors: blocks of images z in vector lanes, threads over displacements and images x.

Every thread calls the compiled `sweep` without Python's lock, for some tenths of a second at a time, so that a
keyboard interrupt is heard; partial sums are added in one order, and the result is the same whatever the number of
threads. Memory beside the result: `merges` of the images x, 14 L + C + 1 numbers a pixel and image, of as many as the
budget has room for, of one block z, and 1.5 MB a thread. The first call compiles, for some ten seconds; numba keeps the
code in its cache for other processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.kernels.cntk.convolutional import Convolutional
from lemmata.kernels.cntk.merges import Merges, aligned, bytes_of_an_image, merges
from lemmata.kernels.cntk.sweep import sweep
from lemmata.kernels.cntk.vectors import Lanes, native_lanes

STATE = 1536 << 10  # bytes of state a thread, in the second cache: many images share what a layer reads of z
PLAIN_STATE = 128 << 10  # without merges a layer reads little of z, and the state alone fills the caches
AT_ONCE = 64  # images x a call
WORK = 4e8  # pairs of positions and layers a call: tenths of a second

Progress = Callable[[int, int], None]


def cpu_kernel(
    x: Tensor,
    z: Tensor | None,
    network: Convolutional,
    *,
    tangent: bool,
    plain: bool,
    memory: int,
    threads: int,
    progress: Progress | None = None,
    lanes: Lanes | None = None,
) -> Tensor:
    """The kernel of images x (n, C, P, Q) and z (m, C, P, Q) or x: float64 (n, m); float32 images, 3 x 3 filters.

    `progress(done, total)` is called with numbers of pairs. `lanes` are the processor's own unless they are given.
    """
    refuse(x, network)
    lanes = lanes or native_lanes()
    lanes = Lanes(lanes.number, lanes.name, "plain" if plain else "difference")
    work = _Work(network, (x.shape[2], x.shape[3]), lanes, tangent)
    room = _images_that_fit(x, network.convolutions, lanes.number, memory, threads)
    other = x if z is None else z
    out = torch.empty(len(x), len(other), dtype=torch.float64)
    blocks = list(_blocks(len(x), None if z is None else len(z), room, lanes.number))
    total, done = sum((rows.stop - rows.start) * (cols.stop - cols.start) for rows, cols in blocks), 0
    held, left = None, None
    with ThreadPoolExecutor(threads) as pool:
        for rows, columns in blocks:
            if held != rows.start:
                held, left = rows.start, merges(x[rows.start : min(rows.start + room, len(x))], network.convolutions)
            right = merges(other[columns], network.convolutions, lanes=lanes.number)
            assert left is not None
            out[rows, columns] = _block(pool, work, left, right, (rows, columns))
            done += (rows.stop - rows.start) * (columns.stop - columns.start)
            if progress is not None:
                progress(done, total)
    return out.triu() + out.triu(1).mT if z is None else out


def refuse(x: Tensor, network: Convolutional) -> None:
    """Raise `InvalidInput` for what the kernel does not take."""
    if x.device.type != "cpu" or x.dtype != torch.float32 or network.filter != 3:
        raise InvalidInput(
            f"backend 'cpu' takes float32 images in memory and 3 x 3 filters; these are {x.dtype} on {x.device}, with "
            f"filter = {network.filter}: take backend 'torch'"
        )


class _Work:
    """What all calls have in common."""

    def __init__(self, network: Convolutional, shape: tuple[int, int], lanes: Lanes, tangent: bool) -> None:
        self.network, self.lanes, self.shape = network, lanes, shape
        rows, columns = (network.counts(size) for size in shape)
        self.row_counts = _by_displacement(rows.numpy(), np.float64)
        self.column_counts = _by_displacement(columns.numpy(), np.float32)
        self.share = network.unit(shape[0]) * network.unit(shape[1])
        self.trained = float(network.train_first)
        self.tangent, self.last = (1.0, float(network.train_last)) if tangent else (0.0, 1.0)
        self.displacements = np.array(network.displacements(shape), np.int64)
        self.sizes = (shape[0] - abs(self.displacements[:, 0])) * (shape[1] - abs(self.displacements[:, 1]))

    def parts(self, images: int) -> Iterator[np.ndarray]:
        """The displacements, cut so that a call with so many images takes no longer than `WORK`."""
        each = self.sizes * float(self.network.convolutions * self.lanes.number * images)
        part = (each.cumsum() - each / 2) // WORK
        for number in np.unique(part):
            yield self.displacements[part == number]

    def room(self) -> tuple[np.ndarray, np.ndarray]:
        """State of at least one image, and a row of zeros."""
        p, q = self.shape
        one = (p + self.network.convolutions) * q * 2 * self.lanes.number
        state = PLAIN_STATE if self.lanes.choice == "plain" else STATE
        return aligned((max(state // 4, one),)), aligned((q * 2 * self.lanes.number,))


def _by_displacement(weights: np.ndarray, dtype: type) -> np.ndarray:
    """Weights (P, P) of pairs of positions as (2 P - 1, P): a row of the diagonal of each displacement."""
    size = len(weights)
    out = np.zeros((2 * size - 1, size), dtype)
    for a in range(1 - size, size):
        out[a + size - 1, : size - abs(a)] = weights.diagonal(a)
    return out


def _block(pool: ThreadPoolExecutor, work: _Work, left: Merges, right: Merges, block: tuple[slice, slice]) -> Tensor:
    """Values of the first images of `left` with those in the lanes of `right`."""
    rows, columns = block
    n = rows.stop - rows.start
    tasks = []
    for start in range(0, n, AT_ONCE):
        stop = min(start + AT_ONCE, n)
        images = tuple(array[start:stop] for array in left.arrays)
        tasks += [(start, stop, pool.submit(_call, work, part, images, right)) for part in work.parts(stop - start)]
    total = np.zeros((n, work.lanes.number))
    try:
        for start, stop, task in tasks:
            total[start:stop] += task.result()
    except BaseException:
        for *_, task in tasks:
            task.cancel()
        raise
    total *= work.share * left.scale[:n, None] * right.scale_of_lanes(work.lanes.number)
    return torch.from_numpy(total[:, : columns.stop - columns.start])


def _call(work: _Work, displacements: np.ndarray, images: tuple[np.ndarray, ...], right: Merges) -> np.ndarray:
    out = np.zeros((len(images[0]), work.lanes.number))
    state, zeros = work.room()
    sweep(
        work.lanes, displacements, images, right.arrays, work.row_counts, work.column_counts,
        work.trained, work.tangent, work.last, state, zeros, out,
    )  # fmt: skip
    return out


def _blocks(n: int, m: int | None, room: int, lanes: int) -> Iterator[tuple[slice, slice]]:
    """Rows, at most `room`, and columns, at most `lanes`, of all blocks; of a symmetric kernel those on and above."""
    for start in range(0, n, room):
        end = min(start + room, n)
        for begin in range(start // lanes * lanes if m is None else 0, n if m is None else m, lanes):
            columns = slice(begin, min(begin + lanes, n if m is None else m))
            yield slice(start, min(end, columns.stop) if m is None else end), columns


def _images_that_fit(x: Tensor, layers: int, lanes: int, memory: int, threads: int) -> int:
    """How many images x are held at a time, a multiple of the lanes."""
    each = bytes_of_an_image(layers, x.shape[1], x.shape[2] * x.shape[3])
    one = 8 * lanes * x.shape[3] * (x.shape[2] + layers)
    fixed = lanes * each + threads * max(STATE, one) + 64 * x.shape[2] * x.shape[3] * 8 * lanes
    room = (memory - fixed) // each // lanes * lanes
    if room < lanes:
        raise InvalidInput(
            f"memory = {memory / 1e6:.1f} MB; images of {tuple(x.shape[1:])} with {layers} convolutions and {threads} "
            f"threads need {(fixed + lanes * each) / 1e6:.1f} MB"
        )
    return min(room, len(x) + -len(x) % lanes)
