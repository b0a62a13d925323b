"""The folder in which a kernel matrix grows: whole blocks, and claims on those that somebody is computing.

    blocks.json                     what the blocks belong to (`blocks_identity`)
    blocks/000004-000001.safetensors    one block, put in place by one rename, with the sha256 of its values
    claims/000004-000001            who computes a block that is not there yet
    staging/                        blocks being written
    kernel.npy                      the assembled matrix, where it is larger than the memory allowed for it

A block is whole or absent. A claim keeps two workers from computing one block, and nothing depends on it: should two
of them compute it, the second rename puts the same numbers in place. So a claim may be broken as soon as its owner is
known to be dead (a process of this machine), or is likely to be (older than the patience, on another one).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lemmata.errors import CorruptFile, InvalidInput
from lemmata.writers import alive, this_machine, write

MARKER = "blocks.json"
_UNUSABLE = {
    errno.EEXIST, errno.ENOTDIR, errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """Rows and columns of one block; `diagonal` where both are the same samples of a symmetric kernel."""

    index: int
    rows: slice
    columns: slice
    diagonal: bool
    name: str

    @property
    def shape(self) -> tuple[int, int]:
        """Its number of rows and of columns."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


class Stored(NamedTuple):
    """A block that was read: its values, how they were computed, and at what cost."""

    values: Tensor
    way: str
    flops: float
    kernel: str


def layout(n: int, m: int | None, block: int) -> list[Block]:
    """The blocks of an (n, m) matrix, or of the lower half of a symmetric one where m is None.

    >>> [(part.rows.start, part.columns.start, part.diagonal) for part in layout(5, None, 3)]
    [(0, 0, True), (3, 0, False), (3, 3, True)]
    """
    strips = [slice(at, min(at + block, n)) for at in range(0, n, block)]
    others = strips if m is None else [slice(at, min(at + block, m)) for at in range(0, m, block)]
    pairs = [(i, j) for i in range(len(strips)) for j in range(i + 1 if m is None else len(others))]
    return [
        Block(index, strips[i], others[j], m is None and i == j, f"{i:06d}-{j:06d}")
        for index, (i, j) in enumerate(pairs)
    ]


