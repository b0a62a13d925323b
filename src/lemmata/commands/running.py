"""`lemmata run`: run a study, or all there are, judge the claims, write the reports."""

import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from lemmata.commands.options import (
    EVERYTHING,
    HTML,
    All,
    Overrides,
    Selection,
    Topic,
    default_path,
    one_or_all,
    report_path,
)
from lemmata.commands.progress import Progress
from lemmata.commands.recalling import tell_damaged
from lemmata.commands.verdict_table import verdict_table

Engine = Annotated[
    Literal["processes", "serial"], Parameter(help="Worker processes with a share of the cores, or this process.")
]


def run(
    study: str | None = None,
    *overrides: Overrides,
    every: All = False,
    topic: Topic = None,
    selection: Selection = EVERYTHING,
    engine: Engine = "processes",
    workers: Annotated[int | None, Parameter(help="Worker processes (default: the cores there are).")] = None,
    pdf: Annotated[bool, Parameter(help="Write the report as PDF too.", negative="")] = False,
    output: Annotated[
        Path | None,
        Parameter(
            help="The report (default: lemmata-reports/STUDY.html; overrides are added to the name); with --all, "
            "their folder."
        ),
    ] = None,
) -> None:
    """Run a study: only what is not recorded yet. Stop it at any time; the same command goes on.

    Parameters
    ----------
    study
        A name from `lemmata list`, or the path of a study file.
    """
    from lemmata import laboratory
    from lemmata.study.registry import load

    named = one_or_all(study, every=every, topic=topic, overrides=overrides, only=selection.only)
    if named is None:
        from lemmata.commands.running_all import run_all

        run_all(selection, topic=topic, engine=engine, workers=workers, pdf=pdf, folder=output)
        return
    loaded = load(named)
    path = report_path(output, default_path(loaded.name, selection.asked, "html", overrides=overrides), HTML)
    chosen = selection.chosen(loaded, overrides)
    path.parent.mkdir(parents=True, exist_ok=True)  # before the work: a report that cannot be written is refused now
    console = Console()
    with Progress(console) as progress:
        finished = laboratory.run(
            loaded,
            **chosen,
            engine=engine,
            workers=workers,
            on_plan=progress.planned,
            on_event=progress.event,
        )
    assert finished.outcome is not None
    if finished.outcome.interrupted and not any(len(table) for table in finished.tables.values()):
        raise KeyboardInterrupt  # stopped before the first record: there is nothing to judge
    console.print(verdict_table(finished))
    tell_damaged(finished.store, console)
    write_reports(finished, path, pdf=pdf, console=console)
    tell_failures(finished, console)
    if finished.outcome.interrupted:
        raise KeyboardInterrupt
    if finished.outcome.failed:
        sys.exit(1)


def write_reports(finished, path: Path, *, pdf: bool, console: Console) -> None:
    """Write the report of a run, as PDF too if asked, and say where."""
    command = shlex.join(["lemmata", *sys.argv[1:]])
    for file in (path, path.with_suffix(".pdf")) if pdf else (path,):
        console.print(f"report: {finished.report(file, command=command)}", soft_wrap=True)


def tell_failures(finished, console: Console) -> None:
    """Say which trials failed and why, alike ones once."""
    alike = Counter((failure.trial.experiment, failure.error) for failure in finished.outcome.failed)
    for (experiment, error), count in alike.items():
        words = f"failed: {count} {'trial' if count == 1 else 'trials'} of experiment {experiment!r}: {error}"
        console.print(words, style="red", markup=False, soft_wrap=True)
