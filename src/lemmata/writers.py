"""Who else writes here, and files that are on the disk before anyone relies on them.

Several processes, and several machines, may share a folder. `this_machine` says within which bounds a process id names
one process; `alive` whether that process still writes.
"""

import hashlib
import os
from functools import lru_cache
from pathlib import Path


def write(file: Path, content: bytes) -> None:
    """Write a new file and flush it to the disk; raises `FileExistsError` if it is there."""
    with file.open("xb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


@lru_cache(maxsize=1)
def this_machine() -> str:
    """A digest of this boot and process namespace: within one, a process id says who lives. No name enters it.

    ``"unknown"`` where the system does not tell.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "unknown"
    return hashlib.sha256((boot + space).encode()).hexdigest()[:12]


def alive(pid: int) -> bool:
    """Whether a process of this machine may still write; True where that cannot be told.

    >>> alive(os.getpid())
    True
    """
    if this_machine() == "unknown":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """A killed process whose parent has not asked after it yet: it has an id, but writes no more."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] in "ZX"
