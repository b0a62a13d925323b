"""A kernel matrix computed block by block into a folder: resumable, by many processes, devices and machines.

    K = [ K_11            ]      one file a block, finished blocks are kept;  of a symmetric kernel
        [ K_21  K_22      ]      the lower half: b(b + 1)/2 blocks of s x s samples,  b = ceil(n / s)
        [ K_31  K_32  K_33]

The same call goes on where an earlier one ended, however it ended: Ctrl-C, a full disk or a power cut lose the blocks
that were being computed. Any number of processes and machines that share the folder may make the same call at once;
each takes blocks that nobody else has (`blocks_folder`). Machines that share no folder take `shard=(i, k)`, every k-th
block, into folders of their own, whose `blocks/` are copied together afterwards. Samples, kernel or precision other
than the folder's are refused.

Cost: that of the kernel, with what it computes for one sample alone repeated n / s times, and a write of every block.
Fails where a kernel's values depend on which samples are in a block (`conformance.KernelConformance` tests that).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import CorruptFile, InvalidInput
from lemmata.given import require_tensor
from lemmata.kernels.blocks_folder import Block, BlockFolder, Stored, block_size, layout
from lemmata.kernels.blocks_identity import identity, law_of
from lemmata.kernels.blocks_options import check_call, check_memory, check_shard, names_of_workers
from lemmata.kernels.kernel_matrix import KernelMatrix
from lemmata.kernels.regression.memory import free_bytes

Kernel = Callable[[Tensor, Tensor | None], Tensor | KernelMatrix]
BLOCK = 256


@dataclass(frozen=True)
class Filling:
    """How far a folder is: `done` blocks of `total`, `fresh` of them by this call in its `seconds`.

    >>> print(Filling(done=6, total=10, fresh=4, seconds=20.0))
    6 of 10 blocks, 20 s, about 20 s left
    """

    done: int
    total: int
    fresh: int
    seconds: float

    @property
    def remaining(self) -> float:
        """Seconds that this call's pace leaves; NaN before its first block."""
        return self.seconds / self.fresh * (self.total - self.done) if self.fresh else float("nan")

    def __str__(self) -> str:
        left = f", about {self.remaining:.0f} s left" if self.fresh and self.done < self.total else ""
        return f"{self.done} of {self.total} blocks, {self.seconds:.0f} s{left}"


def gram(
    kernel: Kernel,
    x: Tensor,
    z: Tensor | None = None,
    *,
    folder: str | os.PathLike[str],
    block: int | None = None,
    processes: int | None = None,
    devices: Sequence[str | torch.device] | None = None,
    law: str | None = None,
    memory: int | None = None,
    patience: float = 3600.0,
    progress: Callable[[Filling], object] | None = None,
) -> KernelMatrix:
    """Compute `kernel(x, z)`, samples first (n, ...) and (m, ...), through a folder of finished blocks.

    `block` is the number of samples a side (256, or what the folder has). With `processes`, fresh worker processes
    compute; `devices` names one for each of them, such as ``["cuda:0", "cuda:1"]``; a worker that is killed loses its
    block, and is replaced. Workers import the script they were started from, which must make the call under
    ``if __name__ == "__main__":``. `kernel` must then be importable (`functools.partial` of a module's function is);
    `law` says what it is where its name and arguments do not. `progress` is called after every block, with an estimate.
    A matrix larger than `memory` bytes (by default half of what is free) is assembled as a memory map in the folder.
    A claim of another machine counts as abandoned after `patience` seconds: let it exceed what a block takes.

    Raises `InvalidInput` for a folder of another computation or one that cannot be written, samples that are empty or
    do not match, devices that are not there, a kernel that gives NaN or infinity, and what the kernel itself refuses;
    `WorkersDied` where workers die again and again. Nothing is random.

    >>> import tempfile
    >>> x = torch.arange(6.0).reshape(3, 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     K = gram(_linear, x, folder=folder, block=2)
    >>> bool(torch.equal(K.values, x @ x.T)), K.symmetric
    (True, True)
    """
    check_memory(memory)
    workers = names_of_workers(processes, devices)
    filler = _Filler(kernel, x, z, folder, block=block, law=law, patience=patience, progress=progress)
    for _ in range(3):  # a damaged block is removed when it is read, and computed again
        filler.fill(filler.blocks, workers)
        with suppress(CorruptFile):
            return filler.assembled(memory)
    raise CorruptFile(f"blocks of {filler.folder.path} are damaged as soon as they are written; look at the disk")


