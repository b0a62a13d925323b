"""Logs of certification in the published format: others' certificates become `Certificates`, and ours can be read by
all.

One line an image below a line of names, separated by tabs, or by spaces or commas; plain or compressed by gzip:

    idx  label  predict  radius  correct  time

`predict` -1 is an abstention (its radius 0), `radius` is printed with three significant digits, and `time` is seconds
or [days, ]h:mm:ss.ffffff. Logs of *predictions* have no radius: a prediction is a certificate of radius 0. `samples`,
`hits` and `drawn` are read where a log has them.

Judge a log of your own, or anyone's:

    certificates = read_log("sigma_0.50", sigma=0.5, n=100_000, n0=100)
    certificates.accuracy([0.5, 1.0]), certificates.mean_radius(), certificates.explain(0)
    certificates.plot().save("curve.svg")

Nothing is guessed: a line that is not whole, a number that is none, an index met twice, a `correct` that contradicts
the label, an abstention with a radius are refused by file and line. Cost: some 5 microseconds a line.

Where it fails: a radius printed to the nearest digit may be larger than what was certified, by 0.5 % at most;
`write_log` rounds down. And a published log does not say its sigma, n and alpha: they are yours to give. Logs written
here have a file beside them that says so (`log_settings`).

Source: the logs of Cohen, Rosenfeld, Kolter (2019), github.com/locuslab/smoothing, and of Jeong, Shin (2020),
github.com/jh-jeong/smoothing-consistency.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lemmata.bernoulli.looks import require_count
from lemmata.errors import CorruptFile, DataMissing, InvalidInput
from lemmata.given import require_number
from lemmata.robustness.certificates.certificates import ABSTAIN, Certificates, Stopped
from lemmata.robustness.certificates.log_settings import agreed, beside, radii_of, read_settings, write_settings
from lemmata.robustness.certificates.recovered_hits import recovered_hits
from lemmata.robustness.smoothing.noise import Noise, require_noise

WHOLE, COUNTS = ("idx", "label", "predict", "correct"), ("samples", "hits", "drawn")
PUBLISHED = ("idx", "label", "predict", "radius", "correct", "time")
BETWEEN = re.compile(r"[\t ,;]+")
CLOCK = re.compile(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d(?:\.\d*)?)")
GZIP = b"\x1f\x8b"
MOST_DIGITS = 17  # of a float64


def read_log(
    path: str | os.PathLike[str],
    *,
    sigma: float | None = None,
    noise: Noise | None = None,
    n: int | None = None,
    n0: int | None = None,
    alpha: float | None = None,
    unfinished: bool = False,
    name: str | None = None,
) -> Certificates:
    """Read a log of certificates or of predictions.

    With the noise (`sigma`, or `noise`) and the `n` samples that each image got, a number fixed beforehand, the hits
    are recovered from the printed radii (`recovered_hits`; -1 where an image was abstained from, and they cannot be
    known) and `samples` is n + n0. Noise, norm, alpha, radii, seed and how sampling stopped are read from the file
    ``<path>.json`` that `write_log` and `certify` write; without one alpha is 0.001, n0 is 0 and the norm that of the
    noise, or l2. `unfinished` leaves out a last line that is not whole, of a run that goes on or was
    killed. Labels of -1 in every line are no labels. float64 radii on the CPU.

    Raises `DataMissing` where there is no file, `CorruptFile` with file and line for what no log holds, and
    `InvalidInput` for settings that contradict the file beside the log, or under which a printed radius cannot come
    about.

    >>> from pathlib import Path; from tempfile import mkdtemp
    >>> log = Path(mkdtemp()) / "mine.tsv"
    >>> lines = "idx label predict radius correct time", "0 3 3 0.378 1 0:00:15.4", "20 7 -1 0.0 0 15.6"
    >>> _ = log.write_text("\\n".join(lines))
    >>> found = read_log(log, sigma=0.25, n=100_000)
    >>> found.accuracy([0.25, 0.5]).accuracy, found.hits
    (array([0.5, 0. ]), tensor([93713,    -1]))
    """
    file = _path(path)
    table, stands = _table(file, unfinished), read_settings(file)
    radius = torch.tensor(table.get("radius", [0.0] * len(table["idx"])), dtype=torch.float64)
    prediction, label = (torch.tensor(table[column], dtype=torch.int64) for column in ("predict", "label"))
    fields: dict[str, Any] = {column: torch.tensor(table[column]) for column in COUNTS if column in table}
    law = agreed(file, "noise", None if noise is None and sigma is None else require_noise(noise, sigma), stands.noise)
    level = agreed(file, "alpha", None if alpha is None else require_number(alpha, "alpha"), stands.alpha)
    level = 0.001 if level is None else level
    if not 0 <= level < 1:  # NaN fails too
        raise InvalidInput(f"alpha = {level}; give a probability below 1, such as 0.001")
    before = agreed(file, "n0", None if n0 is None else require_count(n0, "n0", least=0), stands.n0) or 0
    stopped: Stopped = stands.stopped
    if n is not None:
        agreed(file, "n", require_count(n, "n"), stands.n)
        if stopped == "sequential":
            raise InvalidInput(f"n = {n}, but sampling stopped by what it saw, says {beside(file).name}; leave n out")
        stopped, drawn = "fixed", torch.full_like(prediction, require_count(n, "n"))
        fields = {"drawn": drawn, "samples": drawn + before, **fields}
        if law is not None and "hits" not in fields and "radius" in table:
            ends = recovered_hits(radius.numpy(), n, law, alpha=level, digits=_digits(table["radius"]))
            low, high = map(torch.from_numpy, ends)
            fields["hits"] = torch.where(prediction == ABSTAIN, -1, (low + high) // 2)
    if "time" in table:
        fields["seconds"] = torch.tensor(table["time"], dtype=torch.float64)
    norm = agreed(file, "the noise's norm", None if law is None else law.norm, stands.norm) or "l2"
    return Certificates(
        prediction, radius, label=None if bool((label == -1).all()) else label, index=torch.tensor(table["idx"]),
        noise=law, norm=norm, alpha=level, radii=radii_of(stands),
        seed=stands.seed, stopped=stopped, name=name or stands.name or file.name, **fields,
    )  # fmt: skip


def write_log(
    certificates: Certificates, path: str | os.PathLike[str], *, digits: int | None = None, counts: bool = False
) -> Path:
    """Write certificates as a log in the published format, compressed where the name ends in .gz; gives the path.

    What the format has no place for, the noise, the norm, alpha, the radii asked for, the seed and how sampling
    stopped, is written beside it as ``<path>.json``.

    Radii are written so that they are read back as they are, or rounded *down* to `digits` significant digits (3 in the
    published logs, which round to the nearest; of radii rounded down no hits can be recovered, so write the counts).
    `counts` adds the columns samples, hits, drawn. What is not known is written as -1 (labels) and 0
    (times); indices count from 0. Raises `InvalidInput` where counts are wanted and not known, for infinite radii,
    which a log cannot hold, and for a path that cannot be written.

    >>> from pathlib import Path; from tempfile import mkdtemp
    >>> found = Certificates(torch.tensor([3, -1]), torch.tensor([0.5, 0.0]), label=torch.tensor([3, 1]))
    >>> print(write_log(found, Path(mkdtemp()) / "log.tsv").read_text().expandtabs(8), end="")
    idx     label   predict radius  correct time
    0       3       3       0.5     1       0:00:00
    1       1       -1      0.0     0       0:00:00
    """
    if not isinstance(certificates, Certificates):
        raise InvalidInput(f"a {type(certificates).__name__}, {certificates!r:.60}; give certificates")
    if digits is not None and require_count(digits, "digits") > MOST_DIGITS:
        raise InvalidInput(f"digits = {digits}; a radius has {MOST_DIGITS} at most, so leave digits out")
    if bool(certificates.radius.isinf().any()):
        raise InvalidInput("a radius is infinite, which a log cannot hold; leave these images out")
    unknown = [column for column in COUNTS if counts and getattr(certificates, column) is None]
    if unknown:
        raise InvalidInput(f"counts: these certificates do not know their {', '.join(unknown)}; leave counts out")
    n = len(certificates)

    def column(values: Tensor | None, otherwise: Sequence[float]) -> Sequence[float]:
        return otherwise if values is None else values.tolist()

    label = column(certificates.label, [-1] * n)
    rows = zip(
        column(certificates.index, range(n)), label, certificates.prediction.tolist(),
        [_shown(radius, digits) for radius in certificates.radius.double().tolist()],
        [int(a == b) for a, b in zip(certificates.prediction.tolist(), label, strict=True)],
        [timedelta(seconds=seconds) for seconds in column(certificates.seconds, [0.0] * n)],
        *(getattr(certificates, name).tolist() for name in COUNTS if counts), strict=True,
    )  # fmt: skip
    names = (*PUBLISHED, *(COUNTS if counts else ()))
    text = "".join("\t".join(map(str, row)) + "\n" for row in (names, *rows))
    file, whole = _path(path), text.encode()
    try:
        file.write_bytes(gzip.compress(whole, mtime=0) if file.suffix == ".gz" else whole)
        write_settings(certificates, file)
    except OSError as problem:
        raise InvalidInput(f"{file} cannot be written: {problem}; name a file in a folder of yours") from None
    return file


def _path(path: object) -> Path:
    if not isinstance(path, str | os.PathLike) or not str(path):
        raise InvalidInput(f"path = {path!r}; give the path of a log")
    file = Path(path)
    if file.is_dir():
        raise InvalidInput(f"{file} is a folder; name a file in it, such as {file / 'log.tsv'}")
    return file


def _digits(radii: Sequence[float]) -> int:
    """How many significant digits radii were printed with: the most of any, at least 3; 10 tell all hits apart."""
    most = max(len(Decimal(repr(radius)).normalize().as_tuple().digits) for radius in radii)
    return min(max(most, 3), 10)


def _shown(radius: float, digits: int | None) -> str:
    """A radius as text: as it is, or rounded towards 0, so that no radius is claimed that was not certified."""
    if digits is None or radius == 0:
        return repr(radius)
    exact = Decimal(repr(radius))
    return repr(float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - digits + 1), rounding=ROUND_DOWN)))


def _table(file: Path, unfinished: bool) -> dict[str, list[Any]]:
    """The columns of a log by name, each entry read and checked; never a line that contradicts itself."""
    lines = _lines(file)
    at, first = next(lines, (1, ""))
    names = BETWEEN.split(first.strip().lstrip("\ufeff"))
    missing = [name for name in WHOLE[:3] if name not in names]
    if missing:
        _refuse(
            file,
            at,
            f"no column {missing[0]!r} in {first.strip()[:60]!r}; the first line names idx, label, predict, ...",
        )
    if len(set(names)) < len(names):
        _refuse(file, at, "two columns have one name")
    rows: list[dict[str, Any]] = []
    places: dict[int, int] = {}
    pending: tuple[int, str] | None = None
    for at, line in lines:
        if pending is not None:
            rows.append(_row(file, *pending, names, places))
        pending = (at, line)
    if pending is not None:
        try:
            rows.append(_row(file, *pending, names, places))
        except CorruptFile:
            if not unfinished:
                raise
    if not rows:
        _refuse(file, at, "the log holds no image")
    return {name: [row[name] for row in rows] for name in rows[0]}


def _row(file: Path, at: int, line: str, names: Sequence[str], places: dict[int, int]) -> dict[str, Any]:
    """One line, read and checked against itself and the indices met so far."""
    parts = BETWEEN.split(line.strip(), maxsplit=len(names) - 1 if names[-1] == "time" else 0)
    if len(parts) != len(names):
        remedy = "; a run that was cut off is read with unfinished=True" if len(parts) < len(names) else ""
        _refuse(file, at, f"{len(parts)} entries below {len(names)} names: {line.strip()[:60]!r}{remedy}")
    row = {name: _entry(file, at, name, part) for name, part in zip(names, parts, strict=True) if name in READERS}
    if row["idx"] in places:
        _refuse(file, at, f"index {row['idx']} was on line {places[row['idx']]} already; an image counts once")
    places[row["idx"]] = at
    if "correct" in row and row["correct"] != (row["label"] == row["predict"]):
        _refuse(file, at, f"correct = {row['correct']}, but label {row['label']} and prediction {row['predict']}")
    if row["predict"] == ABSTAIN and row.get("radius"):
        _refuse(file, at, f"an abstention with radius {row['radius']}")
    if row.get("hits", -1) > row.get("drawn", math.inf):
        _refuse(file, at, f"{row['hits']} hits of {row['drawn']} samples drawn")
    return row


def _entry(file: Path, at: int, name: str, text: str) -> Any:
    try:
        return READERS[name](text)
    except ValueError:
        _refuse(file, at, f"{name} = {text[:40]!r} is no {KINDS.get(name, 'whole number, -1 or more')}")


def _place(text: str) -> int:
    value = _index(text)
    if value < 0:
        raise ValueError(text)
    return value


def _index(text: str) -> int:
    value = int(text)
    if not -1 <= value < 2**63:
        raise ValueError(text)
    return value


def _length(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:  # NaN fails too
        raise ValueError(text)
    return value


def _seconds(text: str) -> float:
    clock = CLOCK.fullmatch(text.strip())
    if clock is None:
        return _length(text)
    days, hours, minutes, seconds = clock.groups()
    return 86_400 * int(days or 0) + 3600 * int(hours) + 60 * int(minutes) + float(seconds)


READERS: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys((*WHOLE, *COUNTS), _index), "idx": _place, "radius": _length, "time": _seconds,
}  # fmt: skip
KINDS = {"idx": "whole number, 0 or more", "radius": "distance", "time": "duration, such as 0:00:14.2"}


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers, decompressed where the file's first bytes say so."""
    if not file.is_file():
        raise DataMissing(f"{file}: there is no such file; give the path of a log")
    at = 0
    try:
        with file.open("rb") as raw:
            packed = raw.read(2) == GZIP
        with gzip.open(file, "rt", encoding="utf-8") if packed else file.open(encoding="utf-8") as text:
            for at, line in enumerate(text, start=1):
                if line.strip():
                    yield at, line
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        _refuse(file, at + 1, f"cannot be read on ({error}); get the file again")


def _refuse(file: Path, at: int, what: str) -> Any:
    raise CorruptFile(f"{file}, line {at}: {what}")
