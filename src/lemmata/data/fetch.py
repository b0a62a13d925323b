"""Download a dataset that lives in files: checked, resumable, from the mirrors of the table in `sources`.

A file grows as `NAME.part` beside its place and is put there by one rename, when its size and md5 are the published
ones: what stands under its own name is whole. An interrupted download goes on where it stopped, if the server knows
HTTP ranges, and begins again otherwise. A file that is there already and sound is not fetched again.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from lemmata.data import checksum, folder, sources
from lemmata.data.sources import File
from lemmata.errors import CorruptFile, DataMissing, LemmataError
from lemmata.version import __version__

BLOCK = 1 << 18
ATTEMPTS = 3  # a mirror, as long as each one brings more bytes
TIMEOUT = 30.0
Advance = Callable[[int], None]


def download(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    progress: bool = True,
    mirrors: Sequence[str] | None = None,
) -> Path | None:
    """Fetch the files of a dataset into the data directory and give the folder they are in.

    None for a dataset that needs no files. `mirrors` replaces the table's addresses (each ends with a slash);
    `progress` draws bars on the standard error stream.

    Raises `UnknownName`; `DataMissing` if no mirror gives the file, with what each said; `CorruptFile` if what one
    gives is not the published file. Finished files stay in place.

    >>> download("digits") is None
    True
    """
    source = sources.find(name)
    if not source.files:
        return None
    target = folder.resolve(data_dir) / source.folders[0]
    with _disk(target), _bars(progress) as bar:
        target.mkdir(parents=True, exist_ok=True)
        absent = [file for file in source.files if not _sound(target / file.name, file)]
        if absent and source.archive:
            archive = target / source.archive.name
            if not _sound(archive, source.archive):
                _fetch(source.archive, archive, mirrors or source.mirrors, bar)
            _unpack(archive, target, absent)
            archive.unlink()
        else:
            for file in absent:
                _fetch(file, target / file.name, mirrors or source.mirrors, bar)
    return target


def _fetch(file: File, path: Path, mirrors: Sequence[str], bar: Callable[[File], Advance]) -> None:
    """Bring one file from the first mirror that gives it whole and sound."""
    part = path.with_name(path.name + ".part")
    advance = bar(file)
    said: list[str] = []
    kind = DataMissing
    for mirror in mirrors:
        url = mirror + file.name
        try:
            if _transfer(url, part, file, advance):
                part.replace(path)
                return
        except _MirrorFailed as failure:
            said.append(f"{url}: {failure}")
        else:
            kind = CorruptFile
            said.append(f"{url}: what it sends is not the published file (md5 {file.md5})")
    raise kind(
        f"cannot fetch {file.name}; {'; '.join(said)}. Run the same command again to go on where it stopped, or put "
        f"the file into {path.parent} yourself"
    )


def _transfer(url: str, part: Path, file: File, advance: Advance) -> bool:
    """Bring `part` to its full size from one mirror, and say whether it is sound; unsound bytes are deleted.

    Bytes that were there before may be another mirror's wrong ones, so an unsound file is fetched anew once.
    """
    inherited = part.exists()
    _complete(url, part, file, advance)
    if _sound(part, file):
        return True
    part.unlink()
    return inherited and _transfer(url, part, file, advance)


def _complete(url: str, part: Path, file: File, advance: Advance) -> None:
    """Go on until all bytes are there, as long as each attempt brings some."""
    interruption = "the file ended early"
    for _ in range(ATTEMPTS):
        before = _size(part)
        if before < file.size:
            try:
                _request(url, part, before, file.size, advance)
            except _Interrupted as error:
                interruption = str(error)
        if _size(part) >= file.size:
            return
        if _size(part) <= before:
            break
    raise _MirrorFailed(f"the connection broke off at {_size(part):,} of {file.size:,} bytes ({interruption})")


def _request(url: str, part: Path, start: int, size: int, advance: Advance) -> None:
    """Ask once for the bytes from `start` on, and write what comes, up to `size`."""
    headers = {"User-Agent": f"lemmata/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        reply = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        raise _MirrorFailed(f"the server answers {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:  # URLError is one: no network, unknown host, refused
        raise _MirrorFailed(str(getattr(error, "reason", error))) from error
    with reply:
        resumed = reply.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        position = start if resumed else 0
        with part.open("ab" if resumed else "wb") as out:
            while block := _next_block(reply):
                if position + len(block) > size:
                    out.truncate(0)
                    raise _MirrorFailed(f"it sends more than the published {size:,} bytes")
                out.write(block)
                position += len(block)
                advance(position)


def _next_block(reply) -> bytes:
    """The next bytes of a reply; what the network does wrong is kept apart from what the disk does."""
    try:
        return reply.read1(BLOCK)
    except (OSError, HTTPException) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _unpack(archive: Path, target: Path, wanted: Sequence[File]) -> None:
    """Take the wanted files, and nothing else, out of a .tar.gz whose checksum has been verified."""
    by_name = {file.name: file for file in wanted}
    with tarfile.open(archive, "r|gz") as tar:
        for member in tar:
            file = by_name.get(PurePosixPath(member.name).name)
            content = tar.extractfile(member) if file and member.isfile() else None
            if file is None or content is None:
                continue
            part = target / (file.name + ".part")
            part.write_bytes(content.read(file.size))
            if _sound(part, file):
                part.replace(target / file.name)
    missing = [file.name for file in wanted if not (target / file.name).exists()]
    if missing:
        raise CorruptFile(f"{archive} holds no sound {missing[0]}; delete the archive and fetch it again")


def _sound(path: Path, file: File) -> bool:
    return path.is_file() and path.stat().st_size == file.size and checksum.md5(path) == file.md5


class _MirrorFailed(Exception):
    """A mirror gives nothing; the next may do better."""


class _Interrupted(Exception):
    """The connection broke; asking again for the rest may help."""


@contextmanager
def _disk(target: Path):
    """Turn an operating-system error about the disk into a message for people; what was written stays."""
    try:
        yield
    except LemmataError:
        raise
    except OSError as error:
        raise DataMissing(
            f"cannot write to {target}: {error.strerror or error}; free some space or choose another folder with "
            "--data-dir, and run the same command again: it goes on where it stopped"
        ) from error


@contextmanager
def _bars(progress: bool):
    """Give a function that opens a bar for a file and returns its `advance(bytes so far)`."""
    if not progress:
        yield lambda file: lambda position: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def bar(file: File) -> Advance:
            task = bars.add_task(file.name, total=file.size)
            return lambda position: bars.update(task, completed=position)

        yield bar
