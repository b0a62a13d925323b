"""`lemmata report`: write the report of what is recorded, of one study or of all."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from lemmata.commands.options import (
    EVERYTHING,
    HTML,
    PDF,
    All,
    Overrides,
    Selection,
    Topic,
    default_path,
    one_or_all,
    report_path,
)
from lemmata.commands.recalling import recalled, tell_damaged
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
    """Write the report of what is recorded, at the largest scale that has records unless --scale is given; run nothing.

    Parameters
    ----------
    study
        A name from `lemmata list`, or the path of a study file.
    """
    from lemmata.study.registry import load

    named = one_or_all(study, every=every, topic=topic, overrides=overrides, only=selection.only)
    if named is None:
        if pdf:
            raise InvalidInput("--pdf is for the report of one study; the page of all is HTML, or Markdown (.md)")
        Console().print(f"report: {_of_all(selection, topic, output)}", soft_wrap=True)
        return
    loaded = load(named)
    found = recalled(loaded, **{**selection.chosen(loaded, overrides), "scale": selection.scale})
    kind = "pdf" if pdf else "html"
    path = report_path(
        output, default_path(loaded.name, found.plan.scale, kind, overrides=overrides), PDF if pdf else HTML
    )
    command = shlex.join(["lemmata", *sys.argv[1:]])
    tell_damaged(found.store, Console(stderr=True))
    Console().print(f"report, {found.plan.scale} scale: {found.report(path, command=command)}", soft_wrap=True)


def _of_all(selection: Selection, topic: str | None, output: Path | None) -> Path:
    """Write the overview of what is recorded; a study that cannot be loaded is told and left out."""
    from lemmata import laboratory
    from lemmata.report.overview import Line, write

    path = report_path(output, default_path("index", selection.asked, "html"), (*HTML, ".md"))
    if selection.store is not None and not selection.store.is_dir():
        raise InvalidInput(f"no store at {str(selection.store)!r}; name the folder that `lemmata run --store` wrote")
    broken: dict[str, str] = {}
    lines = []
    store = laboratory.open_store(selection.store)  # once, for all its records are read where it is opened
    for name, study in laboratory.declaring(selection.asked, broken, folder=Path.cwd(), topic=topic):
        found = laboratory.recall(study, **{**selection.chosen(study, ()), "store": store})
        if found.plan.cached:
            own = default_path(name, selection.asked, "html", path.parent)
            page = own.name if own.exists() else ""
            scale = f"{selection.asked}, in part" if found.plan.trials else selection.asked
            lines.append(Line(found.study, scale, found.verdicts, page=page, absent=found.plan.missing))
        else:
            lines.append(Line(study, "not run", ()))
    for name, error in broken.items():
        Console(stderr=True).print(f"{name}: {error}", style="red", markup=False, soft_wrap=True)
    return write(lines, path)
