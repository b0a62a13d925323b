"""`lemmata new`: a study file that runs, to start from."""

import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from lemmata.errors import InvalidInput


def new(
    name: str,
    *,
    from_: Annotated[str | None, Parameter(name="--from", help="A study to extend; its records are shared.")] = None,
    folder: Path = Path(),
) -> None:
    """Write NAME.py: a small study that runs, or an extension of one there is.

    Parameters
    ----------
    name
        Lower-case words joined by hyphens, as in my-extension.
    folder
        Where to write it.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise InvalidInput(f"{name!r} cannot name a study; use lower-case words joined by hyphens, as in my-extension")
    file = folder / f"{name.replace('-', '_')}.py"
    if file.exists():
        raise InvalidInput(f"{file} exists already; choose another name, or remove it first")
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(_render(name, from_, file), encoding="utf-8")
    Console().print(f"wrote {file}; run it with: lemmata run {file}", soft_wrap=True)


def _render(name: str, base: str | None, file: Path) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("lemmata.commands", "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # the template is Python, not HTML
    )
    title = name.replace("-", " ").capitalize()
    if base is None:
        return templates.get_template("study.py.jinja").render(name=name, title=title, file=file)
    from lemmata.study.config import field_names
    from lemmata.study.registry import load

    experiments = [(e.name, field_names(e.config)) for e in load(base).experiments.values()]
    return templates.get_template("extension.py.jinja").render(
        name=name, title=title, file=file, base=base, experiments=experiments
    )
