"""A titled table with notes, drawn by rich for the terminal and as an escaped section of HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from rich.console import Group


@dataclass(frozen=True)
class Layout:
    """Columns by name, rows of texts, and notes below.

    >>> print(Layout("t", ("a",), [("<1>",)], ["note"]).as_html())
    <section><h2>t</h2><table><thead><tr><th scope="col">a</th></tr></thead><tbody><tr><td>&lt;1&gt;</td></tr></tbody></table><p>note</p></section>
    """  # noqa: E501

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def as_table(self) -> Group:
        """What the terminal shows; texts are not read as rich's markup."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(self.title), title_justify="left", show_lines=True)
        for column in self.columns:
            table.add_column(column)
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in row))
        return Group(table, *(Text(note) for note in self.notes))

    def as_html(self) -> Markup:
        """A section to put into a page; line breaks inside a cell are kept."""
        heads = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in self.columns)
        body = Markup("").join(Markup("<tr>{}</tr>").format(_cells(row)) for row in self.rows)
        notes = Markup("").join(Markup("<p>{}</p>").format(note) for note in self.notes)
        table = Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(heads, body)
        return Markup("<section><h2>{}</h2>{}{}</section>").format(self.title, table, notes)


def _cells(row: Sequence[str]) -> Markup:
    broken = (Markup("<br>").join(escape(line) for line in cell.split("\n")) for cell in row)
    return Markup("").join(Markup("<td>{}</td>").format(cell) for cell in broken)
