"""One offline HTML file: text, tables, strip plots, figures as posters that become interactive on a click.

Nothing is fetched: a content policy in the page forbids it. Every text is escaped by jinja2; what is marked safe is
made here and escapes its own text. The same inputs give the same bytes. Cost: 2 MB a file, most of it plotly.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lemmata.figures import static
from lemmata.figures.figure import Figure
from lemmata.report import interactive
from lemmata.report.content import Content, gather
from lemmata.report.drawings import Drawings
from lemmata.report.equations import Equations
from lemmata.version import __version__

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment
    from markupsafe import Markup

    from lemmata.plan import Plan
    from lemmata.records import Store
    from lemmata.study.study import Study
    from lemmata.verdicts import Verdict


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
    """Write the report to `path`, whose folder is made if it is missing, and return the path.

    `store` gives provenance and times; `command` is the line that made the run.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # a folder that holds drawings but no record yet would be no store
    drawings = Drawings(store.path / "drawings" if store is not None and store.keys() else None)
    page = render(gather(study, plan, tables, verdicts, store=store, command=command), drawings)
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


def render(content: Content, drawings: Drawings | None = None) -> str:
    """The page of a report's content; `drawings` keeps what is drawn for the next time."""
    from markupsafe import Markup

    drawings = drawings or Drawings(None)
    return environment(content.texts).get_template("report.html").render(
        report=content, figures=[_shown(figure, drawings) for figure in content.figures], version=__version__,
        css=style(), js=Markup(_template("report.js")),
        bundle=drawings.of("plotly's bundle", interactive.bundle) if content.figures else "",
    )  # fmt: skip


def environment(texts: Sequence[str]) -> Environment:
    """The templates, and a filter `formulas` that turns what stands between dollars in `texts` into MathML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
    from markupsafe import Markup, escape

    equations = Equations(texts)

    def formulas(text: str) -> Markup:
        pieces = equations.pieces(text)
        return Markup("").join(Markup(equations.mathml[p.text]) if p.math else escape(p.text) for p in pieces)

    made = Environment(
        loader=PackageLoader("lemmata.report"), autoescape=select_autoescape(), undefined=StrictUndefined,
        trim_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    made.filters["formulas"] = formulas
    return made


def style() -> Markup:
    """The style sheet of a page."""
    from markupsafe import Markup

    return Markup(_template("report.css"))


def _shown(figure: Figure, drawings: Drawings) -> dict[str, Any]:
    svg = drawings.of(figure, lambda: str(static.render(figure, title=False)))
    return {
        "title": figure.title,
        "caption": figure.caption,
        "alt": f"{figure.title}. {figure.caption}",
        "panels": len(figure.panels),
        "svg": base64.b64encode(svg.encode()).decode(),
        "json": interactive.payload(figure),
    }


def _template(name: str) -> str:
    return files("lemmata.report").joinpath("templates", name).read_text(encoding="utf-8")
