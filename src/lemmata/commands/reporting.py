"""`lemmata report`: write the report of what is recorded."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from lemmata.commands.options import EVERYTHING, Overrides, Selection, default_path


def report(
    study: str,
    *overrides: Overrides,
    selection: Selection = EVERYTHING,
    pdf: Annotated[bool, Parameter(help="Write a PDF instead of HTML.", negative="")] = False,
    output: Annotated[Path | None, Parameter(help="The report (default: lemmata-reports/STUDY.html or .pdf).")] = None,
) -> None:
    """Write the report of what is recorded; nothing is run.

    Parameters
    ----------
    study
        A name from `lemmata list`, or the path of a study file.
    """
    from lemmata import laboratory
    from lemmata.study.registry import load

    loaded = load(study)
    recalled = laboratory.recall(loaded, **selection.chosen(loaded, overrides))
    path = output or default_path(loaded.name, selection.scale, "pdf" if pdf else "html")
    command = shlex.join(["lemmata", *sys.argv[1:]])
    Console().print(f"report: {recalled.report(path, command=command)}", soft_wrap=True)
