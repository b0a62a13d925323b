"""The process engine: trials in worker processes, each with its share of the threads.

A worker is a fresh Python that loads the study from its file, runs the trials it is told, and writes their records to
the store itself; parent and worker exchange lines of JSON over the worker's pipes. Where many studies are run, a worker
that finds no trial of its study loads the next one. A worker that dies loses only its trial, which is tried once more.
When the parent dies, by whatever signal, the pipes close and the workers end. They are in sessions of their own, so
that Ctrl-C reaches the parent alone, which stops them.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Generator
from typing import Any

from lemmata.engines.base import WORKER, Job, NextJob
from lemmata.errors import InvalidInput, LemmataError
from lemmata.plan.trial import Trial
from lemmata.records.provenance import cores
from lemmata.records.staging import StoreError
from lemmata.records.store import Store

ATTEMPTS = 2
START = "import sys; sys.path[:] = {path!r}; from lemmata.engines.worker import main; main()"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class WorkerError(LemmataError):
    """Workers cannot be used: they cannot load the study, or die before they are ready."""


class Worker:
    """One worker process; what it says arrives in the queue as (worker, message), and None when it is gone."""

    def __init__(self, inbox: "queue.Queue[tuple[Worker, dict[str, Any] | None]]", threads: int):
        environment = {**os.environ, WORKER: "1", **dict.fromkeys(THREADS, str(threads))}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", START.format(path=sys.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=environment, start_new_session=True,
        )  # fmt: skip
        self.task: _Task | None = None
        self.trial: Trial | None = None
        self.ready = False  # has the study of its task loaded
        threading.Thread(target=self._listen, args=(inbox,), daemon=True).start()

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message; a worker that is gone will be heard of in the queue."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message).encode("ascii") + b"\n")
            self.process.stdin.flush()
        except OSError:
            pass

    def stop(self) -> None:
        """End the process now; a record being written is whole or absent."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                assert pipe is not None
                pipe.close()
            except OSError:
                pass

    def obituary(self) -> str:
        """Say how the process ended."""
        code = self.process.wait()
        if code < 0:
            name = signal.Signals(-code).name
            hint = " (the system kills a process so when memory runs out)" if name == "SIGKILL" else ""
            return f"its worker process was killed by {name}{hint}"
        return f"its worker process ended with exit status {code}"

    def _listen(self, inbox: "queue.Queue[tuple[Worker, dict[str, Any] | None]]") -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                inbox.put((self, json.loads(line)))
            except ValueError:
                break
        inbox.put((self, None))


def run_each(next_job: NextJob, store: Store, workers: int | None = None) -> Generator[Job]:
    """Run the trials of one job after the other in `workers` processes; gives each back when its last trial ends."""
    return _Pool(next_job, store, workers or cores()).run()


