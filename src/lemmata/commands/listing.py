"""`lemmata list`: the studies there are, read without importing them."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lemmata.catalogue import entries
from lemmata.errors import UnknownName


def list_studies(*, folder: Path | None = None, topic: str | None = None) -> None:
    """List the studies that come with lemmata, those of installed packages, and those in a folder.

    Parameters
    ----------
    folder
        Where to look for study files of your own (default: here).
    topic
        List those of one topic only.
    """
    found = entries(folder or Path.cwd())
    topics = sorted({entry.topic for entry in found} - {""})
    if topic is not None and topic not in topics:
        raise UnknownName("topic", topic, topics)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("study", style="bold", no_wrap=True)
    table.add_column("topic")
    table.add_column("question")
    for entry in found:
        if topic in (None, entry.topic):
            problem = Text(f"cannot be read: {entry.problem}", style="red")
            table.add_row(Text(entry.name), Text(entry.topic), problem if entry.problem else Text(entry.question))
    Console().print(table)
