"""Options that several commands share, with the words that `--help` shows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

Scale = Annotated[
    Literal["smoke", "laptop", "paper"],
    Parameter(help="smoke: seconds; laptop: two minutes on two cores; paper: the paper's own setting."),
]
Overrides = Annotated[
    str,
    Parameter(
        allow_leading_hyphen=True,
        help="--FIELD VALUE sets a field of the study's configuration; --FIELD A,B,C sweeps it.",
    ),
]
StorePath = Annotated[Path | None, Parameter(help="Folder of records (default: $LEMMATA_STORE or ./lemmata-store).")]
DataDir = Annotated[Path | None, Parameter(help="Folder of the large data sets (default: $LEMMATA_DATA).")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which part of a study is meant, with how many seeds, and where its records and data are."""

    scale: Scale = "laptop"
    only: Annotated[tuple[str, ...], Parameter(help="Only this experiment (may be repeated).", negative="")] = ()
    seeds: Annotated[int | None, Parameter(help="How many seeds; default: what the study declares.")] = None
    until_decided: Annotated[
        int | None,
        Parameter(help="Add blocks of seeds, up to this many, until every claim is decided; the error is kept."),
    ] = None
    store: StorePath = None
    data_dir: DataDir = None

    def chosen(self, study, overrides: tuple[str, ...]) -> dict[str, Any]:
        """The options as `lemmata.laboratory.run` and `recall` take them, the overrides read and checked."""
        from lemmata.study.overrides import read

        return {**vars(self), "overrides": read(study, overrides)}


EVERYTHING = Selection()


def default_path(study: str, scale: str, ending: str) -> Path:
    """Where a report goes if nothing is said: scales but the default one do not overwrite it.

    >>> default_path("coin", "laptop", "html").name, default_path("coin", "smoke", "pdf").name
    ('coin.html', 'coin-smoke.pdf')
    """
    return Path("lemmata-reports") / f"{study}{'' if scale == 'laptop' else f'-{scale}'}.{ending}"
