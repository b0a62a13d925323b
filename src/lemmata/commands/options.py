"""Options that several commands share, with the words that `--help` shows."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from lemmata.errors import InvalidInput

DEFAULT_SCALE = "laptop"
LONGEST = 80  # characters of overrides in the name of a report
HTML, PDF = (".html", ".htm"), (".pdf",)  # how the name of a report may end
Scale = Annotated[
    Literal["smoke", "laptop", "paper"],
    Parameter(
        help="smoke: seconds; laptop: two minutes on two cores; paper: the paper's own setting. Default: laptop; for "
        "`report STUDY` the largest that has records."
    ),
]
Overrides = Annotated[
    str,
    Parameter(
        allow_leading_hyphen=True,
        help="--FIELD VALUE sets a field of the study's configuration; --FIELD A,B,C sweeps it.",
    ),
]
StorePath = Annotated[Path | None, Parameter(help="Folder of records (default: $LEMMATA_STORE or ./lemmata-store).")]


def _is_a_folder(_: object, path: Path | None) -> None:
    if path is not None and not path.expanduser().is_dir():
        raise ValueError(f"no folder at {str(path)!r}; name one that is there")


DATA_DIR = "Folder of the large data sets (default: $LEMMATA_DATA)."
DataDir = Annotated[Path | None, Parameter(help=DATA_DIR, validator=_is_a_folder)]

All = Annotated[
    bool, Parameter(name="--all", help="All studies of `lemmata list` that declare the scale.", negative="")
]
Topic = Annotated[str | None, Parameter(help="With --all: those of one topic only.")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which part of a study is meant, with how many seeds, and where its records and data are."""

    scale: Scale | None = None
    only: Annotated[tuple[str, ...], Parameter(help="Only this experiment (may be repeated).", negative="")] = ()
    seeds: Annotated[int | None, Parameter(help="How many seeds; default: what the study declares.")] = None
    until_decided: Annotated[
        int | None,
        Parameter(help="Add blocks of seeds, up to this many, until every claim is decided; the error is kept."),
    ] = None
    store: StorePath = None
    data_dir: DataDir = None

    @property
    def asked(self) -> str:
        """The scale named, or the default."""
        return self.scale or DEFAULT_SCALE

    def chosen(self, study, overrides: tuple[str, ...]) -> dict[str, Any]:
        """The options as `lemmata.laboratory.run` and `recall` take them, the overrides read and checked."""
        from lemmata.study.overrides import read

        most = self.until_decided
        if most is not None and most < 1:
            raise InvalidInput(f"--until-decided {most}: give the most seeds that may be spent, at least 1")
        return {**vars(self), "scale": self.asked, "overrides": read(study, overrides)}


EVERYTHING = Selection()


def one_or_all(
    study: str | None,
    *,
    every: bool,
    topic: str | None = None,
    overrides: tuple[str, ...] = (),
    only: tuple[str, ...] = (),
) -> str | None:
    """The study named, or None where all are meant; refuses neither, both, and what goes with the other alone.

    >>> one_or_all("hastie-2022", every=False)
    'hastie-2022'
    """
    if study is None and not every:
        raise InvalidInput("no study is named; give a name from `lemmata list`, the path of a study file, or --all")
    if every and study is not None:
        raise InvalidInput(f"give a study ({study!r}) or --all, not both")
    if topic is not None and not every:
        raise InvalidInput(f"--topic {topic!r} goes with --all, not with a study's name")
    if every and (overrides or only):
        given = " ".join([*overrides, *only])
        raise InvalidInput(f"--all takes studies as they are declared; leave out {given!r}, or name a study")
    return study


def report_path(asked: Path | None, otherwise: Path, endings: tuple[str, ...]) -> Path:
    """The report that was asked for, or `otherwise`; refused is a name that does not end as its content says.

    >>> report_path(Path("a.html"), Path("b.pdf"), (".pdf",))
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: --output a.html: this report is written to a name that ends with .pdf
    """
    if asked is None:
        return otherwise
    if asked.suffix.lower() not in endings:
        raise InvalidInput(f"--output {asked}: this report is written to a name that ends with {' or '.join(endings)}")
    return asked


def default_path(
    study: str, scale: str, ending: str, folder: Path | None = None, *, overrides: tuple[str, ...] = ()
) -> Path:
    """Where a report goes if nothing is said: other scales and settings than the declared do not overwrite it.

    >>> default_path("coin", "laptop", "html").name, default_path("coin", "smoke", "pdf").name
    ('coin.html', 'coin-smoke.pdf')
    >>> default_path("coin", "laptop", "html", overrides=("--bias", "0.4,0.6")).name
    'coin-bias-0.4,0.6.html'
    """
    other = "" if scale == DEFAULT_SCALE else f"-{scale}"
    return (folder or Path("lemmata-reports")) / f"{study}{other}{_in_a_name(overrides)}.{ending}"


def _in_a_name(overrides: tuple[str, ...]) -> str:
    """Overrides as a part of a file's name; of many, the first and a digest of all."""
    words = re.sub(r"[^\w.,-]+", "-", "".join(f"-{word.removeprefix('--')}" for word in overrides))
    if len(words) <= LONGEST:
        return words
    return f"{words[:LONGEST]}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"
