"""`lemmata data`: the data sets there are, and fetching one."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lemmata.commands.options import DATA_DIR, DataDir

app = App(name="data", help="List and fetch data sets.")


@app.command(name="list")
def list_datasets(*, data_dir: DataDir = None) -> None:
    """List the data sets, and which of them are on this machine."""
    from lemmata import data

    Console().print(availability(data.available(data_dir)))


@app.command
def fetch(
    name: str,
    *,
    data_dir: Annotated[Path | None, Parameter(help=DATA_DIR)] = None,
    quiet: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Download a data set, checked against its published checksums; an interrupted download goes on.

    Parameters
    ----------
    name
        A name from `lemmata data list`.
    quiet
        Show no progress.
    """
    from lemmata import data

    place = data.download(name, data_dir=data_dir, progress=not quiet)
    words = place if place is not None else "needs no file; it comes with the installation"
    Console().print(f"{name}: {words}", soft_wrap=True)


def availability(found) -> Table:
    """A table of data sets: found where, or why not."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("data set", style="bold", no_wrap=True)
    table.add_column("here")
    for item in found:
        table.add_row(item.name, Text(str(item.where)) if item.found else Text(f"no: {item.reason}", style="dim"))
    return table
