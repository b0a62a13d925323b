"""The table of all studies as the terminal shows it."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from lemmata.commands.verdict_table import STYLE
from lemmata.report.overview import Line
from lemmata.verdicts import Outcome


def overview_table(lines: Sequence[Line]) -> Table:
    """One row a study: its phenomenon, how its claims came out, how many controls were refuted."""
    table = Table(title="Which study shows what", title_justify="left")
    table.add_column("phenomenon")
    table.add_column("study", no_wrap=True)
    table.add_column("verdicts")
    table.add_column("controls refuted")
    for line in sorted(lines, key=lambda line: (line.phenomenon, line.study.name)):
        words = [
            Text(f"{known.symbol} {count} {known.word}", style=STYLE[Outcome(known.word)])
            for known, count in line.summary
        ]
        table.add_row(line.phenomenon, line.study.name, Text(", ").join(words), line.controls)
    return table
