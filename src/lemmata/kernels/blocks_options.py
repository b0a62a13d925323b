"""The options of a computation in blocks, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lemmata.errors import InvalidInput
from lemmata.given import require_callable, require_devices, require_kernel, require_number


def check_call(kernel: object, patience: object, progress: object) -> None:
    """Refuse a kernel or a progress that cannot be called, and a patience that is no time."""
    require_kernel(kernel)
    if progress is not None:
        require_callable(progress, "progress")
    if not require_number(patience, "patience") >= 0:
        raise InvalidInput(f"patience = {patience}; give seconds, 0 or more")


def check_memory(memory: object) -> None:
    """Refuse what is no number of bytes."""
    if memory is not None and not require_number(memory, "memory") >= 0:
        raise InvalidInput(f"memory = {memory}; give a number of bytes, 0 or more, or leave it out")


def check_shard(shard: object) -> tuple[int, int]:
    """Give (i, k) with 0 <= i < k back.

    >>> check_shard(3)
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: shard = 3; give (i, k) with 0 <= i < k, the i-th of k shards
    """
    whole = isinstance(shard, tuple | list) and len(shard) == 2 and all(isinstance(part, int) for part in shard)
    if not whole or not 0 <= shard[0] < shard[1]:  # type: ignore[index]
        raise InvalidInput(f"shard = {shard!r}; give (i, k) with 0 <= i < k, the i-th of k shards")
    return shard[0], shard[1]  # type: ignore[index]


def names_of_workers(processes: object, devices: Sequence[str | torch.device] | None) -> list[str]:
    """The device of each worker process; none where this process computes.

    >>> names_of_workers(3, ["cpu"])
    ['cpu', 'cpu', 'cpu']
    """
    if processes is not None and not (isinstance(processes, int) and processes >= 1):
        raise InvalidInput(f"processes = {processes!r}; give a whole number, at least 1, or leave it out")
    if processes is None and devices is None:
        return []
    names = ["cpu"] if devices is None else [str(device) for device in require_devices(devices)]
    return [names[worker % len(names)] for worker in range(processes or len(names))]
