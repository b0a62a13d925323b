"""A plan: every member a study wants at a scale, which of them are recorded, and the trials that remain.

Members are looked up, not trials: what was recorded under any trial is never run again, so that more seeds, a denser
sweep, an extension or another scale cost only what is new.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any, NamedTuple

from lemmata import data
from lemmata.errors import InvalidInput, UnknownName
from lemmata.plan import grid
from lemmata.plan.fingerprint import fingerprint
from lemmata.plan.key import member_key, setting_key
from lemmata.plan.recorded import Recorded
from lemmata.plan.trial import Member, Trial, blocks
from lemmata.study.claim import Claim
from lemmata.study.config import Config
from lemmata.study.experiment import SCALES, Experiment
from lemmata.study.study import Study


class Missing(NamedTuple):
    """Members that cannot run here, since their dataset is not on this machine."""

    experiment: str
    dataset: str
    reason: str
    count: int

    def __str__(self) -> str:
        return f"{self.count} members of {self.experiment!r}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Made by `make`. `of_claim`, `of_control` and `swept` give sets of member keys.

    A claim that this scale or these overrides do not cover has an empty set. `stale` counts, by experiment, the
    members to run that are recorded for other code or data.
    """

    study: Study
    scale: str
    overrides: Mapping[str, Any]
    seeds: int | None
    wanted: list[Member]
    trials: list[Trial]
    cached: int
    stale: Mapping[str, int]
    missing: list[Missing]
    of_claim: Mapping[str, set[str]]
    of_control: Mapping[str, list[set[str]]]
    swept: Mapping[str, set[str]]
    fingerprints: Mapping[str, str]
    datasets: Mapping[str, str]  # dataset name -> digest
    data_dir: str | None

    def members_of(self, experiment: str) -> list[Member]:
        """The members wanted of one experiment, in order."""
        return [member for member in self.wanted if member.experiment == experiment]


def make(
    study: Study,
    *,
    scale: str = "laptop",
    overrides: Mapping[str, Any] | None = None,
    seeds: int | None = None,
    recorded: Collection[str] = (),
    data_dir: str | PathLike[str] | None = None,
) -> Plan:
    """Plan a study: nothing is run, nothing is written.

    `overrides` are values (or lists of values, an axis) by dotted field name, `seeds` the number of seeds instead of
    the scale's, `recorded` the members there are (`Store.members()`). Experiments that do not declare the scale are
    left out. Raises `UnknownName` or `InvalidInput` for a scale, field or value that does not fit, and for a claim
    that selects nothing at any scale. Cost: 0.1 ms a member and at most 0.2 s for the fingerprints.

    >>> study = Study("empty", question="Is there anything?")
    >>> make(study, scale="laptop")
    Traceback (most recent call last):
        ...
    lemmata.errors.InvalidInput: study 'empty' has no experiment; add one with study.experiment(...)
    """
    running = _experiments_at(study, scale)
    by_experiment = grid.by_experiment(study, overrides or {})
    draft = _Draft(study, Recorded.of(recorded), data_dir)
    for experiment in running:
        draft.add(experiment, scale, by_experiment[experiment.name], seeds)
    return Plan(
        study=study, scale=scale, overrides=dict(overrides or {}), seeds=seeds, wanted=list(draft.wanted.values()),
        trials=draft.trials, cached=draft.cached, stale=draft.stale, missing=draft.missing,
        of_claim=draft.of_claim, of_control=draft.of_control, swept=draft.swept, fingerprints=draft.fingerprints,
        datasets=draft.datasets, data_dir=None if data_dir is None else str(data_dir),
    )  # fmt: skip


def _experiments_at(study: Study, scale: str) -> list[Experiment]:
    if not study.experiments:
        raise InvalidInput(f"study {study.name!r} has no experiment; add one with study.experiment(...)")
    if scale not in SCALES:
        raise UnknownName("scale", scale, SCALES)
    running = [experiment for experiment in study.experiments.values() if scale in experiment.seeds]
    if not running:
        raise InvalidInput(f"study {study.name!r} declares no scale {scale!r}; it has {', '.join(study.scales)}")
    names = [claim.name for claim in study.claims]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(f"study {study.name!r} has two claims named {name!r}; give one of them another `name`")
    return running


