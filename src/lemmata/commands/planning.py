"""`lemmata plan`: what would run, what is recorded, and how long it would take."""

from rich.console import Console
from rich.table import Table

from lemmata.commands.options import EVERYTHING, Overrides, Selection
from lemmata.commands.recalling import tell_damaged


def plan(
    study: str,
    *overrides: Overrides,
    selection: Selection = EVERYTHING,
) -> None:
    """Show the trials a run would make, the members that are recorded already, and a forecast; run nothing.

    Parameters
    ----------
    study
        A name from `lemmata list`, or the path of a study file.
    """
    from lemmata.laboratory import covered, open_store
    from lemmata.plan import make
    from lemmata.plan.forecast import forecast
    from lemmata.study import overrides as reading
    from lemmata.study.registry import load

    loaded, place = covered(load(study), selection.asked, selection.only), open_store(selection.store)
    recorded = place.members()
    made = make(
        loaded,
        scale=selection.asked,
        overrides=reading.read(loaded, overrides),
        seeds=selection.seeds,
        recorded=recorded,
        data_dir=selection.data_dir,
    )
    console = Console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("experiment", style="bold")
    for column in ("members", "recorded", "stale", "to run", "trials"):
        table.add_column(column, justify="right")
    for name in loaded.experiments:
        wanted = [member for member in made.wanted if member.experiment == name]
        trials = [trial for trial in made.trials if trial.experiment == name]
        cached = sum(member.key in recorded for member in wanted)
        stale = made.stale.get(name, 0)
        numbers = (len(wanted), cached, stale, sum(len(trial.members) for trial in trials), len(trials))
        table.add_row(name, *map(str, numbers))
    console.print(table)
    for missing in made.missing:
        console.print(f"not runnable here: {missing}", style="yellow", markup=False, soft_wrap=True)
    tell_damaged(place, console)
    console.print(f"forecast, for one process: {forecast(made, place)}", markup=False, soft_wrap=True)
