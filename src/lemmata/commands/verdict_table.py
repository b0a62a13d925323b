"""The table of verdicts as the terminal shows it."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from lemmata.laboratory import Run
from lemmata.report.badges import badge
from lemmata.verdicts import Outcome, Verdict

# colours that read on dark and on light grounds; the words and symbols say the same
STYLE = {
    Outcome.REPRODUCED: "bold green",
    Outcome.DIRECTION_ONLY: "bold cyan",
    Outcome.CONTRADICTED: "bold red",
    Outcome.INCONCLUSIVE: "bold yellow",
    Outcome.VOID: "bold magenta",
    Outcome.NOT_TESTABLE: "dim",
}


def verdict_table(run: Run) -> Group:
    """One row a claim: the statement, the paper's number, ours with its interval, the controls, the verdict."""
    table = Table(title=f"{run.study.title}: {run.plan.scale} scale", title_justify="left", show_lines=True)
    table.add_column("claim", ratio=5)
    table.add_column("paper", ratio=3)
    table.add_column("measured", ratio=4)
    table.add_column("controls", ratio=3)
    table.add_column("verdict", ratio=2)
    for verdict in run.verdicts:
        claim = Text.assemble(verdict.claim.statement, (f"\n{verdict.claim.where}", "dim"))
        row = (claim, Text(verdict.paper), Text(verdict.short), _controls(verdict))
        word = verdict.outcome.value
        table.add_row(*row, Text(f"{badge(word).symbol} {word}", style=STYLE[verdict.outcome]))
    undecided = [v for v in run.verdicts if v.outcome is not Outcome.REPRODUCED]
    notes = [Text.assemble(f"{v.claim.name}: ", (v.reason, "dim")) for v in undecided]
    asides = [Text(run.study.notes.replace("$", ""), style="dim")] if run.study.notes else []
    return Group(table, *notes, *asides)


def _controls(verdict: Verdict) -> Text:
    if not verdict.controls:
        return Text("none", style="dim")
    return Text("\n").join(Text(f"{c.outcome.value}: {c.control.statement}") for c in verdict.controls)
