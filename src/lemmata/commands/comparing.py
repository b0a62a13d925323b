"""`lemmata compare`: two runs claim by claim, or a run with the paper."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from lemmata.commands.options import DataDir, Scale
from lemmata.errors import InvalidInput


def compare(
    first: str,
    second: str | None = None,
    *,
    with_paper: Annotated[bool, Parameter(help="Set one run beside the paper's numbers.", negative="")] = False,
    scale: Scale = "laptop",
    data_dir: DataDir = None,
) -> None:
    """Compare two runs claim by claim, or (`--with-paper`) one run with the paper's numbers.

    Parameters
    ----------
    first
        A run: STUDY, STUDY@STORE (another store), or STUDY@STORE:SCALE.
    second
        Another run, written the same way.
    """
    from lemmata import compare as comparison

    if with_paper == (second is not None):
        raise InvalidInput("compare two runs (`lemmata compare RUN RUN`) or one with the paper (`RUN --with-paper`)")
    a = _recall(first, scale, data_dir)
    console = Console()
    if second is None:
        console.print(comparison.with_paper(a).as_table())
    else:
        console.print(comparison.runs(a, _recall(second, scale, data_dir)).as_table())


def _recall(name: str, scale: str, data_dir: Path | None):
    from lemmata import laboratory

    study, _, place = name.partition("@")
    store, _, own_scale = place.partition(":")
    if store and not Path(store).is_dir():
        raise InvalidInput(f"no store at {store!r}; write a run as STUDY@STORE:SCALE with an existing folder")
    return laboratory.recall(study, scale=own_scale or scale, store=store or None, data_dir=data_dir)
