"""The process engine: trials in worker processes, each with its share of the threads.

A worker is a fresh Python that loads the study from its file, runs the trials it is told, and writes their records to
the store itself; parent and worker exchange lines of JSON over the worker's pipes. A worker that dies loses only its
trial, which is tried once more. When the parent dies, by whatever signal, the pipes close and the workers end. They
are in sessions of their own, so that Ctrl-C reaches the parent alone, which stops them.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from typing import Any

from lemmata.engines.base import WORKER, Ledger
from lemmata.errors import InvalidInput, LemmataError
from lemmata.plan.plan import Plan
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

    def __init__(
        self, greeting: dict[str, Any], inbox: "queue.Queue[tuple[Worker, dict[str, Any] | None]]", threads: int
    ):
        environment = {**os.environ, WORKER: "1", **dict.fromkeys(THREADS, str(threads))}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", START.format(path=sys.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=environment, start_new_session=True,
        )  # fmt: skip
        self.trial: Trial | None = None
        self.ready = False
        self.tell(greeting)
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


def run_all(plan: Plan, store: Store, ledger: Ledger, workers: int | None = None) -> None:
    """Run every trial of a plan in `workers` processes."""
    if not plan.trials:
        return
    if plan.study.source is None:
        raise InvalidInput(
            f"study {plan.study.name!r} is not in a file, so that worker processes cannot load it; use engine='serial'"
        )
    count = min(workers or cores(), len(plan.trials))
    _Pool(plan, store, ledger, count).run()


def threads_each(workers: int) -> int:
    """Threads of each of so many workers: its share of the cores, or what OMP_NUM_THREADS asks for, if that is less.

    >>> threads_each(10**6)
    1
    """
    share = max(1, cores() // workers)
    asked = os.environ.get(THREADS[0], "")
    return min(share, int(asked)) if asked.isdecimal() and int(asked) else share


class _Pool:
    def __init__(self, plan: Plan, store: Store, ledger: Ledger, count: int):
        self.plan = plan
        self.ledger = ledger
        self.count = count
        self.threads = threads_each(count)
        self.inbox: queue.Queue[tuple[Worker, dict[str, Any] | None]] = queue.Queue()
        self.waiting = deque(plan.trials)
        self.attempts: dict[str, int] = {}
        self.workers: set[Worker] = set()
        self.stillborn = 0
        self.greeting = {
            "source": str(plan.study.source), "study": plan.study.name, "store": str(store.path.absolute()),
            "fingerprints": dict(plan.fingerprints), "datasets": dict(plan.datasets),
        }  # fmt: skip

    def run(self) -> None:
        try:
            for _ in range(self.count):
                self.workers.add(Worker(self.greeting, self.inbox, self.threads))
            while self.workers:
                worker, message = self.inbox.get()
                if message is None:
                    self._gone(worker)
                else:
                    self._heard(worker, message)
        finally:
            for worker in self.workers:
                worker.stop()

    def _heard(self, worker: Worker, message: dict[str, Any]) -> None:
        trial, worker.trial = worker.trial, None
        self.stillborn = 0
        match message["kind"]:
            case "ready":
                worker.ready = True
            case "done":
                assert trial is not None
                self.ledger.recorded(trial, message["seconds"])
            case "failed":
                assert trial is not None
                self.ledger.failed(trial, message["error"])
            case "store":
                raise StoreError(message["error"])
            case "unusable":
                raise WorkerError(message["error"])
        self._employ(worker)

    def _employ(self, worker: Worker) -> None:
        if not self.waiting:
            self.workers.discard(worker)
            worker.stop()
            return
        trial = worker.trial = self.waiting.popleft()
        self.attempts[trial.key] = self.attempts.get(trial.key, 0) + 1
        if self.attempts[trial.key] == 1:
            self.ledger.started(trial)
        members = [[member.key, member.setting, member.config.non_default()] for member in trial.members]
        worker.tell({"experiment": trial.experiment, "members": members})

    def _gone(self, worker: Worker) -> None:
        if worker not in self.workers:
            return
        self.workers.discard(worker)
        how = worker.obituary()
        worker.stop()
        trial = worker.trial
        if trial is not None and self.attempts[trial.key] < ATTEMPTS:
            self.ledger.retried(trial, how)
            self.waiting.appendleft(trial)
        elif trial is not None:
            self.ledger.failed(trial, f"{how}, twice")
        self.stillborn += not worker.ready
        if self.stillborn > self.count + 2:
            raise WorkerError(f"no worker process comes up: {how}; use engine='serial' to see why")
        busy = sum(other.trial is not None for other in self.workers)
        if len(self.workers) < min(self.count, busy + len(self.waiting)):
            self.workers.add(Worker(self.greeting, self.inbox, self.threads))
