"""What a worker process does: load a study, run and record trials of it, and load the next when it is told so.

It speaks over the pipe that was its standard output, which is then pointed at standard error, so that what a trial
prints disturbs nothing. It ends when its input closes, even in the middle of a trial: then the parent is gone.
"""

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

Message = dict[str, Any]


def main() -> None:
    """Serve the parent process."""
    _die_with_parent()
    speak = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    inbox: queue.Queue[Message] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, inbox), daemon=True).start()
    serve(inbox, speak)


def serve(inbox: "queue.Queue[Message]", speak: BinaryIO) -> None:
    """Load the study that a greeting names, and answer every trial of it with "done", "failed" or "store"."""

    def say(kind: str, **rest: Any) -> None:
        speak.write(json.dumps({"kind": kind, **rest}).encode("ascii") + b"\n")

    from lemmata.engines.failure import describe
    from lemmata.errors import LemmataError
    from lemmata.records.staging import StoreError
    from lemmata.records.store import Store

    greeting: Message = {}
    study = store = None
    while True:
        message = inbox.get()
        if "source" in message:
            greeting = message
            try:
                study, store = _load(greeting), Store(greeting["store"])
            except LemmataError as error:
                say("unusable", error=str(error))
            else:
                say("ready")
            continue
        assert study is not None
        assert store is not None
        try:
            record = _run(study, message, greeting)
        except Exception as error:
            say("failed", error=describe(error, study.source))
            continue
        try:
            store.put(record)
        except StoreError as error:
            say("store", error=str(error))
        else:
            say("done", seconds=record.seconds)


def _load(greeting: Message):
    """The study, which must be the one the plan was made from: else records would lie about their code."""
    from lemmata.engines.processes import WorkerError
    from lemmata.plan.fingerprint import fingerprint
    from lemmata.study.registry import load_from

    if greeting["data_dir"] is not None:
        os.environ["LEMMATA_DATA"] = greeting["data_dir"]
    study = load_from(Path(greeting["source"]), greeting["study"])
    for name, expected in greeting["fingerprints"].items():
        experiment = study.experiments.get(name)
        function = experiment.trial_function if experiment else None
        if experiment is None or function is None or fingerprint(function, experiment.config) != expected:
            raise WorkerError(
                f"study {study.name!r} has changed on the disk since the plan was made; run the same command again"
            )
    return study


def _run(study, message: Message, greeting: Message):
    from lemmata.engines.attempt import attempt
    from lemmata.plan.trial import Member, Trial

    experiment = study.experiments[message["experiment"]]
    members = tuple(
        Member(experiment.name, experiment.config.model_validate(values), key, setting)
        for key, setting, values in message["members"]
    )
    return attempt(
        study,
        Trial(study.name, experiment.name, members),
        fingerprint=greeting["fingerprints"][experiment.name],
        datasets=greeting["datasets"],
    )


def _listen(pipe: BinaryIO, inbox: "queue.Queue[Message]") -> None:
    for line in pipe:
        inbox.put(json.loads(line))
    os._exit(0)


def _die_with_parent() -> None:
    """Ask Linux to kill this process with its parent, for the trial that holds the interpreter and hears no pipe."""
    if sys.platform != "linux":
        return
    import ctypes

    parent_death_signal = 1
    ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)
