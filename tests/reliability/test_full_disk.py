"""A disk that is full: a clear error, what is done is kept, no half record, and the same command goes on."""

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

# Runs in a mount namespace of its own: a store on a small disk, filled; then the disk is made larger.
STORY = """
import json, subprocess, sys
from lemmata.engines.base import run
from lemmata.plan import make
from lemmata.records import Store, StoreError
from lemmata.study.registry import load

study, disk, engine = load(sys.argv[1]), sys.argv[2], sys.argv[3]
store = Store(disk + "/store")
told = {"wanted": len(make(study).wanted)}
try:
    run(make(study), store, engine=engine, workers=2)
except StoreError as error:
    told["error"] = str(error)
told["kept"], told["problems"] = len(Store(store.path).members()), Store(store.path).check()
told["staged"] = [path.name for path in (store.path / "staging").iterdir()]
subprocess.run(["mount", "-o", "remount,size=32m", disk], check=True)
store = Store(store.path)
plan = make(study, recorded=store.members())
told["again"], told["failed"] = run(plan, store, engine=engine, workers=2).done, 0
told["members"] = len(Store(store.path).members())
print(json.dumps(told))
"""


def _namespace() -> list[str] | None:
    """A command that runs another in a mount namespace where it may mount; None where that is not allowed."""
    if shutil.which("unshare") is None:
        return None
    for options in (["-m"], ["-r", "-m"]):
        probe = ["unshare", *options, "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return ["unshare", *options]
    return None


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_a_full_disk(coin_file, tmp_path, engine):
    namespace = _namespace()
    if namespace is None:
        pytest.skip("no small disk can be mounted here; the next test limits the size of files instead")
    disk = tmp_path / "disk"
    disk.mkdir()
    story = [sys.executable, "-c", STORY, str(coin_file), str(disk), engine]
    command = [*namespace, "sh", "-c", 'mount -t tmpfs -o size=320k none "$0" && exec "$@"', str(disk), *story]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "cannot write the store" in told["error"]
    assert "the disk is full; free some space, or name another store" in told["error"]
    assert "What was recorded is kept, and the same command goes on" in told["error"]
    assert 5 < told["kept"] < told["wanted"]
    assert told["problems"] == []
    assert told["staged"] == []
    assert told["again"] == told["wanted"] - told["kept"]
    assert told["members"] == told["wanted"]


def test_files_that_may_not_grow(start, coin_file, tmp_path, undisturbed, measured):
    """What a quota on files does: records are refused, and the error says why; without it the run goes on."""
    from lemmata.records import Store

    store = tmp_path / "store"
    process = start(store)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, 1000))
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 3, errors
    assert "StoreError cannot write the store" in out
    assert "the file would be larger than this process may write; raise the limit, or name another store" in out
    assert Store(store).keys() == set()
    assert Store(store).check() == []
    process = start(store)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert measured(Store(store)) == undisturbed


def test_a_disk_that_may_only_be_read(coin_file, tmp_path):
    """Reading goes on; writing says why not. As root permissions do not bind, so a read-only mount is used."""
    namespace = _namespace()
    if namespace is None:
        pytest.skip("nothing can be mounted here")
    story = """
import sys
from lemmata.engines.base import run
from lemmata.plan import make
from lemmata.records import Store, StoreError
from lemmata.study.registry import load
study, store = load(sys.argv[1]), Store(sys.argv[2])
run(make(study, scale="smoke", seeds=1), store)
import subprocess
subprocess.run(["mount", "--bind", sys.argv[2], sys.argv[2]], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", sys.argv[2]], check=True)
store = Store(sys.argv[2])
plan = make(study, scale="smoke", recorded=store.members())
print(len(store.members()), plan.cached)
try:
    run(plan, store)
except StoreError as error:
    print(error)
"""
    command = [*namespace, sys.executable, "-c", story, str(coin_file), str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "2 2"
    assert "the disk is read-only; name a store on another" in second
