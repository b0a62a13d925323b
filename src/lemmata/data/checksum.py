"""Checksums of files and of arrays: md5 for published files, sha256 for contents."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lemmata.data.sources import Arrays


def md5(path: Path, *, packed: bool = False) -> str:
    """The md5 of a file, or of what gzip has `packed` in it, read in blocks (0.5 GB/s or so).

    Of a packed file that cannot be unpacked it is that of its bytes, which are not the published ones either.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     md5(Path(file.name))
    'd41d8cd98f00b204e9800998ecf8427e'
    """
    if packed:
        found = hashlib.md5(usedforsecurity=False)
        try:
            with gzip.open(path) as file:
                while block := file.read(1 << 20):
                    found.update(block)
            return found.hexdigest()
        except (OSError, EOFError, zlib.error):
            pass
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def contents(arrays: Arrays) -> str:
    """The sha256 of arrays: shapes and values, on any machine.

    Whole numbers count as they are. Floating ones are rounded to 1e-6 first, so that generated data whose last bits
    differ between machines keeps its digest; a value that lies within rounding error of a tie could still change it.

    >>> import numpy as np
    >>> from lemmata.data.sources import Arrays
    >>> a, b = Arrays(np.array([[1.0]]), np.array([0])), Arrays(np.array([[1.0 + 1e-12]]), np.array([0]))
    >>> contents(a) == contents(b)
    True
    """
    import numpy as np

    total = hashlib.sha256()
    for array in arrays:
        if array is None:
            continue
        values = np.round(array * 1e6) if array.dtype.kind == "f" else array
        fits = np.abs(values).max(initial=0) < 2**31
        total.update(f"{array.shape}".encode())
        total.update(np.ascontiguousarray(values, dtype="<i4" if fits else "<i8").tobytes())
    return total.hexdigest()
