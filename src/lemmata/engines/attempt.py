"""Run one trial: call the study's function on a block, and hold what comes back against what was asked."""

import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lemmata.errors import LemmataError
from lemmata.plan.trial import Member, Trial
from lemmata.records.provenance import provenance
from lemmata.records.record import MemberRecord, Record
from lemmata.records.table import FIXED, columns_of
from lemmata.study.config import field_names
from lemmata.study.experiment import Experiment
from lemmata.study.measurements import Curve, Measurements
from lemmata.study.study import Study

STATUSES = ("ok", "diverged")


class BadOutcome(LemmataError):
    """A trial function gave back something else than one `Measurements` for each configuration."""


def attempt(study: Study, trial: Trial, *, fingerprint: str, datasets: dict[str, str]) -> Record:
    """Run a trial and make its record. Raises whatever the function raises, and `BadOutcome`.

    A member with a scalar that is not a number is marked "diverged".
    """
    experiment = study.experiments[trial.experiment]
    function = experiment.trial_function
    assert function is not None
    start = time.perf_counter()
    with _denormals_flushed():
        given = function([member.config for member in trial.members])
    seconds = time.perf_counter() - start
    measured = checked(given, experiment, trial.members)
    read = {name for member in trial.members if (name := experiment.dataset(member.config)) is not None}
    facts = provenance(
        source=Path(function.__code__.co_filename) if hasattr(function, "__code__") else None,
        fingerprint=fingerprint,
        data={name: datasets[name] for name in sorted(read)},
        seconds=seconds,
    )
    members = tuple(
        MemberRecord(member.key, member.plain, measurements, member.setting)
        for member, measurements in zip(trial.members, measured, strict=True)
    )
    return Record(trial.key, study.name, trial.experiment, members, facts, seconds, experiment.namespace)


@contextmanager
def _denormals_flushed() -> Iterator[None]:
    """Numbers below 1e-38 count as 0: weights that decay to nothing would make every product 17 times slower."""
    torch = sys.modules.get("torch")  # a study that does not use it should not wait for its import
    if torch is None:
        yield
        return
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def checked(given: Any, experiment: Experiment, members: Sequence[Member]) -> list[Measurements]:
    """Hold the outcome of a trial function against the contract; raises `BadOutcome` naming the function.

    >>> from lemmata.study.config import Config
    >>> experiment = Experiment("main", namespace="coin/main", config=Config)
    >>> checked([Measurements({"heads": 1})], experiment, [Member("main", Config(), "k")])[0].scalars
    {'heads': 1.0}
    """
    name = f"trial function {getattr(experiment.trial_function, '__name__', experiment.name)!r}"
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise BadOutcome(f"{name} gave a {type(given).__name__}; return a list with one Measurements a configuration")
    if len(given) != len(members):
        raise BadOutcome(f"{name} gave {len(given)} outcomes for {len(members)} configurations; return one for each")
    taken = {*FIXED, *field_names(experiment.config)}
    return [_checked_one(outcome, name, taken) for outcome in given]


def _checked_one(outcome: Any, name: str, taken: set[str]) -> Measurements:
    if not isinstance(outcome, Measurements):
        raise BadOutcome(f"{name} gave a {type(outcome).__name__} in its list; write lemmata.Measurements.of(...)")
    if outcome.status not in STATUSES:
        raise BadOutcome(f"{name} gave status {outcome.status!r}; a member is 'ok' or 'diverged'")
    columns = columns_of(outcome)
    for column in columns:
        if column in taken:
            raise BadOutcome(f"{name} measures {column!r}, which is a field of the configuration; choose another name")
        if columns.count(column) > 1:
            raise BadOutcome(f"{name} measures {column!r} twice, as different things; choose another name for one")
    for quantity in outcome.errors:
        if quantity not in outcome.scalars:
            raise BadOutcome(f"{name} gives a standard error of {quantity!r}, which it does not measure")
    for quantity, curve in outcome.curves.items():
        if not isinstance(curve, Curve):
            raise BadOutcome(f"{name} gives {quantity!r} as a curve, but it is a {type(curve).__name__}; use Curve")
    scalars = {quantity: _number(value, quantity, name) for quantity, value in outcome.scalars.items()}
    errors = {quantity: _number(value, quantity, name) for quantity, value in outcome.errors.items()}
    arrays = {quantity: _array(value, quantity, name) for quantity, value in outcome.arrays.items()}
    diverged = outcome.status == "diverged" or any(math.isnan(value) for value in scalars.values())
    status = "diverged" if diverged else "ok"
    return replace(outcome, scalars=scalars, errors=errors, arrays=arrays, status=status)


def _number(value: Any, quantity: str, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise BadOutcome(f"{name} gives {quantity!r} = {value!r}, which is no number") from None


def _array(value: Any, quantity: str, name: str) -> np.ndarray:
    value = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
    if value.dtype.kind not in "fiub" or value.dtype.itemsize > 8:
        raise BadOutcome(f"{name} gives {quantity!r} as an array of {value.dtype}; give numbers of at most 8 bytes")
    return value.astype(value.dtype.newbyteorder("="), copy=False)
