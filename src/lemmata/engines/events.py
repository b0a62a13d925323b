"""What an engine tells while it runs, and what it says at the end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lemmata.plan.trial import Trial


@dataclass(frozen=True)
class Event:
    """Something happened to a trial. `kind` "progress" follows every end, with the counts so far and no trial.

    "retried" says that the worker which ran the trial died and that another begins it afresh.
    """

    kind: Literal["started", "done", "failed", "retried", "progress"]
    trial: Trial | None = None
    seconds: float = 0.0
    error: str = ""
    done: int = 0
    failed: int = 0
    total: int = 0


OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class Failure:
    """A trial that gave no record, and why."""

    trial: Trial
    error: str

    def __str__(self) -> str:
        return f"trial {self.trial.key[:12]} of experiment {self.trial.experiment!r}: {self.error}"


@dataclass(frozen=True)
class Outcome:
    """The end of a run: how many trials were recorded, which failed, the wall time, and whether Ctrl-C ended it."""

    done: int
    failed: tuple[Failure, ...]
    seconds: float
    interrupted: bool = False
