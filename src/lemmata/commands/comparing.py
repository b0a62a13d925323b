"""`lemmata compare`: two runs claim by claim, or a run with the paper."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from lemmata.commands.options import DataDir, Scale, StorePath
from lemmata.commands.recalling import recalled
from lemmata.errors import InvalidInput

RunScale = Annotated[Scale | None, Parameter(help="The scale of both (default: the largest that has records).")]


def compare(
    first: str,
    second: str | None = None,
    *,
    with_paper: Annotated[bool, Parameter(help="Set one run beside the paper's numbers.", negative="")] = False,
    scale: RunScale = None,
    store: StorePath = None,
    data_dir: DataDir = None,
) -> None:
    """Compare two runs claim by claim, or (`--with-paper`) one run with the paper's numbers.

    Parameters
    ----------
    first
        A run: STUDY (of --store and --scale), STUDY@STORE (of another store), or STUDY@STORE:SCALE.
    second
        Another run, written the same way.
    """
    from lemmata import compare as comparison
    from lemmata.study.registry import load

    if with_paper == (second is not None):
        raise InvalidInput("compare two runs (`lemmata compare RUN RUN`) or one with the paper (`RUN --with-paper`)")
    named = [_named(run, scale, store) for run in (first, second) if run is not None]
    found = [recalled(load(study), own_scale, store=place, data_dir=data_dir) for study, place, own_scale in named]
    shown = comparison.with_paper(found[0]) if with_paper else comparison.runs(*found)
    Console().print(shown.as_table())


def _named(run: str, scale: str | None, store: Path | None) -> tuple[str, Path | None, str | None]:
    """The study, the store and the scale that a run's name says, or else those given."""
    study, _, place = run.partition("@")
    own_store, _, own_scale = place.partition(":")
    if own_store and not Path(own_store).is_dir():
        raise InvalidInput(f"no store at {own_store!r}; write a run as STUDY@STORE:SCALE with an existing folder")
    return study, Path(own_store) if own_store else store, own_scale or scale
