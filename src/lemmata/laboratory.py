"""From a study to verdicts in one call: plan, run what is missing, read the records, judge.

What the command line does, as functions. The store is the only state: a second call runs only what is new.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lemmata.engines.base import Outcome
from lemmata.engines.base import run as run_trials
from lemmata.plan import Plan
from lemmata.plan import make as make_plan
from lemmata.records import Store
from lemmata.records.table import table
from lemmata.study.registry import load
from lemmata.study.study import Study
from lemmata.verdicts import Verdict, judge, looks_up_to, undecided

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_STORE = "lemmata-store"


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

    `overrides` maps dotted field names to a value, or to a list that becomes an axis. `until_decided` is the most
    seeds that may be spent: blocks are added, each as large as all before, until every claim is decided or the seeds
    are spent; the error is kept by a spending rule. `on_plan` is called before anything runs, `on_event` as trials
    start and end. Raises `LemmataError` for what a user can mend; a trial that fails is in `Run.outcome`, not raised.
    """
    study = load(study) if isinstance(study, str) else study
    place = open_store(store)
    first = seeds or max((e.seeds[scale] for e in study.experiments.values() if scale in e.seeds), default=1)
    looks = looks_up_to(first, until_decided) if until_decided is not None else (first,)
    for spent in looks:
        asked = spent if seeds is not None or spent != first else None
        plan = make_plan(
            study,
            scale=scale,
            overrides=dict(overrides or {}),
            seeds=asked,
            recorded=place.members(),
            data_dir=data_dir,
        )
        if on_plan is not None:
            on_plan(plan)
        outcome = run_trials(plan, place, engine=engine, workers=workers, on_event=on_event)
        finished = _judged(study, plan, place, looks=looks if until_decided is not None else None, outcome=outcome)
        if outcome.interrupted or until_decided is None or not undecided(finished.verdicts):
            break
    return finished


def recall(
    study: Study | str,
    *,
    scale: str = "laptop",
    overrides: Mapping[str, Any] | None = None,
    seeds: int | None = None,
    store: Store | str | Path | None = None,
    data_dir: str | Path | None = None,
) -> Run:
    """Judge what is recorded, running nothing; what is missing shows in the verdicts."""
    study = load(study) if isinstance(study, str) else study
    place = open_store(store)
    plan = make_plan(
        study, scale=scale, overrides=dict(overrides or {}), seeds=seeds, recorded=place.members(), data_dir=data_dir
    )
    return _judged(study, plan, place)


def open_store(store: Store | str | Path | None = None) -> Store:
    """The store given, or in `LEMMATA_STORE`, or `lemmata-store` here."""
    if isinstance(store, Store):
        return store
    return Store(Path(store or os.environ.get("LEMMATA_STORE") or DEFAULT_STORE))


def _judged(
    study: Study, plan: Plan, store: Store, *, looks: tuple[int, ...] | None = None, outcome: Outcome | None = None
) -> Run:
    tables = {name: table(study, experiment, plan, store) for name, experiment in study.experiments.items()}
    return Run(study, plan, store, tables, judge(study, tables, plan, looks=looks), outcome)