def fill(
    kernel: Kernel,
    x: Tensor,
    z: Tensor | None = None,
    *,
    folder: str | os.PathLike[str],
    shard: tuple[int, int] = (0, 1),
    block: int | None = None,
    processes: int | None = None,
    devices: Sequence[str | torch.device] | None = None,
    law: str | None = None,
    patience: float = 3600.0,
    progress: Callable[[Filling], object] | None = None,
) -> Filling:
    """Compute the blocks i, i + k, i + 2k, ... of `shard` (i, k), and assemble nothing; the rest is as in `gram`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     half = fill(_linear, torch.eye(5), folder=folder, block=1, shard=(0, 2))
    >>> half.done, half.total
    (8, 8)
    """
    first, step = check_shard(shard)
    workers = names_of_workers(processes, devices)
    filler = _Filler(kernel, x, z, folder, block=block, law=law, patience=patience, progress=progress)
    return filler.fill(filler.blocks[first::step], workers)


def compute(
    kernel: Kernel, x: Tensor, z: Tensor | None, blocks: Sequence[Block], folder: BlockFolder
) -> Iterator[Block]:
    """Compute those of the blocks that are neither there nor claimed, one at a time, and yield each."""
    for block in blocks:
        if folder.has(block) or not folder.claim(block):
            continue
        try:
            if folder.has(block):  # it was finished between the two looks
                continue
            other = None if block.diagonal else (x if z is None else z)[block.columns]
            found = kernel(x[block.rows], other)
            if not isinstance(found, KernelMatrix):
                found = KernelMatrix(found, name="kernel", symmetric=False)
            _require_finite(found.values, block)
            folder.put(block, Stored(found.values, found.way, found.flops, found.name))
        finally:
            folder.release(block)
        yield block


