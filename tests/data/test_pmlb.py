"""The tables of PMLB: hand-made files, and the published ones where they are; scikit-learn's three tables."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lemmata import data
from lemmata.data import pmlb, sources
from lemmata.data.pmlb_tables import TABLES
from lemmata.errors import CorruptFile, DataMissing, UnknownName

PUBLISHED = Path(os.environ.get("LEMMATA_DATA", "")) / "pmlb" / "pmlb_all.npz"


def write(folder, text, name="t.tsv.gz"):
    with gzip.open(folder / name, "wt") as file:
        file.write(text)
    return folder


def test_the_target_may_stand_anywhere_and_labels_are_renumbered(tmp_path):
    found = pmlb.read(write(tmp_path, "target\ta\tb\n7\t1\t2.5\n-1\t3\t4\n7\t5\t6\n"), "t.tsv.gz")
    assert found.x.tolist() == [[1, 2.5], [3, 4], [5, 6]]
    assert found.y.tolist() == [1, 0, 1]
    assert found.x_test is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a\tb\n1\t2\n", "0 of them 'target'"),
        ("target\ttarget\n1\t2\n", "2 of them 'target'"),
        ("a\ttarget\n", "0 rows"),
        ("target\n1\n", "under 1 names"),
        ("a\ttarget\n1\t2\t3\n", "rows of 3 numbers under 2 names"),
        ("a\ttarget\n1\t2\n3\n", "no gzipped table of numbers"),
        ("a\ttarget\nred\t2\n", "no gzipped table of numbers"),
        ("a\ttarget\n1\t0\nnan\t2\n", "row 1 holds NaN"),
        ("a\ttarget\n1\t0.5\n", "fractions"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, text, what):
    with pytest.raises(CorruptFile, match=what):
        pmlb.read(write(tmp_path, text), "t.tsv.gz")


def test_a_file_that_is_no_gzip_or_ends_early_is_refused(tmp_path):
    (tmp_path / "plain.tsv.gz").write_text("a\ttarget\n1\t0\n")
    with pytest.raises(CorruptFile, match="no gzipped table"):
        pmlb.read(tmp_path, "plain.tsv.gz")
    whole = (write(tmp_path, "a\ttarget\n" + "1\t0\n" * 999) / "t.tsv.gz").read_bytes()
    (tmp_path / "cut.tsv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptFile, match="no gzipped table"):
        pmlb.read(tmp_path, "cut.tsv.gz")


def test_the_published_files_are_known_by_their_checksums(tmp_path):
    assert len(sources.PMLB) == len({table.md5 for table in TABLES}) == 72
    assert max(table.samples for table in TABLES) <= 5000
    folder = tmp_path / "pmlb"
    folder.mkdir()
    with pytest.raises(DataMissing, match=r"pmlb/iris: iris\.tsv\.gz is not in .*--data-dir"):
        data.load("pmlb/iris", data_dir=tmp_path)
    write(folder, "a\ttarget\n1\t0\n2\t2\n3\t1\n", "iris.tsv.gz")
    with pytest.raises(CorruptFile, match="not the published file of pmlb/iris"):
        data.load("pmlb/iris", data_dir=tmp_path)
    found = data.load("pmlb/iris", data_dir=tmp_path, verify=False)
    assert not found.verified
    assert found.y.tolist() == [0, 2, 1]
    assert data.digest("pmlb/iris") != data.digest("pmlb/glass") != found.digest


def test_a_misspelt_table_comes_with_the_nearest():
    with pytest.raises(UnknownName, match="unknown dataset 'pmlb/irsi'; did you mean 'pmlb/iris'"):
        data.load("pmlb/irsi")
    with pytest.raises(UnknownName, match="unknown dataset 'pmlb'"):
        data.load("pmlb")


def test_the_tables_are_listed_as_one(tmp_path):
    (row,) = (row for row in data.available(tmp_path) if row.name.startswith("pmlb"))
    assert not row.found
    assert "72 of 72 tables are missing" in row.reason


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="LEMMATA_DATA names no folder with pmlb/pmlb_all.npz")
def test_every_published_table_equals_the_archive_of_all():
    with np.load(PUBLISHED) as archive:
        for table in TABLES:
            found = data.load(f"pmlb/{table.name}", dtype=torch.float64)
            key = table.name.replace("-", "_").replace("+", "_plus_")
            assert found.verified
            assert (len(found), found.x.shape[1], found.classes) == table[3:]
            assert np.array_equal(found.x.numpy(), archive[f"{key}_x"])
            assert np.array_equal(found.y.numpy(), archive[f"{key}_y"])


@pytest.mark.parametrize("name", ["iris", "wine", "breast-cancer"])
def test_classic_tables_equal_what_scikit_learn_reads(name):
    import sklearn.datasets

    x, y = getattr(sklearn.datasets, f"load_{name.replace('-', '_')}")(return_X_y=True)
    ours = data.load(name, dtype=torch.float64)
    assert np.array_equal(ours.x.numpy(), x)
    assert np.array_equal(ours.y.numpy(), y)
    assert ours.classes == y.max() + 1