class BlockFolder:
    """The blocks of one computation; opening makes the folder, or compares what is in it.

    Raises `InvalidInput` for a folder that holds something else (other samples, another kernel, another block size) and
    for one that cannot be made or written.
    """

    def __init__(self, path: str | os.PathLike[str], identity: Mapping[str, str | int], *, patience: float = 3600.0):
        if not isinstance(path, str | os.PathLike):
            raise InvalidInput(f"folder = {path!r}; give the path of a folder")
        self.path, self.patience = Path(path).expanduser(), patience
        try:
            self._recognise(identity)
            for part in ("blocks", "claims", "staging"):
                (self.path / part).mkdir(exist_ok=True)
        except OSError as error:
            if error.errno not in _UNUSABLE:  # a full disk, say, is nothing that was given
                raise
            raise InvalidInput(
                f"folder = {str(self.path)!r} cannot be used: {error}; name a folder that can be made and written"
            ) from error
        self.sweep()

    def sweep(self) -> None:
        """Remove what killed workers left: half-written blocks, and claims of blocks that are there."""
        for draft in (self.path / "staging").iterdir():
            if self._abandoned(draft, draft.name):
                draft.unlink(missing_ok=True)
        for claim in (self.path / "claims").iterdir():
            if (self.path / "blocks" / f"{claim.name}.safetensors").is_file() and self._abandoned(claim, _text(claim)):
                claim.unlink(missing_ok=True)

    def has(self, block: Block) -> bool:
        """Whether the block is there."""
        return self._file(block).is_file()

    def missing(self, blocks: list[Block]) -> list[Block]:
        """Those of the blocks that are not there, by one look at the folder."""
        there = {entry.name for entry in os.scandir(self.path / "blocks")}
        return [block for block in blocks if f"{block.name}.safetensors" not in there]

    def put(self, block: Block, stored: Stored) -> None:
        """Write a block, durably and all at once."""
        from safetensors.torch import save

        values = stored.values.detach().cpu().contiguous()
        if tuple(values.shape) != block.shape:
            raise InvalidInput(
                f"the kernel gave a matrix of shape {tuple(values.shape)} for {block.shape[0]} and {block.shape[1]} "
                "samples; it must give one value a pair"
            )
        facts = {"sha256": _sha256(values), "way": stored.way, "flops": repr(stored.flops), "kernel": stored.kernel}
        draft = self.path / "staging" / f"{this_machine()}-{os.getpid()}-{secrets.token_hex(4)}-{block.name}"
        try:
            write(draft, save({"values": values}, metadata=facts))
            draft.replace(self._file(block))
        finally:
            draft.unlink(missing_ok=True)

    def get(self, block: Block) -> Stored:
        """Read a block; one whose bytes are not those that were written is removed, and raises `CorruptFile`."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._file(block), framework="pt") as opened:
                facts, values = opened.metadata() or {}, opened.get_tensor("values")
            if tuple(values.shape) != block.shape or facts["sha256"] != _sha256(values):
                raise CorruptFile("its values are not those that were written (sha256)")
            return Stored(values, facts["way"], float(facts["flops"]), facts["kernel"])
        except (SafetensorError, KeyError, ValueError, CorruptFile) as error:
            self._file(block).unlink(missing_ok=True)
            raise CorruptFile(f"block {block.name} of {self.path} was damaged and is removed: {error}") from None

    def claimed(self, block: Block) -> bool:
        """Whether a worker that may be alive is computing the block."""
        file = self.path / "claims" / block.name
        return file.exists() and not self._abandoned(file, _text(file))

    def claim(self, block: Block) -> bool:
        """Take a block to compute it; False where a living worker has it."""
        file = self.path / "claims" / block.name
        for _ in range(2):
            try:
                with file.open("x") as out:
                    out.write(f"{this_machine()}-{os.getpid()}\n")
            except FileExistsError:
                if not self._abandoned(file, _text(file)):
                    return False
                file.unlink(missing_ok=True)
            else:
                return True
        return False

    def release(self, block: Block) -> None:
        """Give a claim back."""
        (self.path / "claims" / block.name).unlink(missing_ok=True)

    def _file(self, block: Block) -> Path:
        return self.path / "blocks" / f"{block.name}.safetensors"

    def _abandoned(self, file: Path, owner: str) -> bool:
        machine, _, rest = owner.partition("-")
        pid = rest.partition("-")[0].strip()
        if machine == this_machine() != "unknown" and pid.isdecimal():
            return not alive(int(pid))
        with suppress(FileNotFoundError):
            return time.time() - file.stat().st_mtime > self.patience
        return False

    def _recognise(self, identity: Mapping[str, str | int]) -> None:
        marker = self.path / MARKER
        self.path.mkdir(parents=True, exist_ok=True)
        entries = any(not entry.name.startswith(".") for entry in self.path.iterdir())
        if entries and not marker.is_file():  # looked for last: another process may just be making it
            raise InvalidInput(f"{self.path} holds something else and no {MARKER}; name an empty or a new folder")
        if not marker.is_file():
            draft = self.path / f".{MARKER}.{os.getpid()}.{secrets.token_hex(4)}"
            write(draft, json.dumps(dict(identity), indent=1).encode())
            with suppress(FileExistsError):
                os.link(draft, marker)  # the first writer's stands
            draft.unlink()
        try:
            found = json.loads(marker.read_bytes())
            unlike = [name for name in identity if found.get(name) != identity[name]]
        except (ValueError, AttributeError):
            raise InvalidInput(f"{marker} does not say what blocks these are; name another folder") from None
        if unlike:
            raise InvalidInput(
                f"{self.path} holds the blocks of another computation: "
                + "; ".join(f"{name} is {found.get(name)} there and {identity[name]} here" for name in unlike)
                + ". Name another folder, or delete this one"
            )


def block_size(path: str | os.PathLike[str]) -> int | None:
    """The block size of a folder that has one, so that it need not be said again."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return int(json.loads((Path(path).expanduser() / MARKER).read_bytes())["block"])
    return None


def _sha256(values: Tensor) -> str:
    return hashlib.sha256(values.reshape(-1).view(torch.uint8).numpy().data).hexdigest()


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_text()
    return ""
