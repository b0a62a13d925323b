"""Progress of a run on the terminal: trials done, members recorded, time spent and time to go."""

from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from lemmata.plan import Plan


class Progress:
    """A bar over the members still to run; a context manager whose methods the laboratory calls."""

    def __init__(self, console: Console):
        self._console = console
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("to go:"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def planned(self, plan: Plan) -> None:
        """Say what is recorded and what will run."""
        to_run = sum(len(trial.members) for trial in plan.trials)
        self._console.print(f"{plan.cached} of {len(plan.wanted)} members recorded; {to_run} to run")
        for missing in plan.missing:
            self._console.print(f"not runnable here: {missing}", style="yellow", markup=False, soft_wrap=True)
        for task in self._bars.task_ids:
            self._bars.remove_task(task)
        if to_run:
            self._task = self._bars.add_task("starting", total=to_run)

    def event(self, event: Any) -> None:
        """Advance the bar when a trial ends; name the one that runs."""
        if event.kind == "started":
            self._bars.update(self._task, description=event.trial.experiment)
        elif event.kind in ("done", "failed"):
            self._bars.advance(self._task, len(event.trial.members))
