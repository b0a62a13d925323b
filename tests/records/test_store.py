"""The store on real folders: put, get, races, damage, merging, and what it refuses."""

import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from lemmata.errors import CorruptFile
from lemmata.plan.key import trial_key
from lemmata.records import MemberRecord, NoRecord, Record, Store, StoreError
from lemmata.records import staging as stages
from lemmata.study import Curve, Measurements
from lemmata.writers import this_machine


def record(*members: str, value: float = 0.5) -> Record:
    made = tuple(
        MemberRecord(key, {"seed": n}, Measurements.of(a=value, c=Curve([1, 2], [3, 4]), w=np.ones(3)), f"s{key}")
        for n, key in enumerate(members)
    )
    return Record(trial_key(members), "s", "main", made, {"time": "now"}, 2.0, "s/main")


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


def file_of(store: Store, key: str, name: str = "record.json") -> Path:
    return store.path / "records" / key[:2] / key / name


def test_a_record_returns_and_its_members_are_found(store):
    put = record("a", "b")
    store.put(put)
    assert store.keys() == {put.key}
    assert store.get(put.key).members[1].measurements.scalars == {"a": 0.5}
    members = store.members()
    assert members == {"a": put.key, "b": put.key}
    assert members.known["a"].seconds == 1.0
    assert members.known["b"].config == {"seed": 1}
    assert members.settings == {"sa", "sb"}
    assert Store(store.path).members() == members
    assert store.check() == []


def test_opening_a_store_writes_nothing(tmp_path):
    store = Store(tmp_path / "new")
    assert store.keys() == set()
    assert store.members() == {}
    assert store.check() == []
    assert not (tmp_path / "new").exists()


def test_what_is_not_there(store):
    with pytest.raises(NoRecord, match=f"no record {'0' * 64} in the store {store.path}; run the study"):
        store.get("0" * 64)


def test_the_second_writer_drops_its_own(store):
    store.put(record("a", value=1.0))
    Store(store.path).put(record("a", value=2.0))
    assert store.get(trial_key(["a"])).members[0].measurements.scalars == {"a": 1.0}
    assert list((store.path / "staging").iterdir()) == []


def test_a_writer_that_meets_a_damaged_record_replaces_it(store):
    store.put(record("a"))
    file_of(store, trial_key(["a"])).write_bytes(b"{")
    Store(store.path).put(record("a"))
    assert store.get(trial_key(["a"])).members[0].key == "a"
    assert len(list((store.path / "quarantine").glob("*.reason.txt"))) == 1


def test_where_two_trials_hold_one_member_the_smaller_key_counts(store):
    store.put(record("a", "b"))
    store.put(record("a"))
    assert store.members()["a"] == min(trial_key(["a", "b"]), trial_key(["a"]))


def _truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _flip(file: Path) -> None:
    """One bit, with the time of the last change left as it was: what a bad disk does."""
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 4
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("name", ["record.json", "arrays.safetensors"])
@pytest.mark.parametrize("damage", [_truncate, _flip, Path.unlink])
@pytest.mark.parametrize("reader", ["members", "get", "check"])
def test_a_damaged_record_is_named_set_aside_and_not_believed(store, name, damage, reader):
    store.put(record("a"))
    store.put(record("b"))
    key = trial_key(["a"])
    damage(file_of(store, key, name))
    fresh = Store(store.path)
    if reader == "get":
        with pytest.raises(CorruptFile, match=f"record {key} is damaged: .*; moved to .*quarantine.*; the next run"):
            fresh.get(key)
    elif reader == "members":
        assert fresh.members() == {"b": trial_key(["b"])}
        assert key in fresh.problems[0]
    else:
        (problem,) = fresh.check()
        assert key in problem
        assert name in problem
    assert fresh.keys() == {trial_key(["b"])}
    (reason,) = (store.path / "quarantine").glob(f"{key}.*.reason.txt")
    assert name in reason.read_text()
    assert reason.with_name(reason.name.removesuffix(".reason.txt")).is_dir()
    store.put(record("a"))  # and made again
    assert store.get(key).members[0].key == "a"


def test_damage_under_an_open_store_is_seen_by_get(store):
    store.put(record("a"))
    store.members()
    _flip(file_of(store, trial_key(["a"])))
    with pytest.raises(CorruptFile, match="is damaged"):
        store.get(trial_key(["a"]))
    assert store.members() == {}


def test_alien_things_in_the_tree_are_set_aside_by_check(store):
    store.put(record("a"))
    (store.path / "records" / "zz").mkdir()
    (store.path / "records" / "zz" / "notes").mkdir()
    alien = file_of(store, "f" * 64).parent
    alien.parent.mkdir()
    alien.write_text("a file where a folder should be")
    moved = file_of(store, trial_key(["b"])).parent
    shutil.copytree(file_of(store, trial_key(["a"])).parent, moved)
    problems = store.check()
    assert len(problems) == 3
    assert any("no record has this name" in problem for problem in problems)
    assert any(f"it is the record of another trial ({trial_key(['a'])})" in problem for problem in problems)
    assert store.check() == []
    assert store.members() == {"a": trial_key(["a"])}


