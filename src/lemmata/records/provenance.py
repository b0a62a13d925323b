"""Where a record comes from: when, how long, by which versions, on what hardware, from which code and data.

No user, host or folder is named: a record may be published.
"""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lemmata.version import __version__

PACKAGES = ("torch", "numpy", "scipy")


def provenance(*, source: Path | None, fingerprint: str, data: dict[str, str], seconds: float) -> dict[str, Any]:
    """Facts about a trial that has just ended. `data` maps the datasets read to their digests.

    Costs some milliseconds once a process; torch is asked for its threads and devices only where it is loaded.

    >>> facts = provenance(source=None, fingerprint="f", data={}, seconds=1.0)
    >>> facts["seconds"], facts["git"]
    (1.0, None)
    """
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": seconds,
        "versions": versions(),
        "hardware": hardware(),
        "threads": threads(),
        "git": git(source.parent) if source else None,
        "fingerprint": fingerprint,
        "data": dict(data),
    }


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of lemmata, Python and the libraries that compute; nothing is imported."""
    found = {"lemmata": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """The kind of machine: system, processor, cores that this process may use, and the GPUs if it has used any."""
    gpus: list[str] = []
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
        cuda = sys.modules["torch"].cuda
        gpus = [cuda.get_device_name(i) for i in range(cuda.device_count())]
    return {"system": f"{platform.system()} {platform.machine()}", "cpu": _cpu(), "cores": cores(), "gpus": gpus}


def cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads() -> int | None:
    """The threads torch computes with, or what the environment sets; None where neither says."""
    if "torch" in sys.modules:
        return sys.modules["torch"].get_num_threads()
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() else None


@lru_cache(maxsize=8)
def git(folder: Path) -> dict[str, Any] | None:
    """The commit of the repository that holds a folder, and whether tracked files differ from it; None if none does."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit.strip(), "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True, text=True, timeout=10, check=True, env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


@lru_cache(maxsize=1)
def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
