"""Which tiles of a file are done, so that an interrupted computation goes on where it stopped.

A text file beside the values: a first line that identifies what is computed, then one line a tile. It is removed when
the last tile is written. A different network, other samples or another tiling start anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

Tile = tuple[slice, slice]


class Progress:
    """The record of tiles beside the file at `path`, for the computation identified by `key`."""

    def __init__(self, path: Path, key: str):
        self.file = self.beside(path)
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        self.done = set(lines[1:]) if lines[:1] == [key] else set()
        if not self.done:
            self.file.write_text(f"{key}\n")

    @staticmethod
    def beside(path: Path) -> Path:
        """The record's own place."""
        return path.with_name(f"{path.name}.tiles")

    def remaining(self, todo: Sequence[Tile]) -> list[Tile]:
        """The tiles that are not done."""
        return [tile for tile in todo if _line(tile) not in self.done]

    def note(self, tile: Tile) -> None:
        """Record a tile whose values are written."""
        with self.file.open("a") as file:
            file.write(f"{_line(tile)}\n")

    def finish(self) -> None:
        """All is done: the record goes."""
        self.file.unlink(missing_ok=True)


def identity(description: str, *samples: Tensor) -> str:
    """A digest of what is computed, and of what."""
    digest = hashlib.sha256(description.encode())
    for tensor in samples:
        digest.update(str((tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.detach().double().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _line(tile: Tile) -> str:
    rows, columns = tile
    return f"{rows.start}:{rows.stop} {columns.start}:{columns.stop}"
