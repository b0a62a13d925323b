"""The clock of the benchmarks, and the facts of the machine that their results carry.

With one thread the clock is processor time, which other programs do not disturb; with more it is the wall clock, which
wants a machine at rest.
"""

import os
import platform
import time
from pathlib import Path
from typing import Any

import torch


def clock() -> float:
    """Seconds: of this process with one thread, of the wall with more."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def peak(size: int = 3000, dtype: torch.dtype = torch.float32) -> float:
    """Floating-point operations per second of a large product, in float32 if nothing is said: the best of five."""
    a, out = torch.randn(size, size).to(dtype), torch.empty(size, size, dtype=dtype)
    times = []
    for _ in range(6):
        start = clock()
        torch.mm(a, a, out=out)
        times.append(clock() - start)
    return 2 * size**3 / min(times[1:])


def facts() -> dict[str, Any]:
    """What the figures depend on, and the load when the measurement began."""
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": len(names),
        "threads": torch.get_num_threads(),
        "matmul peak, GFLOP/s": peak() / 1e9,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "load when begun": os.getloadavg()[0],
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