class _Draft:
    """A plan in the making, experiment by experiment."""

    def __init__(self, study: Study, recorded: Recorded, data_dir: str | PathLike[str] | None):
        self.study = study
        self.recorded = recorded
        self.data_dir = data_dir
        self.wanted: dict[str, Member] = {}
        self.trials: list[Trial] = []
        self.cached = 0
        self.stale: dict[str, int] = {}
        self.missing: list[Missing] = []
        self.of_claim: dict[str, set[str]] = {claim.name: set() for claim in study.claims}
        self.of_control: dict[str, list[set[str]]] = {c.name: [set() for _ in c.controls] for c in study.claims}
        self.swept: dict[str, set[str]] = {name: set() for name in study.experiments}
        self.fingerprints: dict[str, str] = {}
        self.datasets: dict[str, str] = {}

    def add(self, experiment: Experiment, scale: str, overrides: Mapping[str, Any], seeds: int | None) -> None:
        function = experiment.trial_function
        if function is None:
            raise InvalidInput(
                f"experiment {experiment.name!r} of study {self.study.name!r} has no trial function; "
                "decorate one with @experiment.trial (@study.trial where there is one experiment)"
            )
        self.fingerprints[experiment.name] = fingerprint(function, experiment.config)
        configs = grid.members(experiment, scale, overrides, seeds)
        own: dict[str, Member] = {}
        self.swept[experiment.name] = self._want(experiment, configs, own)
        for claim in experiment.claims:
            if claim.kind is not None:
                declaring = experiment.declaring(claim)
                about = configs if declaring is experiment else grid.members(declaring, scale, overrides, seeds)
                self._add_claim(experiment, claim, about, own)
        self.wanted |= own
        self._schedule(experiment, list(own.values()))

    def _add_claim(self, experiment: Experiment, claim: Claim, configs: list[Config], own: dict[str, Member]) -> None:
        chosen = grid.selected(experiment, claim, configs)
        if not chosen:
            grid.check_select(experiment, claim)
        self.of_claim[claim.name] = self._want(experiment, chosen, own)
        self.of_control[claim.name] = [
            self._want(experiment, grid.controlled(chosen, claim, control.settings), own) for control in claim.controls
        ]

    def _want(self, experiment: Experiment, configs: list[Config], own: dict[str, Member]) -> set[str]:
        code = self.fingerprints[experiment.name]
        keys: set[str] = set()
        for config in configs:
            dataset = experiment.dataset(config)
            if dataset is not None and dataset not in self.datasets:
                self.datasets[dataset] = data.digest(dataset, self.data_dir)
            key = member_key(experiment.namespace, config, code, self.datasets[dataset] if dataset else "")
            keys.add(key)
            if key not in own:
                own[key] = Member(experiment.name, config, key, setting_key(experiment.namespace, config))
        return keys

    def _schedule(self, experiment: Experiment, members: list[Member]) -> None:
        left = [member for member in members if not self.recorded.holds(member)]
        self.cached += len(members) - len(left)
        self.stale[experiment.name] = sum(member.setting in self.recorded.settings for member in left)
        absent = self._absent({experiment.dataset(member.config) for member in left})
        for dataset, reason in absent.items():
            held = [member for member in left if experiment.dataset(member.config) == dataset]
            self.missing.append(Missing(experiment.name, dataset, reason, len(held)))
        here = [member for member in left if experiment.dataset(member.config) not in absent]
        self.trials += blocks(self.study.name, here, vectorised=experiment.vectorised, block=experiment.block)

    def _absent(self, wanted: set[str | None]) -> dict[str, str]:
        names = wanted - {None}
        if not names:
            return {}
        there = data.available(self.data_dir)
        return {entry.name: entry.reason for entry in there if entry.name in names and not entry.found}
