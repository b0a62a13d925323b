"""What a plan will cost, from what like trials cost before; unknown where there are none."""

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
    """Seconds of computing, one trial after the other, with a range. `known` is False where something has no past.

    >>> print(Forecast(75.0, 60.0, 120.0, known=True))
    about 1 min 15 s (1 min to 2 min)
    """

    seconds: float
    low: float
    high: float
    known: bool

    def __str__(self) -> str:
        if not self.known:
            return "unknown: nothing like it is recorded yet"
        if self.high == 0:
            return "nothing to run"
        if self.high < 1:
            return "under 1 s"
        return f"about {duration(self.seconds)} ({duration(self.low)} to {duration(self.high)})"


def forecast(plan: Plan, store: HasMembers) -> Forecast:
    """Add up the trials of a plan at the median recorded cost a member; the range adds up the extremes.

    Costs are those of the same experiment, of members that agree with the trial on every field that is not vectorised
    where there are such, else of all its members.

    >>> from types import SimpleNamespace
    >>> forecast(SimpleNamespace(trials=[]), SimpleNamespace(members=lambda: Recorded({}))).seconds
    0.0
    """
    if not plan.trials:
        return Forecast(0.0, 0.0, 0.0, known=True)
    past = _costs(plan, store.members())
    seconds = low = high = 0.0
    known = True
    for trial in plan.trials:
        costs = _like(plan, trial, past)
        known = known and bool(costs)
        if costs:
            seconds += median(costs) * len(trial.members)
            low += min(costs) * len(trial.members)
            high += max(costs) * len(trial.members)
    return Forecast(seconds, low, high, known)


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


def _like(plan: Plan, trial: Trial, past: Mapping[str, dict[bytes, list[float]]]) -> list[float]:
    groups = past.get(trial.experiment, {})
    vectorised = plan.study.experiments[trial.experiment].vectorised
    same = groups.get(group_of(trial.members[0].plain, vectorised))
    return same or [cost for costs in groups.values() for cost in costs]