def test_the_index_may_be_lost_or_damaged_at_any_time(store):
    for name in "abcdef":
        store.put(record(name))
    expected = {name: trial_key([name]) for name in "abcdef"}
    index = store.path / "index.sqlite"
    assert index.exists()
    for damage in (
        index.unlink,
        lambda: index.write_bytes(b""),
        lambda: index.write_bytes(b"no database at all" * 100),
        lambda: os.truncate(index, index.stat().st_size // 2),
        lambda: index.write_bytes(index.read_bytes()[:4096] + os.urandom(index.stat().st_size - 4096)),
    ):
        damage()
        assert Store(store.path).members() == expected
        assert Store(store.path).members() == expected
    index.unlink()
    index.mkdir()
    assert Store(store.path).members() == expected


def test_an_index_that_lies_is_not_believed(store):
    store.put(record("a"))
    with sqlite3.connect(store.path / "index.sqlite") as database:
        database.execute("UPDATE records SET members = replace(members, 'sa', 'sb')")
    database.close()
    assert Store(store.path).members().settings == {"sa"}


def test_a_locked_index_stops_nobody(store, monkeypatch):
    store.put(record("a"))
    monkeypatch.setattr("lemmata.records.index.TIMEOUT", 0.05)
    database = sqlite3.connect(store.path / "index.sqlite", isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    store.put(record("b"))
    assert set(Store(store.path).members()) == {"a", "b"}
    database.close()


def test_the_index_forgets_what_is_gone(store):
    store.put(record("a"))
    store.put(record("b"))
    shutil.rmtree(file_of(store, trial_key(["a"])).parent)
    assert set(Store(store.path).members()) == {"b"}
    with sqlite3.connect(store.path / "index.sqlite") as database:
        assert database.execute("SELECT trial FROM records").fetchall() == [(trial_key(["b"]),)]
    database.close()


def test_merging_takes_what_is_new_and_changes_nothing_there(store, tmp_path):
    other = Store(tmp_path / "other")
    store.put(record("a"))
    for name in "abc":
        other.put(record(name))
    _truncate(file_of(other, trial_key(["c"])))
    merged = store.merge(other)
    assert (merged.taken, merged.present) == (1, 1)
    assert trial_key(["c"]) in merged.problems[0]
    assert set(store.members()) == {"a", "b"}
    assert len(other.keys()) == 3
    original = file_of(other, trial_key(["b"])).read_bytes()
    assert file_of(store, trial_key(["b"])).read_bytes() == original


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"notes.txt": "x"}, "is no store: it holds 'notes.txt' and no store.json; name an empty folder or a new one"),
        ({"store.json": '{"lemmata store, format": 2}'}, "has format 2, and this lemmata reads 1; upgrade lemmata"),
        ({"store.json": "{}"}, "store.json does not say what store this is"),
        ({"store.json": "garbage"}, "store.json does not say what store this is"),
    ],
)
def test_a_folder_that_is_no_store_is_refused_and_left_alone(tmp_path, content, message):
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(StoreError, match=message):
        Store(tmp_path)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == content


def test_a_file_is_no_store(tmp_path):
    (tmp_path / "f").write_text("x")
    with pytest.raises(StoreError, match="f is a file and no store; name a folder"):
        Store(tmp_path / "f")
    with pytest.raises(StoreError, match=r"cannot write the store .*: part of the path is a file; name another store"):
        Store(tmp_path / "f" / "below").put(record("a"))


def test_a_store_begun_and_left_is_taken_up(tmp_path):
    (tmp_path / ".store.json.123.abc").write_text("{")
    store = Store(tmp_path)
    store.put(record("a"))
    assert set(store.members()) == {"a"}


def test_what_dead_writers_left_is_swept_and_the_living_are_not(store):
    store.put(record("a"))
    area = store.path / "staging"
    machine = this_machine()
    gone = 2**22 + 7  # above the largest process id Linux gives out
    names = {f"{machine}-{gone}-x": False, f"{machine}-{os.getpid()}-x": True, "elsewhere-1-x": True, "old-1-x": False}
    for name in names:
        (area / name).mkdir()
        (area / name / "record.json").write_text("half")
    os.utime(area / "old-1-x", (0, 0))
    Store(store.path).put(record("b"))
    assert {path.name for path in area.iterdir()} == {name for name, kept in names.items() if kept}


def test_staging_swept_under_a_writer_is_written_again(store, monkeypatch):
    """Another machine may take a slow writer for dead."""
    store.put(record("a"))
    flush = stages._flush
    swept = []

    def sweep_once(folder):
        if not swept and folder.parent.name == "staging":
            swept.append(folder)
            shutil.rmtree(folder)
        else:
            flush(folder)

    monkeypatch.setattr(stages, "_flush", sweep_once)
    store.put(record("b"))
    assert swept
    assert store.check() == []
    assert set(store.members()) == {"a", "b"}


def test_thousands_of_members_are_found_in_a_moment(store):
    """200 trials of 5 members: the second process reads every byte and the index; below 1 s even on a busy machine."""
    import time

    for trial in range(200):
        store.put(record(*(f"{trial}-{n}" for n in range(5))))
    start = time.perf_counter()
    assert len(Store(store.path).members()) == 1000
    assert time.perf_counter() - start < 1.0
