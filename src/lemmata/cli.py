"""The command line. Commands are named as strings and imported when called, so that `--help` loads no torch."""

import sys

from cyclopts import App

from lemmata.errors import LemmataError
from lemmata.version import __version__

app = App(
    name="lemmata",
    help="A laboratory for the mathematics of deep learning: put a paper's claims to the test, and hand in the report.",
    version=__version__,
)
app.command("lemmata.commands.listing:list_studies", name="list", help="List the studies there are.")
app.command("lemmata.commands.running:run", name="run", help="Run a study (only what is not recorded yet) and judge its claims.")  # fmt: skip
app.command("lemmata.commands.planning:plan", name="plan", help="Show what would run, what is recorded, and a forecast of the time.")  # fmt: skip
app.command("lemmata.commands.reporting:report", name="report", help="Write the report of what is recorded, as HTML or PDF.")  # fmt: skip
app.command("lemmata.commands.comparing:compare", name="compare", help="Compare two runs, or a run with the paper.")
app.command("lemmata.commands.scaffolding:new", name="new", help="Write a study file that runs, to start from.")
app.command("lemmata.commands.doctor:doctor", name="doctor", help="Check versions, devices, data and the store.")
app.command("lemmata.commands.datasets:app", name="data", help="List and fetch data sets.")


def main() -> None:
    """Run the command line; what a user can mend is said in a sentence, without a traceback."""
    try:
        app()
    except LemmataError as error:
        print(f"lemmata: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nlemmata: stopped; what is done is recorded, and the same command goes on from there.", file=sys.stderr)
        sys.exit(130)
