"""The command line. Commands are named as strings and imported when called, so that `--help` loads no torch."""

import sys

from cyclopts import App

from lemmata.errors import LemmataError
from lemmata.version import __version__

app = App(
    name="lemmata",
    help="A laboratory for the mathematics of deep learning: put a paper's claims to the test, and hand in the report.",
    version=__version__,
    suppress_keyboard_interrupt=False,  # `main` says that what is done is recorded
)

COMMANDS = {
    "list": ("listing:list_studies", "List the studies there are."),
    "run": ("running:run", "Run a study (only what is not recorded yet) and judge its claims."),
    "plan": ("planning:plan", "Show what would run, what is recorded, and a forecast of the time."),
    "report": ("reporting:report", "Write the report of what is recorded, as HTML or PDF."),
    "compare": ("comparing:compare", "Compare two runs, or a run with the paper."),
    "new": ("scaffolding:new", "Write a study file that runs, to start from."),
    "doctor": ("doctor:doctor", "Check versions, devices, data and the store."),
    "data": ("datasets:app", "List and fetch data sets."),
}
for name, (place, words) in COMMANDS.items():
    app.command(f"lemmata.commands.{place}", name=name, help=words)


def main() -> None:
    """Run the command line; what a user can mend is said in a sentence, without a traceback."""
    try:
        app(sys.argv[1:])
    except LemmataError as error:
        print(f"lemmata: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        place = f" {error.filename!r}" if error.filename else ""
        print(
            f"lemmata: cannot use{place}: {error.strerror or error}; check the path, or name another", file=sys.stderr
        )
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nlemmata: stopped; what is done is recorded, and the same command goes on from there.", file=sys.stderr)
        sys.exit(130)
