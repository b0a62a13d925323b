"""Two runs claim by claim: verdicts, the difference of the means with its 95 % interval, and what was set otherwise.

Where both runs have the same seeds the difference d_i = second_i - first_i is taken seed by seed, mean(d) +- t s(d) /
sqrt(n) with n - 1 degrees of freedom; otherwise the interval is Welch's, with variance s1^2/n1 + s2^2/n2 and the
degrees of freedom of Satterthwaite. Both want two seeds a run. It fails, as t does, for few and very skewed numbers;
a number that is infinite (a level never reached) has no mean and so no difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lemmata.compare.beside_paper import Judgement
from lemmata.compare.layout import Layout
from lemmata.errors import InvalidInput
from lemmata.report.badges import badge
from lemmata.report.numbers import number, with_interval

if TYPE_CHECKING:
    from rich.console import Group

    from lemmata.study.kinds import Component
    from lemmata.verdicts import Verdict

Method = Literal["paired by seed", "Welch", "no interval"]


@dataclass(frozen=True)
class Difference:
    """The second run's mean minus the first's for one component, with its 95 % interval (NaN where there is none)."""

    label: str
    first: float
    second: float
    mean: float
    low: float
    high: float
    method: Method


@dataclass(frozen=True)
class ClaimChange:
    """One claim in both runs; an outcome is empty where a run has no such claim."""

    name: str
    statement: str
    first: str
    second: str
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether the verdicts agree."""
        return self.first == self.second


@dataclass(frozen=True)
class Setting:
    """Something that differs between the runs: the scale, the seeds, or the values of a field."""

    experiment: str
    name: str
    first: str
    second: str


@dataclass(frozen=True)
class TwoRuns:
    """The comparison."""

    title: str
    claims: tuple[ClaimChange, ...]
    settings: tuple[Setting, ...]

    @property
    def layout(self) -> Layout:
        """The comparison in words."""
        columns = ("claim", "first", "second", "means", "second minus first")
        notes = [f"{s.experiment} {s.name}: {s.first} | {s.second}".strip() for s in self.settings]
        changed = sum(not claim.same for claim in self.claims)
        said = f"{changed} of {len(self.claims)} verdicts differ."
        return Layout(self.title, columns, [_worded(claim) for claim in self.claims], [said, *notes])

    def as_table(self) -> Group:
        """For the terminal."""
        return self.layout.as_table()

    def as_html(self) -> str:
        """For a page."""
        return self.layout.as_html()


def runs(first: Judgement, second: Judgement) -> TwoRuns:
    """Compare two runs, of one study or of two that share claims by name; `InvalidInput` where they share none."""
    ours = {verdict.claim.name: verdict for verdict in first.verdicts}
    theirs = {verdict.claim.name: verdict for verdict in second.verdicts}
    if not ours.keys() & theirs.keys():
        raise InvalidInput(
            f"{first.study.name!r} and {second.study.name!r} share no claim; compare two runs of one study, or of "
            "studies whose claims have the same names"
        )
    titles = dict.fromkeys([f"{run.study.name} ({run.plan.scale})" for run in (first, second)])
    return TwoRuns(
        " against ".join(titles),
        tuple(_change(ours.get(name), theirs.get(name)) for name in dict.fromkeys([*ours, *theirs])),
        tuple(_settings(first, second)),
    )


def difference(first: Component, second: Component, *, level: float = 0.95) -> Difference:
    """The difference of two components' means with its interval.

    >>> from lemmata.study.kinds import Component
    >>> a = Component("risk", np.array([1.0, 2.0, 3.0]), seeds=(0, 1, 2))
    >>> b = Component("risk", np.array([2.0, 3.1, 3.9]), seeds=(0, 1, 2))
    >>> round(difference(a, b).mean, 6), difference(a, b).method
    (1.0, 'paired by seed')
    """
    x, y = first.samples, second.samples
    means = (float(x.mean()) if len(x) else np.nan, float(y.mean()) if len(y) else np.nan)
    if min(len(x), len(y)) < 2 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        gap = means[1] - means[0] if np.isfinite(means).all() else np.nan
        return Difference(first.label, *means, gap, np.nan, np.nan, "no interval")
    paired = len(set(first.seeds)) == len(x) and set(first.seeds) == set(second.seeds) and len(x) == len(y)
    gap, half = _paired(first, second, level) if paired else _welch(x, y, level)
    return Difference(first.label, *means, gap, gap - half, gap + half, "paired by seed" if paired else "Welch")


def _paired(first: Component, second: Component, level: float) -> tuple[float, float]:
    from scipy.stats import t

    x = first.samples[np.argsort(first.seeds)]
    d = second.samples[np.argsort(second.seeds)] - x
    n = len(d)
    return float(d.mean()), float(t.ppf(0.5 + level / 2, n - 1) * d.std(ddof=1) / np.sqrt(n))


def _welch(x: np.ndarray, y: np.ndarray, level: float) -> tuple[float, float]:
    from scipy.stats import t

    a, b = x.var(ddof=1) / len(x), y.var(ddof=1) / len(y)
    gap = float(y.mean() - x.mean())
    if a + b == 0:
        return gap, 0.0
    freedom = (a + b) ** 2 / (a**2 / (len(x) - 1) + b**2 / (len(y) - 1))
    return gap, float(t.ppf(0.5 + level / 2, freedom) * np.sqrt(a + b))


def _change(first: Verdict | None, second: Verdict | None) -> ClaimChange:
    verdict = first or second
    assert verdict is not None
    differences: list[Difference] = []
    if first and second:
        others = {judged.component.label: judged.component for judged in second.components}
        shared = [judged.component for judged in first.components if judged.component.label in others]
        differences = [difference(part, others[part.label]) for part in shared]
    outcomes = (first.outcome.value if first else "", second.outcome.value if second else "")
    return ClaimChange(verdict.claim.name, verdict.claim.statement, *outcomes, tuple(differences))


def _settings(first: Judgement, second: Judgement) -> list[Setting]:
    found = [Setting("", "scale", first.plan.scale, second.plan.scale)]
    for name in dict.fromkeys([*first.tables, *second.tables]):
        ours, theirs = _used(first.tables, name), _used(second.tables, name)
        found += [Setting(name, f, ours.get(f, "–"), theirs.get(f, "–")) for f in dict.fromkeys([*ours, *theirs])]
    return [setting for setting in found if setting.first != setting.second]


def _used(tables: Mapping[str, Any], experiment: str) -> dict[str, str]:
    """The values of each field, controls left out."""
    table = tables.get(experiment)
    if table is None or not len(table):
        return {}
    own = table[~table["control"].astype(bool)]
    return {field: _values(list(dict.fromkeys(own[field]))) for field in table.attrs.get("fields", [])}


def _values(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values[:8])) + (f", ... ({len(values)} values)" if len(values) > 8 else "")


def _worded(claim: ClaimChange) -> tuple[str, ...]:
    outcomes = [f"{badge(word).symbol} {word}" if word else "no such claim" for word in (claim.first, claim.second)]
    named = len(claim.differences) > 1
    means = [f"{f'{d.label}: ' if named else ''}{number(d.first)} | {number(d.second)}" for d in claim.differences]
    gaps = [f"{with_interval(d.mean, d.low, d.high)} ({d.method})" for d in claim.differences]
    return claim.statement, *outcomes, "\n".join(means) or "–", "\n".join(gaps) or "–"
