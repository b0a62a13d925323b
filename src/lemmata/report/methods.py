"""The methods section: configurations, sweeps, seeds, statistics, provenance, time, and the command to rerun."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from lemmata.errors import LemmataError
from lemmata.report.numbers import duration, number, plural
from lemmata.version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from lemmata.plan import Plan
    from lemmata.records import Record, Store
    from lemmata.study.experiment import Experiment
    from lemmata.study.study import Study
    from lemmata.verdicts import Verdict

MOST_VALUES = 12  # of a swept field that are spelt out


@dataclass(frozen=True)
class Option:
    """A field of a configuration: its default, the values used, and what it means; `set` when they differ."""

    name: str
    default: str
    used: str
    meaning: str
    set: bool


@dataclass(frozen=True)
class ExperimentMethods:
    """How one experiment was run."""

    name: str
    about: str
    options: tuple[Option, ...]
    seeds: str
    records: str


@dataclass(frozen=True)
class Methods:
    """The whole section; `facts` are (name, value) lines of provenance."""

    scale: str
    experiments: tuple[ExperimentMethods, ...]
    tests: str
    coverage: str
    facts: tuple[tuple[str, str], ...]
    command: str


def gather(
    study: Study,
    plan: Plan,
    tables: Mapping[str, pd.DataFrame],
    verdicts: Sequence[Verdict],
    *,
    store: Store | None,
    command: str,
) -> Methods:
    """Collect the section; without a store there is no provenance to show."""
    records = _records(plan, store)
    return Methods(
        scale=plan.scale,
        experiments=tuple(_experiment(study.experiments[name], table) for name, table in tables.items()),
        tests=_tests(verdicts),
        coverage=_coverage(plan, tables, records),
        facts=tuple(_facts(plan, records)),
        command=command or f"lemmata run {study.name} --scale {plan.scale}",
    )


def _experiment(experiment: Experiment, table: pd.DataFrame) -> ExperimentMethods:
    own = table[~table["control"].astype(bool)] if "control" in table else table
    seeds = sorted(int(seed) for seed in own["seed"].unique()) if "seed" in own else []
    trial = experiment.trial_function
    diverged = int((table["status"] != "ok").sum()) if "status" in table else 0
    controls = len(table) - len(own)
    counted = [f"{len(own)} for the claims", f"{controls} for controls only"]
    counted += [f"{diverged} diverged"] if diverged else []
    return ExperimentMethods(
        name=experiment.name,
        about=(inspect.getdoc(trial) or "") if trial else "",
        options=tuple(_options(experiment.config, own)) if len(own) else (),
        seeds=_ranges(seeds),
        records=", ".join(counted) if len(table) else "none at this scale",
    )


def _options(config: type[BaseModel], table: pd.DataFrame, prefix: str = "") -> list[Option]:
    found: list[Option] = []
    for name, info in config.model_fields.items():
        dotted = prefix + name
        if dotted == "seed":
            continue
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            found += _options(info.annotation, table, f"{dotted}.")
            continue
        default = info.get_default(call_default_factory=True, validated_data={})
        required = default is PydanticUndefined
        values = list(dict.fromkeys(map(_worded, table[dotted]))) if dotted in table else []
        default_text = "required" if required else _worded(default)
        used = ", ".join(values[:MOST_VALUES]) + (f", ... ({len(values)} values)" if len(values) > MOST_VALUES else "")
        changed = bool(values) and values != [default_text]
        found.append(Option(dotted, default_text, used, info.description or "", changed))
    return found


def _worded(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, (int, float)) or hasattr(value, "__float__"):
        return number(float(value), digits=6)
    return str(value)


def _ranges(seeds: list[int]) -> str:
    if seeds and seeds == list(range(seeds[0], seeds[-1] + 1)) and len(seeds) > 2:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds)) or "none"


def _tests(verdicts: Sequence[Verdict]) -> str:
    levels = sorted({verdict.level for verdict in verdicts}, reverse=True) or [0.05]
    level = " or ".join(number(level) for level in levels)
    return (
        "Seeds are the only unit of replication; every claim is reduced to one number a seed. A claim is reproduced "
        "when two one-sided t tests place the mean over seeds inside the claim's region, contradicted when a "
        "one-sided t test (Bonferroni over the ends) places it outside, and reproduced in direction only when it is "
        "contradicted but on the right side of no effect. A claim of several components holds when all of them hold. "
        "Where a level is reached in some runs and never in others, sign tests of the median take the place of t. "
        f"Exact claims are checked in every record, without statistics. The level is {level}, corrected by Holm's "
        "method over the study's statistical claims; controls are tested at the same level without correction, since "
        "they can only take a verdict away. Intervals are 95 % Student-t intervals of the mean over seeds."
    )


def _coverage(plan: Plan, tables: Mapping[str, pd.DataFrame], records: Sequence[Record]) -> str:
    """What is there and what is not, in one honest sentence."""
    wanted, recorded = len(plan.wanted), sum(len(table) for table in tables.values())
    diverged = sum(int((table["status"] != "ok").sum()) for table in tables.values() if "status" in table)
    absent = sum(missing.count for missing in plan.missing)
    unrun = max(wanted - recorded - absent, 0)
    parts = [f"{recorded} of {plural(wanted, 'wanted record')} there"]
    parts += [f"{plural(len(records), 'trial')} run"] if records else []
    parts += [f"{diverged} diverged", f"{unrun} not run or failed"]
    stale = min(sum(plan.stale.values()), unrun)  # what was planned as stale and run since is stale no more
    parts += [f"{stale} of these recorded for other code or data (stale)"] if stale else []
    damaged = sum(len(table.attrs.get("problems", ())) for table in tables.values())
    parts += [f"{plural(damaged, 'damaged record')} set aside"] if damaged else []
    parts += [f"{m.count} without their data set: {m.dataset} ({m.reason})" for m in plan.missing]
    return "; ".join(parts) + "."


def _records(plan: Plan, store: Store | None) -> list[Record]:
    """The records that the plan's members lie in; damaged ones are counted in the tables and left out here."""
    if store is None:
        return []
    where = store.members()
    found: list[Record] = []
    for key in sorted({where[member.key] for member in plan.wanted if where.holds(member)}):
        with suppress(LemmataError):
            found.append(store.get(key))
    return found


