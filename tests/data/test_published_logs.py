"""Published logs: found, verified, refused when damaged, packed or not; the real ones where they are."""

import gzip
import os
from dataclasses import replace
from hashlib import md5

import pytest

from lemmata import data
from lemmata.data import checksum, folder, sources
from lemmata.data.sources import File
from lemmata.errors import CorruptFile, DataMissing, UnknownName
from lemmata.robustness import read_log

COHEN, JEONG = "cohen-2019-logs", "jeong-2020-logs"
ONE = "mnist/cohen/noise_0.25_919"
TEXT = b"idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t7\t7\t0.9\t1\t0:00:01\n"
here = pytest.mark.skipif(
    not (
        os.environ.get("LEMMATA_DATA")
        and all(entry.found for entry in data.available() if entry.name in (COHEN, JEONG))
    ),
    reason="the published logs are not here: name their folder by LEMMATA_DATA",
)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A data directory with one log, and a table that knows its sums."""
    place = tmp_path / "jeong-smoothing" / "mnist" / "cohen"
    place.mkdir(parents=True)
    known = File(ONE, md5(TEXT).hexdigest(), len(TEXT))
    monkeypatch.setitem(sources.LOGS, JEONG, replace(sources.LOGS[JEONG], files=(known,), parts=(ONE,)))
    return place / "noise_0.25_919"


def test_a_log_is_found_plain_or_packed_and_plain_goes_first(published, tmp_path):
    packed = published.with_name(published.name + ".gz")
    packed.write_bytes(gzip.compress(TEXT))
    assert data.find_log(JEONG, ONE, data_dir=tmp_path) == packed
    assert read_log(packed).radius.tolist() == [0.9]
    published.write_bytes(TEXT)
    assert data.find_log(JEONG, ONE, data_dir=tmp_path) == published


@pytest.mark.parametrize("content", [TEXT + b"1\t7\t7\t0.9\t1\t0:00:01\n", TEXT.replace(b"0.9", b"0.8"), b""])
def test_another_file_is_refused_unless_asked_for(published, tmp_path, content):
    published.write_bytes(content)
    with pytest.raises(CorruptFile, match="is not the published file of jeong-2020-logs"):
        data.find_log(JEONG, ONE, data_dir=tmp_path)
    assert data.find_log(JEONG, ONE, data_dir=tmp_path, verify=False) == published


@pytest.mark.parametrize(
    "content", [gzip.compress(TEXT + b" ", mtime=0), gzip.compress(TEXT, mtime=0)[:-6], TEXT, b"\x1f\x8b"]
)
def test_a_packed_file_is_judged_by_what_is_in_it(published, tmp_path, content):
    published.with_name(published.name + ".gz").write_bytes(content)
    if content == TEXT:  # a plain text of that name is the published text, and read as such
        assert data.find_log(JEONG, ONE, data_dir=tmp_path).suffix == ".gz"
        return
    with pytest.raises(CorruptFile, match="md5"):
        data.find_log(JEONG, ONE, data_dir=tmp_path)


def test_the_sum_of_a_packed_file_is_that_of_its_contents(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(TEXT, 1) + gzip.compress(TEXT, 9))  # two members
    assert checksum.md5(path, packed=True) == md5(TEXT + TEXT).hexdigest()
    assert checksum.md5(path) == md5(path.read_bytes()).hexdigest()


def test_absent_logs_are_named_with_the_remedy(tmp_path):
    with pytest.raises(DataMissing, match=r"noise_0.25_919 is not in .*smoothing-consistency.*--data-dir"):
        data.find_log(JEONG, ONE, data_dir=tmp_path)
    entry = next(e for e in data.available(tmp_path) if e.name == COHEN)
    assert not entry.found
    assert "16 more files" in entry.reason


def test_names_are_known_and_no_data_sets():
    with pytest.raises(UnknownName, match=r"sigma_0\.25"):
        data.find_log(COHEN, "data/certify/cifar10/resnet110/noise_0.25/test/sigma_0.26")
    with pytest.raises(UnknownName, match="logs"):
        data.find_log("cohen-2019-log", "x")
    with pytest.raises(UnknownName):
        data.load(COHEN)
    assert folder.digest(COHEN) == sources.find_logs(COHEN).digest
    assert {COHEN, JEONG}.isdisjoint(data.names())


def test_the_tables_hold_what_was_published():
    cohen, jeong = sources.find_logs(COHEN), sources.find_logs(JEONG)
    assert (len(cohen.files), len(jeong.files)) == (17, 75)
    assert len({file.md5 for file in (*cohen.files, *jeong.files)}) == 92
    assert sum("/certify/" in part for part in cohen.parts) == 13


@here
def test_every_published_log_is_here_whole_and_readable():
    for name in (COHEN, JEONG):
        source = sources.find_logs(name)
        where = folder.locate(source)
        assert where is not None
        folder.check(source, where)
        assert folder.measured(source, where) == source.digest
        for part in source.parts[:: 5 if name == JEONG else 1]:
            found = read_log(data.find_log(name, part))
            assert len(found) in ({10_000} if name == JEONG else {427, 500, 513})