class _Filler:
    """One call: the folder, its blocks, and who computes them."""

    def __init__(
        self, kernel: Kernel, x: Tensor, z: Tensor | None, folder: str | os.PathLike[str], *,
        block: int | None, law: str | None, patience: float, progress: Callable[[Filling], object] | None,
    ):  # fmt: skip
        block = (block_size(folder) or BLOCK) if block is None else block
        check_call(kernel, patience, progress)
        _check(x, z, block)
        self.kernel, self.x, self.z, self.progress = kernel, x, z, progress
        self.blocks = layout(len(x), None if z is None else len(z), block)
        self.identity = identity(x, z, law=law or law_of(kernel), block=block)
        self.folder = BlockFolder(folder, self.identity, patience=patience)

    def fill(self, blocks: list[Block], workers: list[str]) -> Filling:
        """Compute what is missing of the blocks, by workers on these devices, and wait for what others claimed."""
        started, fresh, pause = time.perf_counter(), 0, 0.01
        missing = self.folder.missing(blocks)
        while missing:
            free = [block for block in missing if not self.folder.claimed(block)]
            for _ in self._computed(free, workers) if free else ():
                fresh += 1
                left = len(self.folder.missing(blocks))
                self._tell(Filling(len(blocks) - left, len(blocks), fresh, time.perf_counter() - started))
            if not free:  # all that is missing is in other hands
                time.sleep(pause)
                pause = min(2 * pause, 1.0)
            missing = self.folder.missing(missing)
        self.folder.sweep()
        return Filling(len(blocks), len(blocks), fresh, time.perf_counter() - started)

    def _computed(self, missing: list[Block], workers: list[str]) -> Iterator[Block]:
        if not workers:
            return compute(self.kernel, self.x, self.z, missing, self.folder)
        from lemmata.kernels.blocks_workers import compute_by_workers

        return compute_by_workers(
            self.kernel, self.x, self.z, missing, folder=self.folder, identity=self.identity,
            devices=workers[: len(missing)],
        )  # fmt: skip

    def _tell(self, filling: Filling) -> None:
        if self.progress is not None:
            self.progress(filling)

    def assembled(self, memory: int | None) -> KernelMatrix:
        """Read every block, compare its sha256, and put it where it belongs, on both sides of the diagonal."""
        n, m = len(self.x), len(self.x if self.z is None else self.z)
        first = self.folder.get(self.blocks[0])
        needed = n * m * first.values.element_size()
        allowed = free_bytes(torch.device("cpu")) // 2 if memory is None else memory
        if needed <= allowed:
            out = torch.empty(n, m, dtype=first.values.dtype)
            ways, flops = self._copy_to(out)
        else:
            with _mapped(self.folder.path / "kernel.npy", (n, m), first.values.numpy().dtype) as out:
                ways, flops = self._copy_to(out)
            # copy on write: who changes the tensor does not change the file
            out = torch.from_numpy(np.load(self.folder.path / "kernel.npy", mmap_mode="c"))
        return KernelMatrix(out, name=first.kernel, symmetric=self.z is None, way=ways, flops=flops)

    def _copy_to(self, out: Tensor) -> tuple[str, float]:
        ways, flops = dict[str, None](), 0.0
        damaged = []
        for block in self.blocks:
            try:
                stored = self.folder.get(block)
            except CorruptFile as error:
                damaged.append(str(error))
                continue
            out[block.rows, block.columns] = stored.values
            if self.z is None and not block.diagonal:
                out[block.columns, block.rows] = stored.values.mT
            ways[stored.way] = None
            flops += stored.flops
        if damaged:
            raise CorruptFile("; ".join(damaged))
        return "; ".join(ways), flops


@contextmanager
def _mapped(file: Path, shape: tuple[int, int], dtype: np.dtype) -> Iterator[Tensor]:
    """A new memory map to write to, which is in place when it is whole."""
    draft = file.with_name(f".{file.stem}.{os.getpid()}.npy")
    try:
        mapped = np.lib.format.open_memmap(draft, "w+", dtype, shape)
        yield torch.from_numpy(mapped)
        mapped.flush()
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _check(x: Tensor, z: Tensor | None, block: int) -> None:
    if not isinstance(block, int) or block < 1:
        raise InvalidInput(f"block = {block!r}; it is a whole number of samples, at least 1")
    for name, samples in (("x", x), ("z", x if z is None else z)):
        if require_tensor(samples, name).ndim < 2 or not samples.numel():
            raise InvalidInput(f"{name} of shape {tuple(samples.shape)}; give samples (n, ...), at least one")
    if z is not None and (z.shape[1:] != x.shape[1:] or z.dtype != x.dtype):
        raise InvalidInput(
            f"x is {tuple(x.shape)} of {x.dtype} and z {tuple(z.shape)} of {z.dtype}; samples of both must be alike"
        )


def _require_finite(values: Tensor, block: Block) -> None:
    if tuple(values.shape) == block.shape and not bool(values.isfinite().all()):  # the folder refuses another shape
        i, j = (~values.isfinite()).nonzero()[0].tolist()
        rows, columns = block.rows, block.columns
        raise InvalidInput(
            f"the kernel gave NaN or infinity for samples {rows.start} to {rows.stop - 1} with {columns.start} to "
            f"{columns.stop - 1}, first for the pair ({rows.start + i}, {columns.start + j}); the block is not kept"
        )


def _linear(x: Tensor, z: Tensor | None = None) -> Tensor:
    """The kernel <x, z>, for examples."""
    return x.flatten(1) @ (x if z is None else z).flatten(1).mT
