"""Progress of a run on the terminal: trials done, members recorded, time spent and time to go."""

from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from lemmata.plan import Plan


class Progress:
    """A bar over the members still to run, and one over studies where there are several.

    A context manager whose methods the laboratory calls.
    """

    def __init__(self, console: Console, *, studies: int = 1):
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
        self._several = studies > 1
        self._tasks: dict[str, TaskID] = {}
        self._overall = self._bars.add_task("studies", total=studies, visible=self._several)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def planned(self, plan: Plan) -> None:
        """Say what is recorded and what will run."""
        study = plan.study.name
        to_run = sum(len(trial.members) for trial in plan.trials)
        words = f"{plan.cached} of {len(plan.wanted)} members recorded; {to_run} to run"
        self._console.print(f"{study}: {words}" if self._several else words, highlight=False)
        for missing in plan.missing:
            self._console.print(f"not runnable here: {missing}", style="yellow", markup=False, soft_wrap=True)
        self._remove(study)
        if to_run:
            self._tasks[study] = self._bars.add_task(self._words(study, "starting"), total=to_run)

    def event(self, event: Any) -> None:
        """Advance the bar when a trial ends; name the one that runs."""
        if event.trial is None:
            return
        task = self._tasks[event.trial.study]
        if event.kind == "started":
            self._bars.update(task, description=self._words(event.trial.study, event.trial.experiment))
        elif event.kind in ("done", "failed"):
            self._bars.advance(task, len(event.trial.members))

    def over(self, study: str) -> None:
        """Count a study that is over, and take its bar away."""
        self._remove(study)
        self._bars.advance(self._overall)

    def _remove(self, study: str) -> None:
        if study in self._tasks:
            self._bars.remove_task(self._tasks.pop(study))

    def _words(self, study: str, rest: str) -> str:
        return f"{study}, {rest}" if self._several else rest
