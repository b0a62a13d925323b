"""`lemmata run`: run a study, judge its claims, write the report."""

import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from lemmata.commands.options import EVERYTHING, Overrides, Selection, default_path
from lemmata.commands.progress import Progress
from lemmata.commands.verdict_table import verdict_table


def run(
    study: str,
    *overrides: Overrides,
    selection: Selection = EVERYTHING,
    engine: Annotated[
        Literal["processes", "serial"], Parameter(help="Worker processes with a share of the cores, or this process.")
    ] = "processes",
    workers: Annotated[int | None, Parameter(help="Worker processes (default: the cores there are).")] = None,
    pdf: Annotated[bool, Parameter(help="Write the report as PDF too.", negative="")] = False,
    output: Annotated[Path | None, Parameter(help="The report (default: lemmata-reports/STUDY.html).")] = None,
) -> None:
    """Run a study: only what is not recorded yet. Stop it at any time; the same command goes on.

    Parameters
    ----------
    study
        A name from `lemmata list`, or the path of a study file.
    """
    from lemmata import laboratory
    from lemmata.study.registry import load

    loaded = load(study)
    console = Console()
    with Progress(console) as progress:
        finished = laboratory.run(
            loaded,
            **selection.chosen(loaded, overrides),
            engine=engine,
            workers=workers,
            on_plan=progress.planned,
            on_event=progress.event,
        )
    assert finished.outcome is not None
    if finished.outcome.interrupted and not any(len(table) for table in finished.tables.values()):
        raise KeyboardInterrupt  # stopped before the first record: there is nothing to judge
    console.print(verdict_table(finished))
    path = output or default_path(loaded.name, selection.scale, "html")
    command = shlex.join(["lemmata", *sys.argv[1:]])
    for file in (path, path.with_suffix(".pdf")) if pdf else (path,):
        console.print(f"report: {finished.report(file, command=command)}", soft_wrap=True)
    alike = Counter((failure.trial.experiment, failure.error) for failure in finished.outcome.failed)
    for (experiment, error), count in alike.items():
        words = f"failed: {count} {'trial' if count == 1 else 'trials'} of experiment {experiment!r}: {error}"
        console.print(words, style="red", markup=False, soft_wrap=True)
    if finished.outcome.interrupted:
        raise KeyboardInterrupt
    if finished.outcome.failed:
        sys.exit(1)