def _facts(plan: Plan, records: Sequence[Record]) -> list[tuple[str, str]]:
    made = [record.provenance for record in records]
    when = sorted(str(p["time"]) for p in made)
    facts = [
        ("overrides", ", ".join(f"{name} = {value}" for name, value in plan.overrides.items())),
        *((f"data set {name}", f"sha256 {digest}") for name, digest in plan.datasets.items()),
        *((f"code of {name}", f"sha256 {digest}") for name, digest in plan.fingerprints.items()),
        ("recorded", " to ".join(dict.fromkeys([when[0], when[-1]])) if when else ""),
        ("time of the trials", duration(sum(record.seconds for record in records)) if records else ""),
        ("versions", _distinct(", ".join(f"{k} {v}" for k, v in p["versions"].items()) for p in made)),
        ("hardware", _distinct(_hardware(p["hardware"], p["threads"]) for p in made)),
        ("git commit", _distinct(_commit(p["git"]) for p in made if p["git"])),
        ("report by", f"lemmata {__version__}"),
    ]
    return [(name, value) for name, value in facts if value]


def _hardware(machine: Mapping[str, Any], threads: int | None) -> str:
    gpus = f", {', '.join(machine['gpus'])}" if machine["gpus"] else ""
    used = f", {plural(threads, 'thread')}" if threads else ""
    return f"{machine['cpu']}, {plural(machine['cores'], 'core')}{used}{gpus}, {machine['system']}"


def _commit(git: Mapping[str, Any]) -> str:
    return git["commit"] + (" with changes that are not committed" if git["dirty"] else "")


def _distinct(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))
