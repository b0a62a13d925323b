"""The log of a certification: each image as soon as it is decided, on the disk before anyone relies on it.

A line an image, tab-separated, in the format of the published logs of randomised smoothing, with five columns more:

    idx  label  predict  radius  correct  time  |  samples  hits  drawn  image  check

`label` is -1 where it is unknown, `image` a digest of the image's numbers, and `check` one of the line and of what
stands beside the log: a line that was changed is refused, never given out as a certificate. (It guards against slips,
not against someone who computes the digest anew.) Beside the log, in ``<log>.json``, stands what every line depends on:
the model's parameters, the noise, the seed, and what was asked for. A log is gone on with only where both agree, so
that images may be added to a certification but not changed. A line that a power cut or a full disk left unfinished is
removed, and its image certified again. One process at a time writes a log.

Source of the format: Cohen, Rosenfeld, Kolter (2019), github.com/locuslab/smoothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lemmata.errors import CorruptFile, InvalidInput
from lemmata.writers import write

COLUMNS = ("idx", "label", "predict", "radius", "correct", "time", "samples", "hits", "drawn", "image", "check")
FORMAT = 1
Settings = Mapping[str, Any]


class Line(NamedTuple):
    """What one line says: integers, but for a radius in the noise's norm, and `seconds`."""

    index: int
    label: int
    prediction: int
    radius: float
    seconds: float
    samples: int
    hits: int
    drawn: int
    image: str


class CertificationLog:
    """The log at `path` of a certification by `settings`, begun now or gone on with: `lines` are those that are there.

    Raises `InvalidInput` for a log of other settings and for a path that cannot be written, `CorruptFile` for lines
    that are none, or not as they were written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = CertificationLog(Path(folder, "cifar.tsv"), {"seed": 0})
    ...     log.append([Line(7, 3, 3, 0.25, 1.5, 1100, 990, 1000, "5feceb66ffc8")])
    ...     again = CertificationLog(Path(folder, "cifar.tsv"), {"seed": 0})
    >>> again.lines[7].radius
    0.25
    """

    def __init__(self, path: str | os.PathLike[str], settings: Settings):
        self.path = _place(path)
        self._key = json.dumps(_named(settings), sort_keys=True)
        if self.path.is_dir():
            raise InvalidInput(f"the log {self.path} is a folder; name a file in it, such as {self.path / 'log.tsv'}")
        beside = self.path.with_name(self.path.name + ".json")
        try:
            if self.path.exists():
                _require_same(self.path, beside, settings)
            else:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                beside.unlink(missing_ok=True)  # of a log that was deleted
                write(beside, (json.dumps(_named(settings), indent=1) + "\n").encode())
                write(self.path, ("\t".join(COLUMNS) + "\n").encode())
            self.lines = _read(self.path, self._key)
        except OSError as problem:
            raise InvalidInput(
                f"the log {self.path} cannot be used: {problem}; name a file in a folder of yours"
            ) from None

    def append(self, lines: Iterable[Line]) -> None:
        """Write lines, and return once they are on the disk; raises `OSError` where there is no room, say."""
        left = "".join(_text(line, self._key) for line in lines).encode("ascii")
        if not left:
            return
        with self.path.open("ab", buffering=0) as out:
            while left:  # a disk that is nearly full takes a part, and complains of the rest
                left = left[out.write(left) :]
            os.fsync(out.fileno())

    def known(self, index: Sequence[int], labels: Sequence[int], images: Sequence[str]) -> list[Line | None]:
        """The line of each image, None where there is none; raises `InvalidInput` where it was another image's."""
        found = [self.lines.get(place) for place in index]
        for line, label, image in zip(found, labels, images, strict=True):
            if line is not None and (line.label, line.image) != (label, image):
                raise InvalidInput(
                    f"the log {self.path} has image {line.index} with other numbers or another label; take another "
                    "log, or give `index`, the images' places in their data set"
                )
        return found


