"""`lemmata list`: the studies there are, read without importing them."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lemmata.catalogue import entries


def list_studies(*, folder: Path | None = None) -> None:
    """List the studies that come with lemmata, those of installed packages, and those in a folder.

    Parameters
    ----------
    folder
        Where to look for study files of your own (default: here).
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("study", style="bold", no_wrap=True)
    table.add_column("what it is about")
    for entry in entries(folder or Path.cwd()):
        problem = Text(f"cannot be read: {entry.problem}", style="red")
        table.add_row(Text(entry.name), problem if entry.problem else Text(entry.summary))
    Console().print(table)
