"""What a plan will cost, from what like trials cost before; of what was never timed it says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from lemmata.plan.plan import Plan
from lemmata.plan.recorded import Recorded
from lemmata.plan.trial import Trial, group_of


class HasMembers(Protocol):
    """A store, as far as the forecast needs it."""

    def members(self) -> Recorded:
        """All members recorded."""
        ...


@dataclass(frozen=True)
class Forecast:
    """Seconds of computing, one trial after the other, with a range.

    `untimed` are the experiments of which nothing was ever timed, which the seconds leave out; `guessed` says that
    some seconds are those of other settings.

    >>> print(Forecast(75.0, 60.0, 120.0))
    about 1 min 15 s (1 min to 2 min)
    >>> print(Forecast(0.0, 0.0, 0.0, untimed=("main",)))
    none, since nothing of main was ever timed in this store; a run times it, at --scale smoke for a first guess
    """

    seconds: float
    low: float
    high: float
    untimed: tuple[str, ...] = ()
    guessed: bool = False

    def __str__(self) -> str:
        never = f"nothing of {', '.join(self.untimed)} was ever timed in this store"
        if self.untimed and self.high == 0:
            return f"none, since {never}; a run times it, at --scale smoke for a first guess"
        if self.high == 0:
            return "nothing to run"
        told = f"about {duration(self.seconds)} ({duration(self.low)} to {duration(self.high)})"
        told = "under 1 s" if self.high < 1 else told
        told += ", guessed in part from other settings" if self.guessed else ""
        return f"{told}, and more: {never}" if self.untimed else told


def forecast(plan: Plan, store: HasMembers) -> Forecast:
    """Add up the trials of a plan at the median recorded cost a member; the range adds up the extremes.

    Costs are those of the same experiment, of members that agree with the trial on every field that is not vectorised
    where there are such, else of all its members.

    >>> from types import SimpleNamespace
    >>> forecast(SimpleNamespace(trials=[]), SimpleNamespace(members=lambda: Recorded({}))).seconds
    0.0
    """
    if not plan.trials:
        return Forecast(0.0, 0.0, 0.0)
    past = _costs(plan, store.members())
    seconds = low = high = 0.0
    untimed: dict[str, None] = {}
    guessed = False
    for trial in plan.trials:
        same, others = _like(plan, trial, past)
        costs = same or others
        if not costs:
            untimed[trial.experiment] = None
            continue
        guessed = guessed or not same
        seconds += median(costs) * len(trial.members)
        low += min(costs) * len(trial.members)
        high += max(costs) * len(trial.members)
    return Forecast(seconds, low, high, tuple(untimed), guessed)


def duration(seconds: float) -> str:
    """Write a time for people.

    >>> duration(0.2), duration(42), duration(3700)
    ('under 1 s', '42 s', '1 h 1 min')
    """
    if seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    units = [(whole // 3600, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    told = [f"{number} {unit}" for number, unit in units if number]
    return " ".join(told[:2])


def _costs(plan: Plan, recorded: Recorded) -> Mapping[str, dict[bytes, list[float]]]:
    """Seconds a member by experiment, then by the fields that a block shares."""
    names = {experiment.namespace: experiment for experiment in plan.study.experiments.values()}
    costs: dict[str, dict[bytes, list[float]]] = {}
    for known in recorded.known.values():
        experiment = names.get(known.namespace)
        if experiment is not None:
            group = group_of(known.config, experiment.vectorised)
            costs.setdefault(experiment.name, {}).setdefault(group, []).append(known.seconds)
    return costs


def _like(plan: Plan, trial: Trial, past: Mapping[str, dict[bytes, list[float]]]) -> tuple[list[float], list[float]]:
    """The costs of its setting, and of all settings of its experiment."""
    groups = past.get(trial.experiment, {})
    vectorised = plan.study.experiments[trial.experiment].vectorised
    same = groups.get(group_of(trial.members[0].plain, vectorised), [])
    return same, [cost for costs in groups.values() for cost in costs]
