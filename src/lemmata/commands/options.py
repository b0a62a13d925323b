"""Options that several commands share, with the words that `--help` shows."""

from pathlib import Path
from typing import Annotated, Literal

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
Only = Annotated[tuple[str, ...], Parameter(help="Only this experiment of the study (may be repeated).", negative="")]
Seeds = Annotated[int | None, Parameter(help="How many seeds; default: what the study declares.")]
StorePath = Annotated[Path | None, Parameter(help="Folder of records (default: $LEMMATA_STORE or ./lemmata-store).")]
DataDir = Annotated[Path | None, Parameter(help="Folder of the large data sets (default: $LEMMATA_DATA).")]
UntilDecided = Annotated[
    int | None,
    Parameter(help="Add blocks of seeds, up to this many, until every claim is decided; the error is kept."),
]
