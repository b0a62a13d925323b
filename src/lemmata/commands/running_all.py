"""`lemmata run --all`: every study that declares the scale by the same workers, a report of each and one of all.

A study that cannot be run is told at the end and stops none of the others.
"""

import sys
import time
from pathlib import Path

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

    page = default_path("index", selection.asked, "html", folder)
    page.parent.mkdir(parents=True, exist_ok=True)  # before the work, so that it is not in vain
    console = Console()
    start = time.perf_counter()
    lines: list[Line] = []
    broken: dict[str, str] = {}
    interrupted = False
    studies = [study for _, study in laboratory.declaring(selection.asked, broken, folder=Path.cwd(), topic=topic)]
    with Progress(console, studies=len(studies)) as progress:
        for study, finished in laboratory.run_each(
            studies,
            **{**vars(selection), "scale": selection.asked},
            engine=engine,
            workers=workers,
            on_plan=progress.planned,
            on_event=progress.event,
        ):
            progress.over(study.name)
            try:
                if isinstance(finished, Exception):
                    raise finished
                path = default_path(study.name, selection.asked, "html", folder)
                write_reports(finished, path, pdf=pdf, console=console)
            except LemmataError as error:
                broken[study.name] = str(error)
                continue
            except Exception as error:  # of a study's own code, or a defect here: neither may cost the other studies
                broken[study.name] = f"{type(error).__name__}: {error}"
                continue
            absent = finished.plan.missing
            lines.append(Line(finished.study, selection.asked, finished.verdicts, page=path.name, absent=absent))
            tell_failures(finished, console)
            assert finished.outcome is not None
            if finished.outcome.failed:
                broken[study.name] = f"{len(finished.outcome.failed)} trials failed"
            interrupted |= finished.outcome.interrupted
    console.print(overview_table(lines))
    minutes = (time.perf_counter() - start) / 60
    console.print(f"all in {minutes:.1f} minutes; overview: {write(lines, page)}", soft_wrap=True)
    for name, error in broken.items():
        console.print(f"{name}: {error}", style="red", markup=False, soft_wrap=True)
    if interrupted:
        raise KeyboardInterrupt
    if broken:
        sys.exit(1)
