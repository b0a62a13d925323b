"""`lemmata report`: write the report of what is recorded, of one study or of all."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from lemmata.commands.options import EVERYTHING, All, Overrides, Selection, Topic, default_path, one_or_all
from lemmata.errors import InvalidInput


def report(
    study: str | None = None,
    *overrides: Overrides,
    every: All = False,
    topic: Topic = None,
    selection: Selection = EVERYTHING,
    pdf: Annotated[bool, Parameter(help="Write a PDF instead of HTML.", negative="")] = False,
    output: Annotated[
        Path | None,
        Parameter(help="The report (default: lemmata-reports/STUDY.html or .pdf; with --all, index.html, or a .md)."),
    ] = None,
) -> None:
    """Write the report of what is recorded; nothing is run.

    Parameters
    ----------
    study
        A name from `lemmata list`, or the path of a study file.
    """
    from lemmata import laboratory
    from lemmata.study.registry import load

    named = one_or_all(study, every=every, topic=topic, overrides=overrides, only=selection.only)
    if named is None:
        if pdf:
            raise InvalidInput("--pdf is for the report of one study; the page of all is HTML, or Markdown (.md)")
        Console().print(f"report: {_of_all(selection, topic, output)}", soft_wrap=True)
        return
    loaded = load(named)
    recalled = laboratory.recall(loaded, **selection.chosen(loaded, overrides))
    path = output or default_path(loaded.name, selection.scale, "pdf" if pdf else "html")
    command = shlex.join(["lemmata", *sys.argv[1:]])
    Console().print(f"report: {recalled.report(path, command=command)}", soft_wrap=True)


def _of_all(selection: Selection, topic: str | None, output: Path | None) -> Path:
    """Write the overview of what is recorded; a study that cannot be loaded is told and left out."""
    from lemmata import laboratory
    from lemmata.report.overview import Line, write

    path = output or default_path("index", selection.scale, "html")
    broken: dict[str, str] = {}
    lines = []
    for name, study in laboratory.declaring(selection.scale, broken, folder=Path.cwd(), topic=topic):
        recalled = laboratory.recall(study, **selection.chosen(study, ()))
        if recalled.plan.cached:
            own = default_path(name, selection.scale, "html", path.parent)
            page = own.name if own.exists() else ""
            scale = f"{selection.scale}, in part" if recalled.plan.trials else selection.scale
            lines.append(Line(recalled.study, scale, recalled.verdicts, page=page, absent=recalled.plan.missing))
        else:
            lines.append(Line(study, "not run", ()))
    for name, error in broken.items():
        Console(stderr=True).print(f"{name}: {error}", style="red", markup=False, soft_wrap=True)
    return write(lines, path)
