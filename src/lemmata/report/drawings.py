"""What was drawn before, by the digest of what it is drawn from: a report of unchanged records draws nothing anew.

A folder of compressed texts that may be deleted at any time. A damaged one does not unpack, and is drawn again.
"""

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lemmata import figures

WITH = ("matplotlib", "plotly")  # libraries whose versions change what is drawn


class Drawings:
    """Texts by content; without a folder nothing is kept.

    >>> Drawings(None).of("circle", lambda: "<svg/>")
    '<svg/>'
    """

    def __init__(self, folder: Path | None):
        self.folder = folder

    def of(self, subject: Any, draw: Callable[[], str]) -> str:
        """The text that `draw` makes of `subject` (a figure, or a name), from the folder if it is there."""
        if self.folder is None:
            return draw()
        file = self.folder / f"{_digest(subject)}.gz"
        with suppress(OSError, EOFError, zlib.error, UnicodeDecodeError):
            if kept := gzip.decompress(file.read_bytes()).decode("utf-8"):  # an emptied file unpacks to nothing
                return kept
        text = draw()
        with suppress(OSError):  # a full or read-only disk costs time, not the report
            self.folder.mkdir(parents=True, exist_ok=True)
            staged = file.with_suffix(f".{os.getpid()}")
            staged.write_bytes(gzip.compress(text.encode("utf-8"), 1))
            staged.replace(file)
        return text


def _digest(subject: Any) -> str:
    described = asdict(subject) if is_dataclass(subject) and not isinstance(subject, type) else subject
    text = json.dumps([_code(), described], default=_array, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _array(values: Any) -> list[Any]:
    array = np.ascontiguousarray(values)
    return [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


@cache
def _code() -> str:
    """The digest of what draws: the renderers' own text, and the versions of the libraries below them."""
    own = [*sorted(Path(figures.__file__).parent.glob("*.py")), *sorted(Path(__file__).parent.glob("interactive*.py"))]
    parts = [file.read_bytes() for file in own] + [f"{name} {version(name)}".encode() for name in WITH]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
