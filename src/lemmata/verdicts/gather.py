"""Which rows of the tables a claim and its controls are about, and what is not there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lemmata.study.claim import Claim
from lemmata.study.study import Study

if TYPE_CHECKING:
    import pandas as pd


class Wanted(Protocol):
    """What judgement asks of a plan (`lemmata.plan.Plan` has it), without importing what plans are made with."""

    @property
    def of_claim(self) -> Mapping[str, Collection[str]]:
        """Claim name -> keys of its members."""
        ...

    @property
    def of_control(self) -> Mapping[str, Sequence[Collection[str]]]:
        """Claim name -> keys of the members of each of its controls."""
        ...

    @property
    def wanted(self) -> Sequence[Any]:
        """All members, each with `key` and `config`."""
        ...

    @property
    def missing(self) -> Sequence[Any]:
        """Datasets that are not on this machine, each with `experiment`, `dataset` and `reason`."""
        ...


@dataclass(frozen=True)
class Rows:
    """The records of a claim, those of its controls, and what is not there.

    `missing` counts wanted members without a record; `unavailable` names the data that their runs would have read.
    """

    claim: pd.DataFrame
    controls: tuple[pd.DataFrame, ...]
    missing: int = 0
    unavailable: str = ""


def gather(study: Study, claim: Claim, tables: Mapping[str, pd.DataFrame], plan: Wanted) -> Rows:
    """The rows of one claim; empty frames where there are none."""
    import pandas as pd

    table = tables.get(claim.experiment)
    if table is None or not len(table):
        table = pd.DataFrame({"key": [], "seed": []})
    keys = set(plan.of_claim.get(claim.name, ()))
    of_control = plan.of_control.get(claim.name, ())
    found = _chosen(table, keys)
    return Rows(
        found,
        tuple(_chosen(table, control) for control in of_control),
        missing=len(keys) - found["key"].nunique(),
        unavailable=_unavailable(study, claim, keys - set(found["key"]), plan),
    )


def below(table: pd.DataFrame, look: int | None) -> pd.DataFrame:
    """The rows of the seeds below `look`; all of them when there is no look."""
    return table if look is None else _where(table, table["seed"] < look)


def _chosen(table: pd.DataFrame, keys: Collection[str]) -> pd.DataFrame:
    return _where(table, table["key"].isin(list(keys)))


def _where(table: pd.DataFrame, rows: pd.Series) -> pd.DataFrame:
    found = table[rows]
    found.attrs = table.attrs
    return found


def _unavailable(study: Study, claim: Claim, keys: Collection[str], plan: Wanted) -> str:
    """The reasons why datasets that these members read are not on this machine."""
    reasons = {gone.dataset: gone.reason for gone in plan.missing if gone.experiment == claim.experiment}
    if not reasons:
        return ""
    experiment = study.experiments[claim.experiment]
    read = {experiment.dataset(member.config) for member in plan.wanted if member.key in keys}
    return "; ".join(reason for dataset, reason in reasons.items() if dataset in read)
