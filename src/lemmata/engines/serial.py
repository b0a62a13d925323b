"""The serial engine: one trial after the other, in this process, with all the threads torch chooses."""

from collections.abc import Generator

from lemmata.engines.attempt import attempt
from lemmata.engines.base import Job, NextJob, data_at
from lemmata.engines.failure import describe
from lemmata.records.store import Store


def run_each(next_job: NextJob, store: Store, workers: int | None = None) -> Generator[Job]:
    """Run every trial of a job, then those of the next; gives each back when it is over."""
    while (job := next_job()) is not None:
        with data_at(job.plan.data_dir):
            _run(job, store)
        yield job


def _run(job: Job, store: Store) -> None:
    plan = job.plan
    for trial in plan.trials:
        job.ledger.started(trial)
        try:
            record = attempt(
                plan.study, trial, fingerprint=plan.fingerprints[trial.experiment], datasets=dict(plan.datasets)
            )
        except Exception as error:
            job.ledger.failed(trial, describe(error, plan.study.source))
        else:
            store.put(record)
            job.ledger.recorded(trial, record.seconds)
