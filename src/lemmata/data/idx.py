"""The IDX format of MNIST, gzipped: bytes in an array of any rank.

    two zero bytes | type (8: unsigned byte) | rank r | r sizes, big-endian uint32 | the bytes, last index fastest

Reading is bounded: nothing is unpacked beyond the size that the header promises, and the header may promise 1 GiB at
most, so that a hostile file costs no more memory than an honest one.
Reference: LeCun, Cortes, Burges, The MNIST database of handwritten digits. Cost: 60,000 images in 0.4 s.
"""

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np

from lemmata.errors import CorruptFile, InvalidInput

UNSIGNED_BYTE = 8
MOST_BYTES = 1 << 30


def read(path: Path, *, rank: int) -> np.ndarray:
    """Read a gzipped IDX file of unsigned bytes with `rank` dimensions (3 for images, 1 for labels).

    Raises `CorruptFile` if it is no gzip file, has another magic number or rank, promises more than 1 GiB, or holds
    fewer or more bytes than it promises.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "labels.gz"
    ...     write(file, np.array([3, 1, 4], dtype=np.uint8))
    ...     read(file, rank=1)
    array([3, 1, 4], dtype=uint8)
    """
    try:
        with gzip.open(path) as file:
            shape = _header(path, file.read(4 + 4 * rank), rank)
            promised = prod(shape)
            if promised > MOST_BYTES:
                raise CorruptFile(f"{path}: the header promises {promised:,} bytes, and {MOST_BYTES:,} is the limit")
            content = file.read(promised + 1)  # one more, so that the end and its check sum are reached
    except (EOFError, zlib.error) as error:
        raise CorruptFile(f"{path} is truncated or damaged ({error}); get it again") from error
    except gzip.BadGzipFile as error:
        raise CorruptFile(f"{path} is no sound gzip file ({error}); get it again") from error
    if len(content) != promised:
        what = "truncated" if len(content) < promised else "oversized"
        held = f"{len(content):,}" if len(content) < promised else "more"
        raise CorruptFile(f"{path} is {what}: the header promises {promised:,} bytes and it holds {held}; get it again")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def write(path: Path, array: np.ndarray) -> None:
    """Write an array of unsigned bytes as a gzipped IDX file; the same array always makes the same file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(Path(folder) / "images.gz", np.zeros((2, 28, 28), dtype=np.uint8))
    ...     read(Path(folder) / "images.gz", rank=3).shape
    (2, 28, 28)
    """
    if array.dtype != np.uint8:
        raise InvalidInput(f"an IDX file of ours holds uint8, not {array.dtype}; convert the array first")
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, UNSIGNED_BYTE, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes(), mtime=0))


def _header(path: Path, header: bytes, rank: int) -> tuple[int, ...]:
    if len(header) < 4:
        raise CorruptFile(f"{path} is truncated: it ends inside the header; get it again")
    zeros, kind, found = header[:2], header[2], header[3]
    if zeros != b"\0\0" or kind != UNSIGNED_BYTE:
        raise CorruptFile(
            f"{path} is no IDX file of unsigned bytes: it begins with {header[:4].hex()}, expected 0000080{rank}"
        )
    if found != rank:
        hint = "; are the images and labels files swapped?" if {found, rank} == {1, 3} else ""
        raise CorruptFile(f"{path} holds {_content(found)}, expected {_content(rank)}{hint}")
    if len(header) < 4 + 4 * rank:
        raise CorruptFile(f"{path} is truncated: it ends inside the header; get it again")
    return struct.unpack(f">{rank}I", header[4:])


def _content(rank: int) -> str:
    return {1: "labels (1 dimension)", 3: "images (3 dimensions)"}.get(rank, f"{rank} dimensions")
