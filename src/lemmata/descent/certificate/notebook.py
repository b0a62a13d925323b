r"""Certificates from the Mathematica notebooks in which such certificates are published: read, never executed.

A notebook is text: boxes nested in boxes, with the code in their strings, in order. The strings are joined, and in that
text a few assignments are looked for, of plain numbers only:

    h = {15/10, ...}      \[CapitalDelta]0 = 1/10000      tildelambda = {{0.0, ...}, ...}      tildegamma = {{...}, ...}

(or `lambda`, `gamma` and `\[CapitalDelta]`, exact), perhaps within SetPrecision[..., Infinity]. A decimal is the binary
float nearest to it, as in Mathematica. The approximate multipliers are completed as the notebooks do: the flows are
repaired (`rational.balanced`), and Delta is cut to where lam + Delta gam >= 0. Everything else in the file is ignored.
"""

from __future__ import annotations

import gzip
import re
from fractions import Fraction
from pathlib import Path

from lemmata.descent.certificate.certificate import Certificate
from lemmata.descent.certificate.rational import balanced
from lemmata.errors import CorruptFile, DataMissing, InvalidInput

MOST_BYTES = 2**26
STRINGS = re.compile(r'\(\*.*?\*\)|"((?:[^"\\]|\\.)*)"', re.DOTALL)  # comments are matched so as to be passed over
NOISE = re.compile(r"\\\[IndentingNewLine\]|\\\n|\s+")
STEPS = re.compile(r"(?<![A-Za-z])h=(?:SetPrecision\[)?\{([-0-9./,]+)\}")
DELTA = re.compile(r"\\\[CapitalDelta\](0?)=([0-9./]+)")
MULTIPLIERS = r"(tilde)?{}=(?:SetPrecision\[)?\{{(\{{[-0-9./,{{}}]*\}})\}}"


def read_notebook(path: Path | str) -> Certificate:
    """Give the certificate that a notebook (.nb, or .nb.gz) holds, without a claimed rate; `verify` finds the rate.

    Raises `DataMissing` where there is no file, and `CorruptFile` for one that is not a notebook with steps, a Delta
    and two square matrices of plain numbers (the notebook of the pattern of two steps has a free parameter).
    """
    path = Path(path)
    if not path.is_file():
        raise DataMissing(f"there is no notebook at {path}")
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            text = file.read(MOST_BYTES + 1).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{path} is not readable as a notebook ({error}); get it again") from None
    if len(text) > MOST_BYTES or "Notebook[" not in text:
        raise CorruptFile(f"{path} is not a Mathematica notebook, or larger than {MOST_BYTES} bytes")
    code = NOISE.sub("", "".join(match.group(1) or "" for match in STRINGS.finditer(text)))
    try:
        return _certificate(code, path.name)
    except InvalidInput as error:
        raise CorruptFile(f"{path}: {error}") from None


def _certificate(code: str, name: str) -> Certificate:
    found = STEPS.search(code)
    initial = DELTA.search(code)
    if found is None or initial is None:
        raise InvalidInput("no steps h = {...} and Delta of plain numbers are assigned in it")
    steps = tuple(_number(text) for text in found.group(1).split(","))
    (lam_rough, lam), (gam_rough, gam) = (_matrix(code, which) for which in ("lambda", "gamma"))
    Delta = _number(initial.group(2))
    if lam_rough or gam_rough:
        certificate = balanced(steps, Delta, lam, gam)
        Delta = min([Delta, *_crossings(certificate)])
        lam, gam = certificate.lam, certificate.gam
    return Certificate(steps, Delta, lam, gam, source=name)  # type: ignore[arg-type]


def _crossings(certificate: Certificate) -> list[Fraction]:
    """Where each entry of lam + delta gam turns negative."""
    return [
        -a / b
        for rows in zip(certificate.lam, certificate.gam, strict=True)
        for a, b in zip(*rows, strict=True)
        if b < 0
    ]


def _matrix(code: str, which: str) -> tuple[bool, list[list[Fraction]]]:
    """The first matrix assigned to that name, and whether it is an approximate one."""
    found = re.search(MULTIPLIERS.format(which), code)
    if found is None:
        raise InvalidInput(f"no matrix {which} of plain numbers is assigned in it")
    rows = found.group(2)[1:-1].split("},{")
    return bool(found.group(1)), [[_number(text) for text in row.split(",")] for row in rows]


def _number(text: str) -> Fraction:
    """A decimal at its nearest binary float, anything else exactly."""
    try:
        return Fraction(float(text)) if "." in text else Fraction(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise InvalidInput(f"{text[:40]!r} stands where a number should be") from None
