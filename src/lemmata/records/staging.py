"""Put a folder in place whole or not at all, and say clearly why when the disk does not let us.

A folder is written beside the tree, flushed to the disk, and moved into the tree by one rename, which the file system
does at once or not at all. What a killed process left in the staging area is removed by the next writer: at once if
that process ran on this machine and is gone, after a day otherwise.
"""

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lemmata.errors import LemmataError
from lemmata.writers import alive, this_machine, write

ABANDONED = 86400.0  # seconds after which a foreign staging folder is taken for dead

_REMEDY = {
    errno.ENOSPC: "the disk is full; free some space, or name another store",
    errno.EDQUOT: "the disk quota is used up; free some space, or name another store",
    errno.EFBIG: "the file would be larger than this process may write; raise the limit, or name another store",
    errno.EROFS: "the disk is read-only; name a store on another",
    errno.EACCES: "this user may not write there; change the permissions, or name another store",
    errno.EPERM: "this user may not write there; change the permissions, or name another store",
    errno.ENOTDIR: "part of the path is a file; name another store",
}


class StoreError(LemmataError):
    """A store that cannot be used or written; the message says why and what to do."""


class Exists(Exception):
    """Another writer has put the same folder in place."""


@contextmanager
def explained(place: Path, doing: str) -> Iterator[None]:
    """Turn the system's errors into a `StoreError` with the remedy."""
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        why = _REMEDY.get(number, f"{os.strerror(number) if number else error}; name another store")
        raise StoreError(
            f"cannot {doing} the store {place}: {why}. What was recorded is kept, and the same command goes on"
        ) from error


def place(folder: Path, files: Mapping[str, bytes], *, staging: Path) -> None:
    """Make `folder` with these files, all at once; raises `Exists` if it is there, `OSError` if it cannot be made.

    Both paths are on one file system. Nothing is left behind by a failure.
    """
    draft = staging / f"{this_machine()}-{os.getpid()}-{secrets.token_hex(6)}"
    try:
        draft.mkdir(parents=True)
        for name, content in files.items():
            write(draft / name, content)
        _flush(draft)
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.rename(folder)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise Exists(str(folder)) from None
            raise
        _flush(folder.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_once(file: Path, content: bytes) -> None:
    """Write a small file whole or not at all, replacing what is there."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(6)}")
    try:
        write(draft, content)
        draft.replace(file)
        _flush(file.parent)
    finally:
        draft.unlink(missing_ok=True)


def clean(staging: Path) -> None:
    """Remove what dead writers left; never what a living one is writing."""
    if not staging.is_dir():
        return
    for draft in list(staging.iterdir()):
        machine, _, rest = draft.name.partition("-")
        pid = rest.partition("-")[0]
        gone = machine == this_machine() and pid.isdecimal() and not alive(int(pid))
        if gone or _age(draft) > ABANDONED:
            shutil.rmtree(draft, ignore_errors=True)


def _flush(folder: Path) -> None:
    if os.name == "nt":
        return  # a folder cannot be opened there
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
