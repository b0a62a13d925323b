"""`lemmata run --all`: every study that declares the scale, one after the other, a report of each and one of all.

A study that cannot be run is told at the end and stops none of the others.
"""

import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from lemmata.commands.options import Selection, default_path
from lemmata.commands.overview_table import overview_table
from lemmata.commands.progress import Progress
from lemmata.commands.running import tell_failures, write_reports
from lemmata.errors import LemmataError
from lemmata.report.overview import Line, write


def run_all(
    selection: Selection, *, topic: str | None, engine: str, workers: int | None, pdf: bool, folder: Path | None
) -> None:
    """Run all studies; exits with status 1 if a trial or a study failed. Ctrl-C keeps what is done."""
    from lemmata import laboratory

    console = Console()
    start = time.perf_counter()
    lines: list[Line] = []
    broken: dict[str, str] = {}
    interrupted = False
    for name, study in laboratory.declaring(selection.asked, broken, folder=Path.cwd(), topic=topic):
        console.rule(name, align="left")
        path = default_path(name, selection.asked, "html", folder)
        try:
            finished = _run(study, selection, console, engine=engine, workers=workers)
            write_reports(finished, path, pdf=pdf, console=console)
        except LemmataError as error:
            broken[name] = str(error)
            continue
        except Exception as error:  # of a study's own code, or a defect here: neither may cost the studies that follow
            broken[name] = f"{type(error).__name__}: {error}"
            continue
        absent = finished.plan.missing
        lines.append(Line(finished.study, selection.asked, finished.verdicts, page=path.name, absent=absent))
        tell_failures(finished, console)
        if finished.outcome.failed:
            broken[name] = f"{len(finished.outcome.failed)} trials failed"
        if finished.outcome.interrupted:
            interrupted = True
            break
    console.print(overview_table(lines))
    page = write(lines, default_path("index", selection.asked, "html", folder))
    console.print(f"all in {(time.perf_counter() - start) / 60:.1f} minutes; overview: {page}", soft_wrap=True)
    for name, error in broken.items():
        console.print(f"{name}: {error}", style="red", markup=False, soft_wrap=True)
    if interrupted:
        raise KeyboardInterrupt
    if broken:
        sys.exit(1)


def _run(study: Any, selection: Selection, console: Console, *, engine: str, workers: int | None) -> Any:
    from lemmata import laboratory

    with Progress(console) as progress:
        return laboratory.run(
            study,
            **selection.chosen(study, ()),
            engine=engine,
            workers=workers,
            on_plan=progress.planned,
            on_event=progress.event,
        )
