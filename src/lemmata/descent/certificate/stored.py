"""Certificates as files: JSON, compressed if the name ends in .xz or .gz. Numbers are exact, and nothing is unpickled.

    {"format": "lemmata certificate 1", "steps": ["3/2", ...], "Delta": "1/10000", "rate": "79/30" or null,
     "source": "...", "lam": [[0, "1/3", ...], ...], "gam": [[...], ...]}

Text is a fraction "p/q" or a decimal "1.5", at its exact value; a number is an integer or the binary float that it
denotes, which says a 60-bit fraction in few bytes.
"""

from __future__ import annotations

import gzip
import json
import lzma
from fractions import Fraction
from pathlib import Path
from typing import Any

from lemmata.descent.certificate.certificate import Certificate
from lemmata.errors import CorruptFile, DataMissing, InvalidInput

FORMAT = "lemmata certificate 1"
MOST_BYTES = 2**28  # of text: one of 1,000 steps has 40 MB
OPENERS = {".xz": lzma.open, ".gz": gzip.open}


def write(certificate: Certificate, path: Path | str) -> Path:
    """Write a certificate; returns the path.

    >>> import tempfile
    >>> from lemmata.descent.certificate import published
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read(write(published(7), Path(folder) / "seven.json.xz")) == published(7)
    True
    """
    path = Path(path)
    content = {
        "format": FORMAT,
        "source": certificate.source,
        "steps": [str(step) for step in certificate.steps],
        "Delta": str(certificate.Delta),
        "rate": None if certificate.rate is None else str(certificate.rate),
        "lam": [[_short(x) for x in row] for row in certificate.lam],
        "gam": [[_short(x) for x in row] for row in certificate.gam],
    }
    data = json.dumps(content, separators=(",", ":")).encode()
    if path.suffix == ".xz":
        data = lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)
    elif path.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    path.write_bytes(data)
    return path


def read(path: Path | str) -> Certificate:
    """Read a certificate. Raises `DataMissing` where there is no file, `CorruptFile` for what is not a certificate."""
    path = Path(path)
    if not path.is_file():
        raise DataMissing(f"there is no certificate at {path}; write one by Certificate.save")
    try:
        with OPENERS.get(path.suffix, open)(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise CorruptFile(f"{path} holds more than {MOST_BYTES} bytes of text; that is no certificate")
        content = json.loads(data.decode())
    except (OSError, EOFError, lzma.LZMAError, ValueError, RecursionError) as error:
        raise CorruptFile(f"{path} is not readable as a certificate ({error}); get it again") from None
    return _certificate(content, path)


def _certificate(content: Any, path: Path) -> Certificate:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CorruptFile(
            f"{path} does not say that its format is {FORMAT!r}; it is no certificate, or of another version"
        )
    missing = {"steps", "Delta", "lam", "gam"} - content.keys()
    if missing:
        raise CorruptFile(f"{path} lacks {', '.join(sorted(missing))}; the certificate is not complete")
    try:
        return Certificate(
            _list(content["steps"]),
            content["Delta"],
            tuple(_list(row) for row in _list(content["lam"])),
            tuple(_list(row) for row in _list(content["gam"])),
            rate=content.get("rate"),
            source=str(content.get("source", "")),
        )
    except InvalidInput as error:
        raise CorruptFile(f"{path}: {error}") from None


def _list(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise InvalidInput(f"{str(value)[:40]!r} stands where a list should be")
    return tuple(value)


def _short(number: Fraction) -> int | float | str:
    """The number as JSON writes it in the fewest characters."""
    if number.denominator == 1:
        return int(number) if abs(number) < 2**53 else str(number)
    text = str(number)
    try:
        approximate = float(number)
    except OverflowError:
        return text
    return approximate if Fraction(approximate) == number and len(repr(approximate)) < len(text) + 2 else text