def threads_each(workers: int) -> int:
    """Threads of each of so many workers: its share of the cores, or what OMP_NUM_THREADS asks for, if that is less.

    >>> threads_each(10**6)
    1
    """
    share = max(1, cores() // workers)
    asked = os.environ.get(THREADS[0], "")
    return min(share, int(asked)) if asked.isdecimal() and int(asked) else share


class _Task:
    """A job with what a worker must hear before its first trial, and the trials that wait."""

    def __init__(self, job: Job, store: Store):
        self.job = job
        self.waiting = deque(job.plan.trials)
        self.attempts = Counter[str]()
        self.stillborn = 0  # workers that died while they loaded the study, since one last did load it
        plan = job.plan
        self.greeting = {
            "source": str(plan.study.source), "study": plan.study.name, "store": str(store.path.absolute()),
            "fingerprints": dict(plan.fingerprints), "datasets": dict(plan.datasets), "data_dir": plan.data_dir,
        }  # fmt: skip
        if self.waiting and plan.study.source is None:
            self.give_up(
                InvalidInput(
                    f"study {plan.study.name!r} is not in a file, so that worker processes cannot load it; use "
                    "engine='serial'"
                )
            )

    def give_up(self, error: LemmataError) -> None:
        self.job.error = error
        self.waiting.clear()


class _Pool:
    def __init__(self, next_job: NextJob, store: Store, count: int):
        self.next_job = next_job
        self.store = store
        self.count = count
        self.inbox: queue.Queue[tuple[Worker, dict[str, Any] | None]] = queue.Queue()
        self.tasks: list[_Task] = []
        self.workers: set[Worker] = set()

    def run(self) -> Generator[Job]:
        try:
            while True:
                self._look_ahead()
                self._man()
                over = [task for task in self.tasks if not task.waiting and not self._busy(task)]
                for task in over:
                    self.tasks.remove(task)
                    yield task.job
                if over:
                    continue
                if not self.tasks:
                    return
                worker, message = self.inbox.get()
                if message is None:
                    self._gone(worker)
                else:
                    self._heard(worker, message)
        finally:
            for worker in self.workers:
                worker.stop()

    def _waiting(self) -> int:
        return sum(len(task.waiting) for task in self.tasks)

    def _busy(self, task: _Task | None = None) -> int:
        """How many workers have a trial, or one of this task."""
        return sum(worker.trial is not None and task in (None, worker.task) for worker in self.workers)

    def _look_ahead(self) -> None:
        """Ask for jobs until every worker would find a trial; who is idle does not wait for the plans that follow."""
        while self._waiting() < self.count:
            self._employ_idle()
            job = self.next_job()
            if job is None:
                return
            self.tasks.append(_Task(job, self.store))

    def _man(self) -> None:
        """Give every worker a trial; start workers while there are trials for them, and stop those that find none."""
        self._employ_idle()
        wanted = min(self.count, self._busy() + self._waiting())
        while self._waiting() and len(self.workers) < self.count:
            worker = Worker(self.inbox, threads_each(wanted))
            self.workers.add(worker)
            self._employ(worker)
        for worker in [worker for worker in self.workers if worker.trial is None]:
            self.workers.discard(worker)
            worker.stop()

    def _employ_idle(self) -> None:
        for worker in self.workers:
            if worker.trial is None and self._waiting():
                self._employ(worker)

    def _employ(self, worker: Worker) -> None:
        """Give a worker a trial of the study it has loaded, or else the first that waits and word of its study."""
        task = worker.task
        if task is None or not task.waiting:
            task = next(task for task in self.tasks if task.waiting)
        worker.trial = task.waiting.popleft()
        if task is worker.task and worker.ready:
            self._begin(worker, task, worker.trial)
        else:
            worker.task, worker.ready = task, False
            worker.tell(task.greeting)

    def _begin(self, worker: Worker, task: _Task, trial: Trial) -> None:
        task.attempts[trial.key] += 1
        if task.attempts[trial.key] == 1:
            task.job.ledger.started(trial)
        members = [[member.key, member.setting, member.config.non_default()] for member in trial.members]
        worker.tell({"experiment": trial.experiment, "members": members})

    def _heard(self, worker: Worker, message: dict[str, Any]) -> None:
        task, trial = worker.task, worker.trial
        assert task is not None
        assert trial is not None
        if message["kind"] == "ready":
            worker.ready, task.stillborn = True, 0
            self._begin(worker, task, trial)
            return
        worker.trial = None
        match message["kind"]:
            case "done":
                task.job.ledger.recorded(trial, message["seconds"])
            case "failed":
                task.job.ledger.failed(trial, message["error"])
            case "store":
                raise StoreError(message["error"])
            case "unusable":
                task.give_up(WorkerError(message["error"]))

    def _gone(self, worker: Worker) -> None:
        if worker not in self.workers:
            return
        self.workers.discard(worker)
        how = worker.obituary()
        worker.stop()
        task, trial = worker.task, worker.trial
        if task is None or trial is None:
            return
        if not worker.ready:
            task.waiting.appendleft(trial)
            task.stillborn += 1
            if task.stillborn > self.count + 2:
                task.give_up(WorkerError(f"no worker process comes up: {how}; use engine='serial' to see why"))
        elif task.attempts[trial.key] < ATTEMPTS:
            task.job.ledger.retried(trial, how)
            task.waiting.appendleft(trial)
        else:
            task.job.ledger.failed(trial, f"{how}, twice")
