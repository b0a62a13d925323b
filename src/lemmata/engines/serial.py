"""The serial engine: one trial after the other, in this process, with all the threads torch chooses."""

from lemmata.engines.attempt import attempt
from lemmata.engines.base import Ledger
from lemmata.engines.failure import describe
from lemmata.plan.plan import Plan
from lemmata.records.store import Store


def run_all(plan: Plan, store: Store, ledger: Ledger, workers: int | None = None) -> None:
    """Run every trial of a plan."""
    for trial in plan.trials:
        ledger.started(trial)
        try:
            record = attempt(
                plan.study, trial, fingerprint=plan.fingerprints[trial.experiment], datasets=dict(plan.datasets)
            )
        except Exception as error:
            ledger.failed(trial, describe(error, plan.study.source))
        else:
            store.put(record)
            ledger.recorded(trial, record.seconds)
