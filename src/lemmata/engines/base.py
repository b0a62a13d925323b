"""The one door to running: `run(plan, store)`, and `run_each` for many plans by the same workers.

A trial is recorded the moment it ends. A failed trial is told and stops nothing; a store that cannot be written stops
everything, since there is nowhere to put what is computed. Ctrl-C ends the run with what is done; so does SIGTERM,
which then ends the process as it would have.

On threads and bits: the same trial gives the same bits on one machine with the same number of threads, whatever the
engine. Sums split over another number of threads may differ in the last place, so the number is recorded. The serial
engine leaves torch its own choice (all cores); a worker process takes its share, cores // workers, so that workers do
not crowd each other; with one thread for each (`OMP_NUM_THREADS=1`, workers = cores) both engines agree to the bit.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Literal

from lemmata.engines.events import Event, Failure, OnEvent, Outcome
from lemmata.errors import InvalidInput, LemmataError, UnknownName
from lemmata.plan.plan import Plan
from lemmata.plan.trial import Trial
from lemmata.records.store import Store

__all__ = ["Event", "Failure", "Job", "Ledger", "Outcome", "run", "run_each"]

ENGINES = ("serial", "processes")
WORKER = "LEMMATA_WORKER"  # set in worker processes


class Ledger:
    """Keeps count of a run and passes events on."""

    def __init__(self, total: int, on_event: OnEvent | None):
        self.total = total
        self.done = 0
        self.failures: list[Failure] = []
        self._tell = on_event or (lambda event: None)

    def started(self, trial: Trial) -> None:
        """A trial begins."""
        self._tell(Event("started", trial))

    def recorded(self, trial: Trial, seconds: float) -> None:
        """A trial is in the store."""
        self.done += 1
        self._tell(Event("done", trial, seconds))
        self._progress()

    def retried(self, trial: Trial, error: str) -> None:
        """A trial lost its worker and begins again."""
        self._tell(Event("retried", trial, error=error))

    def failed(self, trial: Trial, error: str) -> None:
        """A trial gives no record."""
        self.failures.append(Failure(trial, error))
        self._tell(Event("failed", trial, error=error))
        self._progress()

    def _progress(self) -> None:
        self._tell(Event("progress", done=self.done, failed=len(self.failures), total=self.total))


@dataclass(eq=False)
class Job:
    """A plan on its way: what is counted of it, since when, and what made it impossible, if something did."""

    plan: Plan
    ledger: Ledger
    error: LemmataError | None = None
    start: float = field(default_factory=time.perf_counter)

    def outcome(self, *, interrupted: bool = False) -> Outcome:
        """What came of it so far."""
        seconds = time.perf_counter() - self.start
        return Outcome(self.ledger.done, tuple(self.ledger.failures), seconds, interrupted)


NextJob = Callable[[], Job | None]


def run(
    plan: Plan,
    store: Store,
    *,
    engine: Literal["serial", "processes"] | str = "serial",
    workers: int | None = None,
    on_event: OnEvent | None = None,
) -> Outcome:
    """Run the trials of a plan and record each as it ends.

    `workers` is the number of processes (default: one a core, and no more than trials). Raises `StoreError` when the
    store cannot be written, `UnknownName` for the engine, `InvalidInput` for what the engine cannot do.

    >>> from types import SimpleNamespace
    >>> run(SimpleNamespace(trials=[], data_dir=None), Store("no-store-here")).done
    0
    """
    plans = iter([plan])
    with closing(run_each(lambda: next(plans, None), store, engine=engine, workers=workers, on_event=on_event)) as runs:
        _, outcome = next(runs)
    if isinstance(outcome, LemmataError):
        raise outcome
    return outcome


def run_each(
    next_plan: Callable[[], Plan | None],
    store: Store,
    *,
    engine: Literal["serial", "processes"] | str = "serial",
    workers: int | None = None,
    on_event: OnEvent | None = None,
) -> Generator[tuple[Plan, Outcome | LemmataError]]:
    """Run plan after plan by the same workers, which take up the next plan while the last trials of one still run.

    `next_plan` is asked when workers are about to fall idle, and gives None where there is no plan now. A plan comes
    back when its last trial ends, with its outcome, or with the error where nothing of it can be run, which stops no
    other. After Ctrl-C the plans on their way come back as interrupted, and no further ones. Raises as `run` does.
    """
    if engine not in ENGINES:
        raise UnknownName("engine", engine, ENGINES)
    if workers is not None and workers < 1:
        raise InvalidInput(f"workers = {workers}: give at least one")
    if os.environ.get(WORKER):
        raise InvalidInput(
            'a study file starts a run while it is loaded; put the run under `if __name__ == "__main__":`'
        )
    if engine == "serial":
        from lemmata.engines.serial import run_each as run_jobs
    else:
        from lemmata.engines.processes import run_each as run_jobs
    on_their_way: list[Job] = []

    def next_job() -> Job | None:
        plan = next_plan()
        if plan is None:
            return None
        on_their_way.append(Job(plan, Ledger(len(plan.trials), on_event)))
        return on_their_way[-1]

    with _ended_by_sigterm(), closing(run_jobs(next_job, store, workers)) as over:
        try:
            for job in over:
                on_their_way.remove(job)
                yield job.plan, job.error or job.outcome()
        except KeyboardInterrupt:
            over.close()
            if not on_their_way:
                raise
            for job in on_their_way:
                yield job.plan, job.outcome(interrupted=True)


@contextmanager
def data_at(data_dir: str | None) -> Iterator[None]:
    """Let trial functions, which call `data.load(name)`, find the data where the plan found it."""
    before = os.environ.get("LEMMATA_DATA")
    if data_dir is not None:
        os.environ["LEMMATA_DATA"] = data_dir
    try:
        yield
    finally:
        if data_dir is not None:
            del os.environ["LEMMATA_DATA"]
        if before is not None:
            os.environ["LEMMATA_DATA"] = before


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that workers are stopped on the way out; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
