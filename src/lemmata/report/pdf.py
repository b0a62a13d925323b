"""The same report on paper, set by typst: title, table of verdicts, every claim, figures, methods, reference.

The template reads the content as JSON, so no text can become markup; only formulas are evaluated, as mathematics. Fonts
are those inside typst, so that the page looks the same everywhere. Cost: about a second.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lemmata.figures import static
from lemmata.report.content import Content, gather
from lemmata.report.equations import Equations

if TYPE_CHECKING:
    import pandas as pd

    from lemmata.plan import Plan
    from lemmata.records import Store
    from lemmata.study.study import Study
    from lemmata.verdicts import Verdict

FONT = "Libertinus Serif"
VERBATIM = {"bibtex", "command", "ink", "symbol", "word", "image", "alt", "plain_title"}


def write(
    study: Study,
    plan: Plan,
    tables: Mapping[str, pd.DataFrame],
    verdicts: Sequence[Verdict],
    path: Path | str,
    *,
    store: Store | None = None,
    command: str = "",
) -> Path:
    """Write the report as PDF to `path`, whose folder is made if it is missing, and return the path.

    `store` gives provenance and times; `command` is the line that made the run.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = gather(study, plan, tables, verdicts, store=store, command=command, font=FONT)
    path.write_bytes(render(content))
    return path


def render(content: Content, *, format: str = "pdf", ppi: float | None = None) -> Any:
    """The bytes of the PDF (or, with format "png", of the page or pages)."""
    import typst

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "report.json").write_text(json.dumps(_described(content, place)), encoding="utf-8")
        template = files("lemmata.report").joinpath("templates", "report.typ").read_text(encoding="utf-8")
        (place / "report.typ").write_text(template, encoding="utf-8")
        compiler = typst.Compiler(place / "report.typ", root=place, ignore_system_fonts=True)
        return compiler.compile(format=format, ppi=ppi)  # pyright: ignore[reportArgumentType]


def _described(content: Content, place: Path) -> dict[str, Any]:
    """The content as plain data; pictures become files in `place`."""
    equations = Equations(content.texts)
    described = _plain(dataclasses.replace(content, figures=()), equations)
    described["plain_title"] = content.title
    for i, (claim, row) in enumerate(zip(content.claims, described["claims"], strict=True)):
        for j, (part, cell) in enumerate(zip(claim.components, row["components"], strict=True)):
            cell |= {"image": _file(place, f"strip-{i}-{j}.svg", part.strip), "alt": f"{part.label}: {part.ours}"}
            del cell["strip"]
    described["figures"] = [
        _plain({"title": figure.title, "caption": figure.caption}, equations)
        | {
            "image": _file(place, f"figure-{i}.svg", str(static.render(figure, title=False))),
            "alt": f"{figure.title}. {figure.caption}",
            "panels": len(figure.panels),
        }
        for i, figure in enumerate(content.figures)
    ]
    return described


def _file(place: Path, name: str, svg: str) -> str:
    if svg:
        (place / name).write_text(svg, encoding="utf-8")
    return name if svg else ""


def _plain(value: Any, equations: Equations, name: str = "") -> Any:
    """Dataclasses as dictionaries, texts as lists of pieces, save those that are printed as they stand."""
    if isinstance(value, str):
        if name in VERBATIM:
            return value
        return [dataclasses.asdict(piece) for piece in equations.pieces(value)]
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(entry, equations, key) for key, entry in value.items()}
    if isinstance(value, tuple):
        return [_plain(entry, equations, name) for entry in value]
    return value
