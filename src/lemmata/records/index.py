"""The index: what each record holds, in SQLite, so that a store of thousands is read in a moment.

A cache and no more: it may be deleted, cut short or locked at any time. A row counts only if it names the sha256 of
both files as they are on the disk and its own; what is not found here is read from the record. An index that SQLite
cannot use is made anew, and where it cannot be written the store works without.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from lemmata.plan.key import canonical
from lemmata.plan.recorded import Known
from lemmata.records.record import Record

TIMEOUT = 10.0  # seconds to wait for another process


class Row(NamedTuple):
    """A record in short: the digest of its files, and what is known of each member by its key."""

    files: str
    members: Mapping[str, Known]


def row_of(record: Record, files: str) -> Row:
    """Shorten a record."""
    cost = record.seconds / max(len(record.members), 1)
    return Row(
        files,
        {m.key: Known(record.key, record.namespace, m.setting, cost, m.config) for m in record.members},
    )


class Index:
    """The rows by trial key; every failure of SQLite is met by going on without."""

    def __init__(self, path: Path):
        self.path = path

    def rows(self) -> dict[str, Row]:
        """All rows that are whole. About 20 microseconds each."""
        if not self.path.exists():
            return {}
        try:
            with closing(self._connect()) as database:
                found = database.execute("SELECT trial, files, members, seal FROM records").fetchall()
        except sqlite3.OperationalError:
            return {}
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            self.discard()
            return {}
        return {
            trial: _row(trial, files, members)
            for trial, files, members, seal in found
            if _holds(trial, files, members, seal)
        }

    def add(self, rows: Mapping[str, Row]) -> None:
        """Add or replace rows; gives up silently where the file cannot be written."""
        if rows:
            self._write("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", [_line(*item) for item in rows.items()])

    def remove(self, trials: Iterable[str]) -> None:
        """Forget rows."""
        lines = [(trial,) for trial in trials]
        if lines and self.path.exists():
            self._write("DELETE FROM records WHERE trial = ?", lines)

    def discard(self) -> None:
        """Delete the index; it is made anew when next written."""
        for file in (self.path, self.path.with_name(f"{self.path.name}-journal")):
            with suppress(OSError):
                file.unlink(missing_ok=True)

    def _write(self, statement: str, lines: list[tuple[Any, ...]]) -> None:
        try:
            with closing(self._connect()) as database, database:
                database.executemany(statement, lines)
        except sqlite3.OperationalError:
            return
        except sqlite3.DatabaseError:
            self.discard()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=TIMEOUT)
        try:
            database.execute("PRAGMA synchronous = OFF")
            database.execute(
                "CREATE TABLE IF NOT EXISTS records (trial TEXT PRIMARY KEY, files TEXT, members TEXT, seal TEXT)"
            )
        except BaseException:
            database.close()
            raise
        return database


def _line(trial: str, row: Row) -> tuple[str, str, str, str]:
    members = canonical({key: list(known) for key, known in row.members.items()}).decode("ascii")
    return trial, row.files, members, _seal(trial, row.files, members)


def _seal(trial: str, files: str, members: str) -> str:
    return hashlib.sha256(f"{trial}\n{files}\n{members}".encode("ascii")).hexdigest()


def _holds(trial: Any, files: Any, members: Any, seal: Any) -> bool:
    if not all(isinstance(part, str) and part.isascii() for part in (trial, files, members)):
        return False
    return _seal(trial, files, members) == seal


def _row(trial: str, files: str, members: str) -> Row:
    return Row(files, {key: Known(*known) for key, known in json.loads(members).items()})
