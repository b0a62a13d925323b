"""The records of one experiment as a table, a row a member: what claims are judged on and figures are drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lemmata.errors import CorruptFile
from lemmata.plan.plan import Plan
from lemmata.plan.trial import Member
from lemmata.records.record import MemberRecord
from lemmata.records.store import NoRecord, Store
from lemmata.study.config import field_names
from lemmata.study.experiment import Experiment
from lemmata.study.measurements import Measurements
from lemmata.study.study import Study

if TYPE_CHECKING:
    import pandas as pd

FIXED = ("key", "control", "status")


def table(study: Study, experiment: Experiment | str, plan: Plan, store: Store) -> pd.DataFrame:
    """The recorded members that a plan wants of an experiment, in the plan's order.

    Columns: "key", "control" (bool: only a control asked for it), "status", the configuration's fields by dotted name,
    scalars, "<scalar>.stderr", curves (`Curve`) and arrays. What a member did not measure is NaN. `attrs["fields"]`
    holds the names of the fields, `attrs["problems"]` the damaged records this store has set aside.

    >>> import tempfile
    >>> from lemmata.study import Config
    >>> plan = Plan(study=Study("s", question="?", config=Config), scale="smoke", overrides={}, seeds=None, wanted=[],
    ...     trials=[], cached=0, stale={}, missing=[], of_claim={}, of_control={}, swept={"main": set()},
    ...     fingerprints={}, datasets={}, data_dir=None)
    >>> list(table(plan.study, "main", plan, Store(tempfile.gettempdir() + "/no-store-here")).columns)
    ['key', 'control', 'status', 'seed']
    """
    import pandas as pd

    name = experiment if isinstance(experiment, str) else experiment.name
    fields = field_names(study.experiments[name].config)
    swept = plan.swept.get(name, set())
    found = _recorded(plan.members_of(name), store)
    rows = [
        _row(member, found[member.key], member.key not in swept)
        for member in plan.members_of(name)
        if member.key in found
    ]
    columns = list(dict.fromkeys([*FIXED, *fields, *(column for row in rows for column in row)]))
    made = pd.DataFrame(rows, columns=columns)
    made["control"] = made["control"].astype(bool)
    made.attrs = {"fields": fields, "problems": list(store.problems)}
    return made


def columns_of(measured: Measurements) -> list[str]:
    """The columns that measurements fill: no two may be the same, and none may be a field's.

    >>> columns_of(Measurements({"risk": 1.0}, {"risk": 0.1}))
    ['risk', 'risk.stderr']
    """
    return [*measured.scalars, *(f"{name}.stderr" for name in measured.errors), *measured.curves, *measured.arrays]


def _recorded(members: list[Member], store: Store) -> dict[str, MemberRecord]:
    recorded = store.members()
    wanted = {member.key for member in members if recorded.holds(member)}
    found: dict[str, MemberRecord] = {}
    for trial in dict.fromkeys(recorded[member.key] for member in members if member.key in wanted):
        try:
            record = store.get(trial)
        except (NoRecord, CorruptFile):  # the store has set a damaged one aside and keeps its name
            continue
        found |= {member.key: member for member in record.members if member.key in wanted}
    return found


def _row(member: Member, recorded: MemberRecord, control: bool) -> dict[str, Any]:
    measured = recorded.measurements
    errors = {f"{name}.stderr": value for name, value in measured.errors.items()}
    return {
        "key": member.key, "control": control, "status": measured.status, **member.config.flat(),
        **measured.scalars, **errors, **measured.curves, **measured.arrays,
    }  # fmt: skip
