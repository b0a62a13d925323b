"""A matrix filled tile by tile: half of them where it is symmetric, by several workers, in memory or in a file.

A tile's numbers live in a processor's cache while they are worked on, and are written once (twice where the matrix is
symmetric: the mirror image). What a matrix needs is known before it is begun, and refused where it does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.kernels.analytic.progress import Progress
from lemmata.kernels.regression.memory import free_bytes

Tile = tuple[slice, slice]
Compute = Callable[[Tile], Tensor]
_IN_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}


def tiles(n: int, m: int, size: int, *, symmetric: bool) -> list[Tile]:
    """All tiles of an (n, m) matrix, or those on and below the diagonal.

    >>> tiles(3, 3, 2, symmetric=True)
    [(slice(0, 2, None), slice(0, 2, None)), (slice(2, 3, None), slice(0, 2, None)), ...]
    """
    rows = [slice(i, min(i + size, n)) for i in range(0, n, size)]
    columns = rows if symmetric else [slice(j, min(j + size, m)) for j in range(0, m, size)]
    return [(i, j) for i in rows for j in columns if not symmetric or j.start <= i.start]


def fill(
    values: Tensor, todo: Sequence[Tile], workers: Sequence[Compute], *, symmetric: bool, progress: Progress | None
) -> None:
    """Compute every tile by one of the workers and write it to its place, and to its mirror image."""
    waiting, lock = iter(todo), Lock()

    def work(compute: Compute) -> None:
        while True:
            with lock:
                tile = next(waiting, None)
            if tile is None:
                return
            rows, columns = tile
            found = compute(tile)
            values[rows, columns] = found
            if symmetric and rows != columns:
                values[columns, rows] = found.mT
            if progress is not None:
                with lock:
                    progress.note(tile)

    if len(workers) == 1:
        work(workers[0])
        return
    with _one_thread_each(), ThreadPoolExecutor(len(workers)) as pool:
        for future in [pool.submit(work, compute) for compute in workers]:
            future.result()


def allocate(shape: tuple[int, int], like: Tensor, *, memory: int | None, out: str | Path | None, spare: int) -> Tensor:
    """An empty matrix of `like`'s dtype: on its device, or in the file `out`, a memory map in numpy's format.

    `spare` is what the computation needs beside the matrix. Raises `InvalidInput` where the matrix and `spare` do not
    fit into `memory` bytes, by default what is free, and no file is given.
    """
    (n, m), there = shape, free_bytes(like.device) if memory is None else memory
    needed = n * m * like.element_size()
    if out is None and needed + spare > there:
        raise InvalidInput(
            f"a kernel of {n:,} x {m:,} values in {like.dtype} needs {_size(needed)} and {_size(spare)} to work in, "
            f"and {_size(there)} are granted on {like.device}; give out='kernel.npy' to put it into a file, a larger "
            f"memory=, or fewer samples"
        )
    if out is None:
        return torch.empty(shape, dtype=like.dtype, device=like.device)
    if spare > there:
        raise InvalidInput(f"a tile needs {_size(spare)} and {_size(there)} are granted; give a larger memory=")
    path = Path(out)
    if path.is_dir() or not path.parent.is_dir():
        raise InvalidInput(f"out = {str(out)!r}; give the path of a file, in a folder that exists")
    if path.exists() and Progress.beside(path).exists():
        mapped = np.load(path, mmap_mode="r+")
        if mapped.shape == shape and mapped.dtype == _IN_NUMPY[like.dtype]:
            return torch.from_numpy(mapped)
        Progress.beside(path).unlink()
    return torch.from_numpy(np.lib.format.open_memmap(path, mode="w+", dtype=_IN_NUMPY[like.dtype], shape=shape))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let every worker multiply matrices on one thread, since there are as many workers as threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"
