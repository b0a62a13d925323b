"""The store: a folder of records, the only state there is.

    store.json                         what this is, and its format
    records/ab/abcd.../record.json     one folder a trial, named by its key, put in place by one rename
    records/ab/abcd.../arrays.safetensors
    staging/                           records being written
    quarantine/                        records that were not what they claim to be, each with its reason
    index.sqlite                       a cache; may be deleted at any time

Any number of processes may write one store: a record is whole or absent, and a second writer of the same trial finds
it there and drops its own. Every read compares the sha256 of all bytes; what does not agree is moved to quarantine and
never believed, and the next run makes it again.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from lemmata.errors import CorruptFile, LemmataError
from lemmata.plan.recorded import Known, Recorded
from lemmata.records.index import Index, Row, row_of
from lemmata.records.record import Record, decode, encode
from lemmata.records.staging import Exists, StoreError, clean, explained, place, write_once

FORMAT = 1
MARKER = "store.json"
FILES = ("record.json", "arrays.safetensors")
KEY = re.compile(r"[0-9a-f]{64}")


class NoRecord(LemmataError, KeyError):
    """A trial that is not in the store."""

    def __str__(self) -> str:
        return str(self.args[0])


class Merged(NamedTuple):
    """What a merge did: records taken, records that were there already, and those of the other that are damaged."""

    taken: int
    present: int
    problems: list[str]


class Store:
    """A folder of records. Opening one writes nothing; the folder is made by the first record.

    Raises `StoreError` for a folder that holds something else, is of a newer format, or cannot be read.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Store(folder).keys()
    set()
    """

    def __init__(self, path: str | PathLike[str]):
        self.path = Path(path).expanduser()
        self.problems: list[str] = []  # records set aside by this object, in words
        self._index = Index(self.path / "index.sqlite")
        self._seen: dict[str, tuple[tuple[int, ...], Row]] = {}
        self._cleaned = False
        with explained(self.path, "read"):
            _recognise(self.path)

    def put(self, record: Record) -> None:
        """Write a record, durably, or nothing; raises `StoreError` when the disk is full or may not be written."""
        text, packed = encode(record)
        folder = self._folder(record.key)
        with explained(self.path, "write"):
            self._prepare()
            for last in (False, True):
                try:
                    place(folder, dict(zip(FILES, (text, packed), strict=True)), staging=self.path / "staging")
                except Exists:
                    if self._believable(record.key):
                        return
                except FileNotFoundError:  # the staging area was swept under our feet
                    if last:
                        raise
                else:
                    break
        self._index.add({record.key: row_of(record, _digest(text, packed))})

    def get(self, trial_key: str) -> Record:
        """Read and verify a record. Raises `NoRecord`, or `CorruptFile` for one that is set aside now."""
        try:
            return self._read(trial_key)
        except CorruptFile as error:
            raise CorruptFile(self._set_aside(trial_key, str(error))) from None

    def keys(self) -> set[str]:
        """The keys of all trials recorded, unread."""
        with explained(self.path, "read"):
            return {name for name, problem in self._entries() if not problem}

    def members(self) -> Recorded:
        """Member key -> trial key of every record whose bytes are what they were when it was written.

        Where two trials hold one member the trial with the smaller key is taken. Reads every byte of the store once a
        process; 0.1 ms a record.
        """
        rows: dict[str, Row] | None = None
        fresh: dict[str, Row] = {}
        known: dict[str, Known] = {}
        keys = self.keys()
        for key in sorted(keys):
            state = self._state(key)
            seen = self._seen.get(key)
            if seen is None or seen[0] != state:
                rows = self._index.rows() if rows is None else rows
                try:
                    text, packed = self._bytes(key)
                    row = rows.get(key)
                    if row is None or row.files != _digest(text, packed):
                        row = fresh[key] = row_of(self._decoded(key, text, packed), _digest(text, packed))
                except NoRecord:
                    continue
                except CorruptFile as error:
                    self._set_aside(key, str(error))
                    continue
                seen = self._seen[key] = (state, row)
            for member, facts in seen[1].members.items():
                known.setdefault(member, facts)
        self._index.add(fresh)
        self._index.remove(set(rows or ()) - keys)
        return Recorded(known)

    def check(self) -> list[str]:
        """Verify everything; damaged and alien records are moved to quarantine/ and named with the reason.

        What dead writers left half written is swept away; it is no problem and not named.
        """
        found = []
        with explained(self.path, "read"):
            clean(self.path / "staging")
            entries = list(self._entries())
        for name, problem in entries:
            if problem:
                found.append(self._set_aside(name, problem))
                continue
            try:
                self._read(name)
            except CorruptFile as error:
                found.append(self._set_aside(name, str(error)))
            except NoRecord:
                continue
        return found

    def merge(self, other: "Store") -> Merged:
        """Take over the records of another store; nothing of the other is changed."""
        here = self.keys()
        taken = present = 0
        problems = []
        for key in sorted(other.keys()):
            if key in here:
                present += 1
                continue
            try:
                self.put(other._read(key))
                taken += 1
            except CorruptFile as error:
                problems.append(f"record {key} of {other.path}: {error}")
        return Merged(taken, present, problems)

    def _folder(self, name: str) -> Path:
        return self.path / "records" / name[:2] / name

    def _prepare(self) -> None:
        if not (self.path / MARKER).is_file():
            self.path.mkdir(parents=True, exist_ok=True)
            _recognise(self.path)
            write_once(self.path / MARKER, json.dumps({"lemmata store, format": FORMAT}).encode("ascii") + b"\n")
        if not self._cleaned:
            clean(self.path / "staging")
            self._cleaned = True

    def _entries(self) -> Iterator[tuple[str, str]]:
        """Everything in the tree with what is wrong with its name, if anything."""
        tree = self.path / "records"
        if not tree.is_dir():
            return
        for shelf in sorted(os.scandir(tree), key=lambda entry: entry.name):
            if not shelf.is_dir():
                continue
            for entry in os.scandir(shelf.path):
                if not KEY.fullmatch(entry.name) or not entry.name.startswith(shelf.name):
                    yield f"{shelf.name}/{entry.name}", "no record has this name"
                else:
                    yield entry.name, ""

    def _state(self, key: str) -> tuple[int, ...]:
        """What the system says of both files: enough to tell that nobody has written to them since."""
        state: list[int] = []
        for name in FILES:
            with suppress(OSError):
                facts = (self._folder(key) / name).stat()
                state += (facts.st_mtime_ns, facts.st_size, facts.st_ino)
        return tuple(state)

    def _bytes(self, key: str) -> tuple[bytes, bytes]:
        folder = self._folder(key)
        with explained(self.path, "read"):
            try:
                return (folder / FILES[0]).read_bytes(), (folder / FILES[1]).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                if folder.exists():
                    raise CorruptFile(f"{Path(error.filename).name} is not there, or is no file") from None
        raise NoRecord(f"no record {key} in the store {self.path}; run the study, and look at `lemmata plan`")

    def _decoded(self, key: str, text: bytes, packed: bytes) -> Record:
        record = decode(text, packed)
        if record.key != key:
            raise CorruptFile(f"it is the record of another trial ({record.key})")
        return record

    def _read(self, key: str) -> Record:
        return self._decoded(key, *self._bytes(key))

    def _believable(self, key: str) -> bool:
        try:
            self._read(key)
        except CorruptFile as error:
            self._set_aside(key, str(error))
            return False
        except NoRecord:
            return False
        return True

    def _set_aside(self, name: str, reason: str) -> str:
        """Move an entry to quarantine with the reason, and say so."""
        source = self.path / "records" / name if "/" in name else self._folder(name)
        quarantine = self.path / "quarantine"
        target = quarantine / f"{source.name}.{time.time_ns()}"
        try:
            quarantine.mkdir(exist_ok=True)
            source.rename(target)
            target.with_name(f"{target.name}.reason.txt").write_text(f"{reason}\n", encoding="utf-8")
            moved = f"moved to {target}"
        except FileNotFoundError:
            moved = "moved to quarantine by another process"
        except OSError as error:
            moved = f"left where it is ({error.strerror}), and not used"
        self._seen.pop(name, None)
        told = f"record {name} is damaged: {reason}; {moved}; the next run makes it again"
        self.problems.append(told)
        return told


def _digest(text: bytes, packed: bytes) -> str:
    return f"{hashlib.sha256(text).hexdigest()}:{hashlib.sha256(packed).hexdigest()}"


def _recognise(path: Path) -> None:
    """Refuse a folder that is no store of this format."""
    if not path.exists():
        return
    if not path.is_dir():
        raise StoreError(f"{path} is a file and no store; name a folder")
    names = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith(f".{MARKER}."))
    if not names:
        return
    if MARKER not in names:
        raise StoreError(
            f"{path} is no store: it holds {names[0]!r} and no {MARKER}; name an empty folder or a new one"
        )
    try:
        found = json.loads((path / MARKER).read_bytes())["lemmata store, format"]
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{path / MARKER} does not say what store this is; name another store") from None
    if found != FORMAT:
        raise StoreError(
            f"the store {path} has format {found}, and this lemmata reads {FORMAT}; upgrade lemmata, or name another "
            "store"
        )
