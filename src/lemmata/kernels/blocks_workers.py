"""Worker processes that fill one folder of blocks.

Each has its device and its share of the threads, and takes blocks by the folder's claims. They are forked from a
server process that has loaded torch and nothing else, where the system has such (a fresh Python each elsewhere). One
that dies (killed, out of memory) loses the block it had: the next look at its claim finds it dead. Another takes its
place, but not for ever. Ctrl-C reaches the parent alone, which ends the workers; when the parent dies, a worker ends
after its block, since nobody listens.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, LemmataError
from lemmata.kernels.blocks_folder import Block, BlockFolder

DEATHS = 3  # of workers one after the other, without a block between them, before we give up


class WorkersDied(LemmataError):
    """Worker processes die, and no block is finished any more; the message says how and what to do."""


def compute_by_workers(
    kernel: Callable[..., Any],
    x: Tensor,
    z: Tensor | None,
    blocks: Sequence[Block],
    *,
    folder: BlockFolder,
    identity: Mapping[str, str | int],
    devices: Sequence[str],
) -> Iterator[Block]:
    """Compute blocks in one process for each of `devices`; yields each block that a worker finished."""
    from safetensors.torch import save

    packed = save({name: part.detach().cpu().contiguous() for name, part in (("x", x), ("z", z)) if part is not None})
    task = {
        "kernel": kernel, "packed": packed, "blocks": list(blocks), "path": folder.path, "identity": dict(identity),
        "patience": folder.patience,
    }  # fmt: skip
    threads = max(1, len(os.sched_getaffinity(0)) // len(devices))
    known, working, deaths = {block.index: block for block in blocks}, dict[Connection, tuple[Any, str]](), 0
    try:
        for device in devices:
            _start(working, task, device, threads)
        while working:
            for pipe in wait(list(working)):
                assert isinstance(pipe, Connection)
                process, device = working[pipe]
                said: tuple[Any, ...]
                try:
                    said = pipe.recv()
                except (EOFError, OSError):
                    said = ("died",)
                if said[0] == "block":
                    deaths = 0
                    yield known[said[1]]
                    continue
                working.pop(pipe)
                process.join()
                if said[0] == "error":
                    raise _again(*said[1:])
                if said[0] == "died":
                    deaths += 1
                    if deaths >= DEATHS:
                        raise WorkersDied(_obituary(process.exitcode, deaths))
                    _start(working, task, device, threads)
    finally:
        for process, _ in working.values():
            process.kill()
            process.join()


def _start(working: dict[Connection, tuple[Any, str]], task: dict[str, Any], device: str, threads: int) -> None:
    context: Any = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    context.set_forkserver_preload(["lemmata.kernels.blocks_folder"])
    ours, theirs = context.Pipe(duplex=False)
    options = {**task, "device": device, "threads": threads}
    process = context.Process(target=_work, args=(theirs,), kwargs=options, daemon=True)
    process.start()
    theirs.close()
    working[ours] = (process, device)


def _work(
    pipe: Connection, *, kernel: Callable[..., Any], packed: bytes, blocks: list[Block], path: Path,
    identity: dict[str, str | int], patience: float, device: str, threads: int,
) -> None:  # fmt: skip
    """What a worker does; all it says is the index of a block, an error, or that nothing is left."""
    from safetensors.torch import load

    from lemmata.kernels.blocks import compute

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    try:
        samples = {name: part.to(device) for name, part in load(packed).items()}
        folder = BlockFolder(path, identity, patience=patience)
        for block in compute(kernel, samples["x"], samples.get("z"), blocks, folder):
            pipe.send(("block", block.index))
        pipe.send(("end", None))
    except BrokenPipeError:
        return  # the parent is gone
    except Exception as error:
        pipe.send(("error", type(error).__name__, str(error), isinstance(error, InvalidInput)))


def _again(kind: str, text: str, refused: bool) -> Exception:
    """A worker's error, in this process."""
    return InvalidInput(text) if refused else WorkersDied(f"a worker process failed with {kind}: {text}")


def _obituary(code: int | None, times: int) -> str:
    how = f"with exit status {code}"
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        how = f"by {name}" + (" (so the system ends a process when memory runs out)" if name == "SIGKILL" else "")
    return (
        f"{times} worker processes one after the other ended {how} without finishing a block. What is done is kept. "
        "Take a smaller block or fewer processes; without `processes` the kernel runs here, where its error can be "
        'seen; a script must start its work under `if __name__ == "__main__":`'
    )
