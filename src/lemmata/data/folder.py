"""Where data lives on this machine: the data directory, what is found in it, and what its bytes are.

The data directory is the argument, else the environment variable LEMMATA_DATA, else the user's data folder
(`~/.local/share/lemmata` on Linux). Nothing here imports torch; `digest` reads no file unless `verify=False`.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from lemmata.data import checksum, sources
from lemmata.data.sources import File, Source
from lemmata.errors import CorruptFile, DataMissing


class Found(NamedTuple):
    """Whether a dataset can be loaded here: `where` it is, or else the `reason` why not."""

    name: str
    found: bool
    where: str
    reason: str


def resolve(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The data directory: the argument, else LEMMATA_DATA, else the user's data folder. It need not exist.

    >>> resolve("/data").as_posix()
    '/data'
    """
    chosen = data_dir or os.environ.get("LEMMATA_DATA")
    if not chosen:
        from platformdirs import user_data_dir

        chosen = user_data_dir("lemmata", appauthor=False)
    return Path(chosen).expanduser()


def locate(source: Source, data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder that holds all the source's files; None for a source that has none; else `DataMissing`."""
    if not source.files:
        return None
    root = resolve(data_dir)
    folders = [root / folder for folder in source.folders]
    for folder in folders:
        if all(place(source, folder, file).is_file() for file in source.files):
            return folder
    nearest = next((folder for folder in folders if folder.is_dir()), folders[0])
    absent = [file.name for file in source.files if not place(source, nearest, file).is_file()]
    raise DataMissing(
        f"{source.name}: {absent[0]} "
        + (f"and {len(absent) - 1} more files are" if len(absent) > 1 else "is")
        + f" not in {nearest}; {_remedy(source, 'them')}name the folder that holds "
        f"{source.folders[0]}/ with --data-dir or the environment variable LEMMATA_DATA"
    )


def place(source: Source, folder: Path, file: File) -> Path:
    """Where a file of the source is: under its name, or, of a packed source, under its name with .gz."""
    plain, packed = folder / file.name, folder / f"{file.name}.gz"
    return packed if source.packed and not plain.is_file() and packed.is_file() else plain


def _remedy(source: Source, what: str) -> str:
    return f"fetch {what} with `lemmata data fetch {source.name}`, or " if source.mirrors else f"get {what}, or "


def check(source: Source, folder: Path) -> None:
    """Compare every file with its published md5; `CorruptFile` names the first that differs."""
    for file in source.files:
        path = place(source, folder, file)
        packed = path.name != file.name
        size = path.stat().st_size
        if (packed or size == file.size) and checksum.md5(path, packed=packed) == file.md5:
            continue
        what = "its md5 is not the published one" if packed or size == file.size else f"it has {size:,} bytes"
        raise CorruptFile(
            f"{path} is not the published file of {source.name}: {what} (published: {file.size:,} bytes, md5 "
            f"{file.md5}); {_remedy(source, 'it again')}pass verify=False to use it as "
            "it is, under a digest of its own"
        )


def measured(source: Source, folder: Path) -> str:
    """The digest of the files as they are; equal to the source's digest if and only if they are the published ones."""
    places = {file: place(source, folder, file) for file in source.files}
    return sources.combined(
        File(file.name, checksum.md5(path, packed=path.name != file.name), file.size) for file, path in places.items()
    )


def digest(name: str, data_dir: str | os.PathLike[str] | None = None, *, verify: bool = True) -> str:
    """The sha256 that identifies a dataset.

    It is a constant of the published data, which `load` verifies, so that asking costs nothing. With `verify=False`
    it is the digest of the data found here (the files are read), which is what `load(..., verify=False)` declares.

    >>> digest("mnist-5k")[:12]
    '6947ede7c58b'
    """
    source = sources.PUBLISHED.get(name) or sources.find(name)
    if verify:
        return source.digest
    folder = locate(source, data_dir)
    return checksum.contents(source.read()) if folder is None else measured(source, folder)


def available(data_dir: str | os.PathLike[str] | None = None) -> list[Found]:
    """Every dataset, set of weights and set of logs known by name, and whether it is here; the tables of PMLB count as
    one.

    Names and sizes are looked at; contents are not read.

    >>> [entry.name for entry in available() if entry.found][:3]
    ['mnist-5k', 'digits', 'iris']
    """
    single = [_look(source, data_dir) for source in (*sources.SOURCES.values(), *sources.PUBLISHED.values())]
    return [*single, _look_at_all("pmlb", list(sources.PMLB.values()), data_dir)]


def _look_at_all(name: str, family: list[Source], data_dir: str | os.PathLike[str] | None) -> Found:
    looks = [_look(source, data_dir) for source in family]
    absent = [look for look in looks if not look.found]
    if not absent:
        return Found(name, True, looks[0].where, "")
    return Found(name, False, "", f"{len(absent)} of {len(looks)} tables are missing; the first: {absent[0].reason}")


def _look(source: Source, data_dir: str | os.PathLike[str] | None) -> Found:
    if source.package:
        here = find_spec(source.package) is not None
        reason = "" if here else f"the package {source.package} is not installed"
        return Found(source.name, here, f"package {source.package}" if here else "", reason)
    try:
        folder = locate(source, data_dir)
    except DataMissing as missing:
        return Found(source.name, False, "", str(missing))
    if folder is None:
        return Found(source.name, True, "generated", "")
    for file in source.files:
        path = place(source, folder, file)
        size = path.stat().st_size
        if size != file.size and path.name == file.name:
            reason = f"{file.name} has {size:,} bytes, the published file {file.size:,}"
            return Found(source.name, False, str(folder), reason)
    return Found(source.name, True, str(folder), "")
