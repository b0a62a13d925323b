"""A bench for judgement: a study with real plan, and a table filled by a function of each configuration."""

from collections.abc import Sequence

import pandas as pd
import pytest
from pydantic import Field

from lemmata.plan import plan as planning
from lemmata.study import Config, Measurements, Study
from lemmata.verdicts import judge


class Bench(Config):
    setting: str = "own"
    x: float = 0.0
    width: int = Field(default=10, gt=0)


def trial(configs: Sequence[Bench]) -> Sequence[Measurements]:
    return [Measurements.of(nothing=0.0) for _ in configs]


def table_of(plan, measure, seeds=None) -> pd.DataFrame:
    rows = []
    for member in plan.wanted:
        if seeds is None or member.config.seed in seeds:
            rows.append({"key": member.key, "status": "ok", **member.config.flat(), **measure(member.config)})
    table = pd.DataFrame(rows)
    table.attrs["fields"] = list(Bench().flat())
    return table


@pytest.fixture
def bench():
    """`bench(declare, measure)` declares claims on a study, measures every planned member, and judges."""

    def run(declare, measure, *, seeds=5, sweep=None, shuffle=None, recorded=None, **options):
        study = Study("bench", question="?", config=Bench, sweep=sweep or {})
        study.trial(trial)
        declare(study)
        plan = planning.make(study, seeds=seeds)
        table = table_of(plan, measure, recorded)
        if shuffle is not None:
            table = table.sample(frac=1, random_state=shuffle)
        return {verdict.claim.name: verdict for verdict in judge(study, {"main": table}, plan, **options)}

    return run
