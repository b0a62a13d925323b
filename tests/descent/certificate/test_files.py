"""Certificates in files: written and read exactly, the authors' notebooks read, and nothing damaged is believed."""

import gzip
import json
import lzma
from dataclasses import replace
from fractions import Fraction

import pytest

from lemmata.descent.certificate import Certificate, generate, published, read_notebook, verify
from lemmata.errors import CorruptFile, DataMissing, InvalidInput

LENGTHS = (3, 7, 15, 31, 63, 127)
NOTEBOOK = r"""(* Content-type: application/vnd.wolfram.mathematica *)
Notebook[{Cell[BoxData[RowBox[{RowBox[{"\[CapitalDelta]0", "=", RowBox[{"1", "/", "10"}]}], ";", "\[IndentingNewLine]",
 RowBox[{"h", "=", RowBox[{"SetPrecision", "[", RowBox[{RowBox[{"{", RowBox[{"5", "/", "10"}], "}"}], ",",
 "\[Infinity]"}], "]"}]}], RowBox[{"tildelambda", "=", RowBox[{"{", RowBox[{"{", "0.0,0.0,0.0", "}"}], ",",
 RowBox[{"{", "0.0,0.0,0.9", "}"}], ",", RowBox[{"{", "0.0,0.0,0.0", "}"}], "}"}]}], (* "lambda={{1}}" *)
 RowBox[{"tildegamma", "=", "{{0.0,0.4,0.6},{0.0,0.0,-0.7},{0.0,0.0,0.0}}"}], "DeleteFile[\"h\"]"}]], "Input"]}]
"""


@pytest.mark.parametrize("t", LENGTHS)
def test_the_shipped_certificates_are_the_authors(t, data_folder):
    folder = data_folder / "oracles" / "longstep"
    notebook = read_notebook(folder / f"certification_t{t}.nb.gz")
    assert replace(notebook, rate=published(t).rate, source=published(t).source) == published(t)
    other = json.loads(lzma.decompress((folder / "longstep.json.xz").read_bytes()))[str(t)]
    read = Certificate(other["h"], other["Delta"], other["lam"], other["gamma"])
    assert (read.steps, read.Delta, read.lam, read.gam) == (
        published(t).steps,
        published(t).Delta,
        published(t).lam,
        published(t).gam,
    )


def test_a_notebook_with_a_free_parameter_is_no_certificate(data_folder):
    with pytest.raises(CorruptFile, match="plain numbers"):
        read_notebook(data_folder / "oracles" / "longstep" / "certification_t2.nb.gz")


def test_a_notebook_is_read_not_run(tmp_path):
    path = tmp_path / "small.nb"
    path.write_text(NOTEBOOK, encoding="utf-8")
    certificate = read_notebook(path)
    assert certificate.steps == (Fraction(1, 2),)
    # the flows are repaired: lam[x_0, x_1] = 1, and gam into x_0 is 2 S - 0.7, into x_1 0.7, from binary floats
    assert certificate.lam[1][2] == 1
    assert certificate.gam[0] == (0, 1 - Fraction(0.7), Fraction(0.7))
    assert certificate.Delta == Fraction(1, 10)
    assert path.exists()
    assert verify(certificate).holds


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a Mathematica notebook"),
        (b"\xff\xfe", "not readable"),
        (b"Notebook[{}]", "plain numbers"),
        (NOTEBOOK.replace("tildegamma", "gimel").encode(), "no matrix gamma"),
        (NOTEBOOK.replace("0.9", "0..9").encode(), "'0..9' stands where a number"),
        (NOTEBOOK.replace("0.0,0.0,0.9", "0.9").encode(), "shapes other than"),
        (NOTEBOOK.replace('"1", "/", "10"', '"1", "/", "0"').encode(), "'1/0'"),
    ],
)
def test_a_damaged_notebook_is_refused(content, message, tmp_path):
    path = tmp_path / "bad.nb"
    path.write_bytes(content)
    with pytest.raises(CorruptFile, match=message):
        read_notebook(path)


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.json.xz"])
@pytest.mark.parametrize("t", [3, 15])
def test_what_is_saved_is_read(name, t, tmp_path):
    assert Certificate.load(published(t).save(tmp_path / name)) == published(t)


def test_our_own_are_saved_exactly(tmp_path):
    own = generate([1.5, 4.9, 1.5], "1/1000")
    assert Certificate.load(own.save(tmp_path / "own.json")) == own


def test_the_same_certificate_gives_the_same_bytes(tmp_path):
    first, second = (published(7).save(tmp_path / f"{k}.json.gz").read_bytes() for k in range(2))
    assert first == second
    assert b'"3/2","11/5"' in gzip.decompress(first)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-20], "not readable"),
        (lambda text: text.replace("lemmata certificate 1", "lemmata certificate 9"), "format"),
        (lambda text: text.replace('"gam"', '"gum"'), "lacks gam"),
        (lambda text: text.replace("3/2", "3/0"), "a step is '3/0'"),
        (lambda text: text.replace("3/2", "three"), "'three'"),
        (lambda text: text.replace('"lam":[[', '"lam":[[0],['), "rows of lengths"),
        (lambda text: text.replace('"lam":[[0', '"lam":[[[0]'), "an entry of lam"),
        (lambda text: text.replace('"lam":[[0', '"lam":[[NaN'), "nan"),
        (lambda text: text.replace('"lam":[[0', '"lam":[[1e999'), "inf"),
        (lambda text: text.replace('"lam":[', '"lam":{"a":[').replace('],"gam', ']},"gam'), "a list should be"),
        (lambda text: "[" * 100_000, "not readable"),
        (lambda text: "[]", "format"),
    ],
)
def test_a_damaged_file_is_refused(damage, message, tmp_path):
    path = published(3).save(tmp_path / "three.json")
    path.write_text(damage(path.read_text()), encoding="utf-8")
    with pytest.raises(CorruptFile, match=message):
        Certificate.load(path)


def test_a_file_cut_short_and_one_that_is_not_there(tmp_path):
    path = published(7).save(tmp_path / "seven.json.xz")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(CorruptFile, match="get it again"):
        Certificate.load(path)
    with pytest.raises(DataMissing, match=r"no certificate at .*nothing.json"):
        Certificate.load(tmp_path / "nothing.json")
    with pytest.raises(DataMissing, match="no notebook"):
        read_notebook(tmp_path / "nothing.nb")


def test_a_certificate_of_the_wrong_shape_is_refused():
    with pytest.raises(InvalidInput, match=r"3 steps want \(5, 5\)"):
        Certificate([1, 1, 1], 0.1, [[0] * 4] * 4, [[0] * 5] * 5)
    with pytest.raises(InvalidInput, match="without steps"):
        Certificate([], 0.1, [[0] * 2] * 2, [[0] * 2] * 2)
    with pytest.raises(InvalidInput, match="Delta is None"):
        Certificate([1], None, [[0] * 3] * 3, [[0] * 3] * 3)


def test_drawn(tmp_path):
    figure = published(15).plot()
    assert [panel.fields[0].z.shape for panel in figure.panels] == [(17, 17)] * 2
    assert figure.save(tmp_path / "certificate.png").stat().st_size > 10_000
