"""SIGKILL at random moments, to the parent and to workers: at most the running trial is lost, and nothing is wrong."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from lemmata.engines.base import run
from lemmata.plan import make
from lemmata.records import Store
from lemmata.study.registry import load


def living_workers(store: Path) -> list[int]:
    """Processes of runs on this store that are not the run itself."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if f"LEMMATA_TEST_STORE={store}".encode() in environment and b"lemmata.engines.worker" in command:
            found.append(int(folder.name))
    return found


def kill_parents(start, store: Path, times: int, chance: random.Random) -> int:
    """Start runs and kill each at a random moment, one in five before its first trial; how many kills struck."""
    struck = 0
    recorded: set[str] = set()
    for number in range(times):
        process = start(store, engine=("serial", "processes")[number % 2])
        if number % 5:
            process.stdout.readline()  # a trial has begun
            time.sleep(chance.uniform(0, 0.12))
        else:
            time.sleep(chance.uniform(0, 0.4))
        process.kill()
        process.communicate()
        struck += process.returncode == -signal.SIGKILL
        deadline = time.monotonic() + 10
        while living_workers(store) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert living_workers(store) == [], "workers outlived their parent"
        if store.exists():
            assert Store(store).check() == []
            assert recorded <= Store(store).keys(), "a record was lost"
            recorded = Store(store).keys()
    return struck


def _parents(start, undisturbed, measured, store, *, times, seed):
    struck = kill_parents(start, store, times, random.Random(seed))
    finished = start(store, engine="processes")
    _, errors = finished.communicate(timeout=120)
    assert finished.returncode == 0, errors
    assert measured(Store(store)) == undisturbed
    assert Store(store).check() == []
    assert list((store / "staging").iterdir()) == [], "leftovers of the dead were not swept"
    return struck


def test_killing_the_parent_at_ten_moments(start, undisturbed, measured, tmp_path):
    assert _parents(start, undisturbed, measured, tmp_path / "store", times=10, seed=1) >= 7


@pytest.mark.slow
def test_killing_the_parent_at_two_hundred_moments(start, undisturbed, measured, tmp_path):
    for seed in range(10):
        assert _parents(start, undisturbed, measured, tmp_path / str(seed), times=20, seed=seed) >= 10


def _kill_workers(coin_file, store, measured, undisturbed, *, times, seed):
    """Twice the same trial is the end of it, so that a second run may be wanted for some."""
    chance = random.Random(seed)
    study = load(str(coin_file))
    kills = 0

    def kill(event):
        nonlocal kills
        if event.kind in ("started", "done") and kills < times and chance.random() < 0.5:
            time.sleep(chance.uniform(0, 0.015))
            workers = _workers_of(os.getpid())
            if workers:
                os.kill(chance.choice(workers), signal.SIGKILL)
                kills += 1

    runs = 0
    while not runs or make(study, recorded=store.members()).trials:
        outcome = run(make(study, recorded=store.members()), store, engine="processes", workers=2, on_event=kill)
        assert all("killed by SIGKILL" in failure.error for failure in outcome.failed)
        assert store.check() == []
        runs += 1
    assert kills >= 0.8 * times
    assert measured(store) == undisturbed
    return runs


def _workers_of(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z" and b"lemmata.engines.worker" in command:
            found.append(int(stat.parent.name))
    return sorted(found)


def test_killing_workers_at_ten_moments(coin_file, tmp_path, measured, undisturbed):
    assert _kill_workers(coin_file, Store(tmp_path / "store"), measured, undisturbed, times=10, seed=2) <= 4


@pytest.mark.slow
def test_killing_workers_at_a_hundred_moments(coin_file, tmp_path, measured, undisturbed):
    _kill_workers(coin_file, Store(tmp_path / "store"), measured, undisturbed, times=100, seed=3)
