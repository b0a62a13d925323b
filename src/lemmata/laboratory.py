"""From a study to verdicts in one call: plan, run what is missing, read the records, judge.

What the command line does, as functions. The store is the only state: a second call runs only what is new.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lemmata.catalogue import entries
from lemmata.engines.base import Outcome
from lemmata.engines.base import run_each as run_plans
from lemmata.errors import InvalidInput, LemmataError, UnknownName
from lemmata.plan import Plan
from lemmata.plan import make as make_plan
from lemmata.records import Store
from lemmata.records.table import table
from lemmata.study.experiment import SCALES
from lemmata.study.registry import load, load_from
from lemmata.study.study import Study
from lemmata.verdicts import Verdict, judge, schedule, undecided

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_STORE = "lemmata-store"
MOST_NAMED = 5  # claims that a note names


@dataclass(frozen=True)
class Run:
    """What a run came to: the plan, a table of records for each experiment, the verdicts, and what the engine did."""

    study: Study
    plan: Plan
    store: Store
    tables: Mapping[str, pd.DataFrame]
    verdicts: list[Verdict]
    outcome: Outcome | None = None

    def report(self, path: str | Path, *, command: str = "") -> Path:
        """Write the report: one offline HTML file, or a PDF when the path ends in `.pdf`. Returns its path."""
        path = Path(path)
        if path.suffix == ".pdf":
            from lemmata.report import pdf as writer
        else:
            from lemmata.report import html as writer
        return writer.write(self.study, self.plan, self.tables, self.verdicts, path, store=self.store, command=command)


def run(
    study: Study | str,
    *,
    scale: str = "laptop",
    only: Collection[str] = (),
    overrides: Mapping[str, Any] | None = None,
    seeds: int | None = None,
    store: Store | str | Path | None = None,
    engine: str = "serial",
    workers: int | None = None,
    until_decided: int | None = None,
    data_dir: str | Path | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_event: Callable[[Any], None] | None = None,
) -> Run:
    """Run a study: what is recorded already is not run again.

    `only` names the experiments to run (all that declare the scale). `overrides` maps dotted field names to a value, or
    to a list that becomes an axis. `until_decided` is the most seeds that may be spent: blocks are added, each as large
    as all before, until every claim is decided or the seeds are spent; the error is kept by a spending rule. `on_plan`
    is called before anything runs, `on_event` as trials start and end. Raises `LemmataError` for what a user can mend;
    a trial that fails is in `Run.outcome`, not raised.
    """
    runs = run_each(
        [load(study) if isinstance(study, str) else study],
        scale=scale, only=only, overrides=overrides, seeds=seeds, store=store, engine=engine, workers=workers,
        until_decided=until_decided, data_dir=data_dir, on_plan=on_plan, on_event=on_event,
    )  # fmt: skip
    with closing(runs):
        _, finished = next(runs)
    if isinstance(finished, Exception):
        raise finished
    return finished


def run_each(
    studies: Iterable[Study],
    *,
    scale: str = "laptop",
    only: Collection[str] = (),
    overrides: Mapping[str, Any] | None = None,
    seeds: int | None = None,
    store: Store | str | Path | None = None,
    engine: str = "serial",
    workers: int | None = None,
    until_decided: int | None = None,
    data_dir: str | Path | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_event: Callable[[Any], None] | None = None,
) -> Generator[tuple[Study, Run | Exception]]:
    """Run studies by the same workers, which begin the next while the last trials of one still run.

    A study comes back with its `Run` when its last trial ends, or with the error that kept it from being planned, run
    or judged, which stops no other. The rest is as in `run`. Raises `LemmataError` for what concerns them all.
    """
    place = open_store(store)
    series = _Series(
        studies, place, scale=scale, only=only, overrides=overrides, seeds=seeds, until_decided=until_decided,
        data_dir=data_dir, on_plan=on_plan,
    )  # fmt: skip
    with closing(run_plans(series.next_plan, place, engine=engine, workers=workers, on_event=on_event)) as over:
        for plan, outcome in over:
            yield from series.looked(plan, outcome)
            yield from series.told_broken()
    yield from series.told_broken()


class _Series:
    """Studies, each with the looks at it that are due."""

    def __init__(
        self, studies: Iterable[Study], store: Store, *, scale: str, only: Collection[str], seeds: int | None,
        until_decided: int | None, on_plan: Callable[[Plan], None] | None, **asked: Any,
    ):  # fmt: skip
        self.store = store
        self.scale = scale
        self.planned = partial(_plan, store=store, scale=scale, **asked)
        self.looks = partial(_looks, scale=scale, seeds=seeds, until_decided=until_decided)
        self.on_plan = on_plan or (lambda plan: None)
        self.given = dict[Study, Study]()  # by the part of it that is asked
        self.taken = Counter[Study]()  # looks
        self.again = deque[Study]()  # another look is due at these
        self.broken = deque[tuple[Study, Exception]]()
        self.to_come = self._first_looks(studies, only)

    def next_plan(self) -> Plan | None:
        """The plan of the next look that is due."""
        while (study := self.again.popleft() if self.again else next(self.to_come, None)) is not None:
            try:
                asked = self.looks(study)[self.taken[study]]
                self.taken[study] += 1
                plan = self.planned(study, seeds=asked)
                self.on_plan(plan)
            except Exception as error:
                self.broken.append((self.given[study], error))
            else:
                return plan
        return None

    def looked(self, plan: Plan, outcome: Outcome | LemmataError) -> Iterator[tuple[Study, Run | Exception]]:
        """Judge what was run: gives what came of the study, or nothing where another look is due."""
        study, looks = plan.study, self.looks(plan.study)
        if isinstance(outcome, LemmataError):
            yield self.given[study], outcome
            return
        try:
            finished = _judged(study, plan, self.store, looks=looks, outcome=outcome)
        except Exception as error:
            yield self.given[study], error
            return
        if outcome.interrupted or self.taken[study] == len(looks) or not undecided(finished.verdicts):
            yield self.given[study], finished
        else:
            self.again.append(study)

    def told_broken(self) -> Iterator[tuple[Study, Exception]]:
        """Studies that could not be planned, each once."""
        while self.broken:
            yield self.broken.popleft()

    def _first_looks(self, studies: Iterable[Study], only: Collection[str]) -> Iterator[Study]:
        for study in studies:
            try:
                asked = covered(study, self.scale, only)
            except LemmataError as error:
                self.broken.append((study, error))
            else:
                self.given[asked] = study
                yield asked


def recall(
    study: Study | str,
    *,
    scale: str = "laptop",
    only: Collection[str] = (),
    overrides: Mapping[str, Any] | None = None,
    seeds: int | None = None,
    store: Store | str | Path | None = None,
    until_decided: int | None = None,
    data_dir: str | Path | None = None,
) -> Run:
    """Judge what is recorded, running nothing; what is missing shows in the verdicts.

    A run that was made with `until_decided` is recalled with the same number, so that its looks are paid for.
    """
    study = covered(load(study) if isinstance(study, str) else study, scale, only)
    place = open_store(store)
    looks = _looks(study, scale, seeds, until_decided)
    for asked in looks:
        plan = _plan(study, place, scale=scale, overrides=overrides, seeds=asked, data_dir=data_dir)
        recalled = _judged(study, plan, place, looks=looks)
        if plan.trials or not undecided(recalled.verdicts):
            break
    return recalled


def recorded_scale(
    study: Study,
    *,
    only: Collection[str] = (),
    overrides: Mapping[str, Any] | None = None,
    seeds: int | None = None,
    store: Store | str | Path | None = None,
    data_dir: str | Path | None = None,
) -> str:
    """The scale to report where none is named: the largest that is recorded whole, or has a record of its own.

    A record that a smaller scale wants too is not a larger one's own: three seeds of a smoke run do not make a report
    of twenty. Raises `InvalidInput` where nothing is recorded at any scale.
    """
    place = open_store(store)
    recorded = place.members()
    smaller: set[str] = set()
    found = ""
    for scale in sorted(study.restricted(only or study.experiments).scales, key=SCALES.index):
        asked = covered(study, scale, only)
        plan = _plan(asked, place, scale=scale, overrides=overrides, seeds=seeds, data_dir=data_dir)
        held = {member.key for member in plan.wanted if recorded.holds(member)}
        if held and (len(held) == len(plan.wanted) or not held <= smaller):
            found = scale
        smaller |= held
    if not found:
        damaged = "".join(f"; {problem}" for problem in place.problems)
        raise InvalidInput(
            f"nothing of {study.name!r} is recorded in {str(place.path)!r}: run it first (`lemmata run`, with "
            f"--scale smoke in seconds), or name another store{damaged}"
        )
    return found


def covered(study: Study, scale: str, only: Collection[str] = ()) -> Study:
    """The part of a study that a run asks: the experiments named, or all, that declare the scale; its notes say so.

    A study that declares the scale nowhere is given back whole, for the plan to say what it declares.
    """
    named = [name for name in study.experiments if name in (only or study.experiments)]
    asked = [name for name in named if scale in study.experiments[name].seeds]
    study.restricted(only)  # raises for a name that is none
    left_out = [claim.statement for name, e in study.experiments.items() if name not in asked for claim in e.claims]
    if not left_out or not asked:
        return study.restricted(named)
    named_here = "; ".join(left_out[:MOST_NAMED]) + ("; and others" if len(left_out) > MOST_NAMED else "")
    return study.restricted(asked, f"Not asked in this run (scale {scale}): {named_here}.")


def declaring(
    scale: str, broken: dict[str, str], *, folder: Path | None = None, topic: str | None = None
) -> Iterator[tuple[str, Study]]:
    """The studies there are that declare the scale, one after the other by name; of one topic, if one is named.

    They are those that `lemmata list` shows: `folder` adds the study files in it. What cannot be loaded is named in
    `broken` with the reason, and left out. Raises `UnknownName` for a topic that is none.
    """
    found = entries(folder)
    topics = sorted({entry.topic for entry in found} - {""})
    if topic is not None and topic not in topics:
        raise UnknownName("topic", topic, topics)
    for entry in (entry for entry in found if topic in (None, entry.topic)):
        try:
            study = load_from(Path(entry.source), entry.name) if Path(entry.source).is_file() else load(entry.name)
        except LemmataError as error:
            broken[entry.name] = str(error)
            continue
        if any(scale in experiment.seeds for experiment in study.experiments.values()):
            yield entry.name, study


def open_store(store: Store | str | Path | None = None) -> Store:
    """The store given, or in `LEMMATA_STORE`, or `lemmata-store` here."""
    if isinstance(store, Store):
        return store
    return Store(Path(store or os.environ.get("LEMMATA_STORE") or DEFAULT_STORE))


def _looks(study: Study, scale: str, seeds: int | None, until_decided: int | None) -> tuple[int | None, ...]:
    """The numbers of seeds to look at in turn; one look at what the study declares (None) where nothing is said."""
    if until_decided is None:
        return (seeds,)
    declared = max((e.seeds[scale] for e in study.experiments.values() if scale in e.seeds), default=1)
    return schedule(seeds or declared, until_decided)


def _plan(
    study: Study,
    store: Store,
    *,
    scale: str,
    overrides: Mapping[str, Any] | None,
    seeds: int | None,
    data_dir: str | Path | None,
) -> Plan:
    recorded = store.members()
    return make_plan(study, scale=scale, overrides=overrides, seeds=seeds, recorded=recorded, data_dir=data_dir)


def _judged(
    study: Study, plan: Plan, store: Store, *, looks: tuple[int | None, ...], outcome: Outcome | None = None
) -> Run:
    tables = {name: table(study, experiment, plan, store) for name, experiment in study.experiments.items()}
    several = [look for look in looks if look is not None] if len(looks) > 1 else None
    return Run(study, plan, store, tables, judge(study, tables, plan, looks=several), outcome)
