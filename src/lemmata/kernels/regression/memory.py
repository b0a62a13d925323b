"""What a kernel solve takes, in bytes, before anything is allocated.

    Cholesky    the lower block columns, n (n + b) / 2 numbers of the kernel's dtype; b = 2,048
    iterative   the preconditioner, 2 n r numbers in float64, and r^2; the blocks of the kernel too where they fit
    both        some blocks in work, and vectors in float64

so that 60,000 points with 10 outputs take 7.6 GB in float32 by Cholesky and 2.6 GB by iteration, 15 and 2.6 GB in
float64. What a kernel that is a function needs for itself, to compute a block of 2,048 x 2,048 values, is counted as
four such blocks.
"""

from __future__ import annotations

import os

import torch

from lemmata.kernels.regression import entries

VECTORS = 8  # of the size of the targets, in float64: solution, residual, direction, its product, and copies


def factor_bytes(n: int, *, itemsize: int) -> int:
    """Bytes of the lower block columns of an n x n matrix.

    >>> f"{factor_bytes(60_000, itemsize=4) / 1e9:.1f} GB"
    '7.4 GB'
    """
    return sum((n - part.start) * (part.stop - part.start) for part in entries.blocks(n)) * itemsize


def cholesky_bytes(n: int, outputs: int, *, itemsize: int) -> int:
    """Bytes of a solve by Cholesky.

    >>> f"{cholesky_bytes(60_000, 10, itemsize=4) / 1e9:.1f} GB"
    '7.6 GB'
    """
    return factor_bytes(n, itemsize=itemsize) + _working_bytes(n, outputs, itemsize)


def iterative_bytes(n: int, outputs: int, rank: int, *, itemsize: int) -> int:
    """Bytes of a solve by iteration that computes the kernel anew for each product.

    >>> f"{iterative_bytes(60_000, 10, 2449, itemsize=4) / 1e9:.1f} GB"
    '2.6 GB'
    """
    return 8 * (2 * n * rank + 2 * rank**2) + _working_bytes(n, outputs, itemsize)


def free_bytes(device: torch.device) -> int:
    """Bytes that can be had on a device now: free GPU memory, or what Linux calls available.

    >>> free_bytes(torch.device("cpu")) > 0
    True
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo") as file:  # noqa: PTH123
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _working_bytes(n: int, outputs: int, itemsize: int) -> int:
    b = min(entries.BLOCK, n)
    return b * b * (4 * itemsize + 9) + 8 * VECTORS * n * outputs
