"""Tables of the Penn Machine Learning Benchmarks: gzipped, tab-separated, a header, and a column called `target`.

Features are numbers as PMLB wrote them (categories are numbered); labels are renumbered 0, 1, ... in their order.
Nothing is standardised here.

Source: Olson, La Cava, Orzechowski, Urbanowicz, Moore (2017), BioData Mining 10:36, doi:10.1186/s13040-017-0154-4.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from lemmata.data.sources import Arrays
from lemmata.errors import CorruptFile

TARGET = "target"


def read(folder: Path, file: str) -> Arrays:
    """Features (n, d) float64 and labels (n,) int64 of one table, wherever its `target` column stands.

    Raises `CorruptFile` for a file that is no gzip, has no rows or no such column, rows of different lengths, entries
    that are no finite numbers, or labels that are no whole ones. Cost: about 1 s for a million entries.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     with gzip.open(Path(name) / "two.tsv.gz", "wt") as text:
    ...         _ = text.write("a\\ttarget\\tb\\n1\\t5\\t0.5\\n2\\t3\\t1.5\\n")
    ...     found = read(Path(name), "two.tsv.gz")
    >>> found.x.tolist(), found.y.tolist()
    ([[1.0, 0.5], [2.0, 1.5]], [1, 0])
    """
    path = folder / file
    try:
        with gzip.open(path, "rt", encoding="utf-8") as text:
            header = text.readline().rstrip("\r\n").split("\t")
            lines = [line for line in text if line.strip()]
        table = np.loadtxt(lines, delimiter="\t", dtype=np.float64, ndmin=2) if lines else np.empty((0, len(header)))
    except (OSError, EOFError, ValueError) as error:  # BadGzipFile is an OSError, and bad text a ValueError
        if isinstance(error, FileNotFoundError):
            raise
        raise CorruptFile(f"{path} is no gzipped table of numbers ({error}); get it again") from error
    return _split(path, header, table)


def _split(path: Path, header: list[str], table: np.ndarray) -> Arrays:
    if header.count(TARGET) != 1 or table.shape[1] != len(header) or len(header) < 2 or not len(table):
        raise CorruptFile(
            f"{path}: {table.shape[0]} rows of {table.shape[1]} numbers under {len(header)} names, "
            f"{header.count(TARGET)} of them {TARGET!r}; a table has rows, features, and one column of that name: "
            "get it again"
        )
    if not np.isfinite(table).all():
        raise CorruptFile(f"{path}: row {int(np.argwhere(~np.isfinite(table))[0, 0])} holds NaN or infinity")
    place = header.index(TARGET)
    labels = table[:, place]
    if not np.array_equal(labels, np.round(labels)):
        raise CorruptFile(f"{path}: the {TARGET} column holds fractions; labels are whole numbers")
    return Arrays(np.delete(table, place, axis=1), np.unique(labels, return_inverse=True)[1].astype(np.int64))