def digests(x: Tensor) -> list[str]:
    """Twelve hexadecimal digits for each image of x (N, ...), by its type, shape and bytes."""
    kind = f"{x.dtype} {tuple(x.shape[1:])}".encode()
    rows = x.detach().cpu().contiguous().reshape(len(x), -1).view(torch.uint8).numpy()
    return [hashlib.sha256(kind + row.tobytes()).hexdigest()[:12] for row in rows]


def digest_of(models: Sequence[nn.Module]) -> str:
    """A digest of what models are made of and of all their numbers; not of the code of their `forward`."""
    found = hashlib.sha256()
    for model in models:
        found.update(repr(model).encode())
        for name, values in model.state_dict().items():
            if isinstance(values, Tensor):
                kind = f"{name} {values.dtype} {tuple(values.shape)}"
                found.update(
                    kind.encode() + values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
                )
    return found.hexdigest()[:24]


def _place(path: object) -> Path:
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise InvalidInput(f"log = {path!r}; give the name of a file, such as 'log.tsv'")
    if Path(path).suffix in (".gz", ".bz2", ".xz", ".zst", ".zip"):
        raise InvalidInput(
            f"the log {path} would be plain text, to which lines are appended; name it {Path(path).with_suffix('')}, "
            "and compress it when it is complete"
        )
    return Path(path)


def _named(settings: Settings) -> dict[str, Any]:
    return {"lemmata certification log, format": FORMAT, **settings}


def _require_same(path: Path, beside: Path, settings: Settings) -> None:
    try:
        there = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidInput(
            f"{path} is there, but not {beside.name} that says what it belongs to; take another log"
        ) from None
    except ValueError:
        there = None
    if not isinstance(there, dict):
        raise CorruptFile(f"{beside} is not what was written; delete it and the log to begin anew")
    wanted = json.loads(json.dumps(_named(settings)))
    for name in wanted.keys() | there.keys():
        if wanted.get(name) != there.get(name):
            raise InvalidInput(
                f"the log {path} is of another certification: its {name} is {there.get(name)}, not {wanted.get(name)}; "
                "take another log"
            )


def _read(path: Path, key: str) -> dict[int, Line]:
    """The lines by index, the first of each; an unfinished last one is cut off the file."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
    head, *rest = content[:whole].decode("ascii", errors="replace").splitlines() or [""]
    if head.split("\t") != list(COLUMNS):
        raise CorruptFile(
            f"{path} does not begin with the columns {' '.join(COLUMNS)}; it is no log of a certification"
        )
    lines: dict[int, Line] = {}
    for number, text in enumerate(rest, start=2):
        try:
            line = _parsed(text)
        except ValueError:
            raise CorruptFile(
                f"{path}, line {number}: {text[:80]!r} is no line of a log; restore or delete it"
            ) from None
        said, _, check = text.rpartition("\t")
        if check != _check(said, key):
            raise CorruptFile(
                f"{path}, line {number}: {text[:80]!r} is not what was written, as its last column tells; restore it, "
                "or delete it, and the image is certified again"
            )
        lines.setdefault(line.index, line)
    return lines


def _text(line: Line, key: str) -> str:
    index, label, prediction, radius, seconds, *rest = line
    minutes, left = divmod(round(seconds, 6), 60)
    clock = f"{int(minutes) // 60}:{int(minutes) % 60:02}:{left:09.6f}"
    said = "\t".join(map(str, [index, label, prediction, repr(radius), int(prediction == label), clock, *rest]))
    return f"{said}\t{_check(said, key)}\n"


def _check(said: str, key: str) -> str:
    """Twelve hexadecimal digits of a line and of what the log belongs to."""
    return hashlib.sha256(f"{key}\n{said}".encode()).hexdigest()[:12]


def _parsed(text: str) -> Line:
    index, label, prediction, radius, _, took, samples, hits, drawn, image, _ = text.split("\t")
    hours, minutes, seconds = took.split(":")
    total = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    return Line(
        int(index), int(label), int(prediction), float(radius), total, int(samples), int(hits), int(drawn), image
    )
