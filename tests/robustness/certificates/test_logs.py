"""Logs in the published format: read as they are, refused where they are not whole, written for all to read."""

import gzip

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.bernoulli import clopper_pearson
from lemmata.errors import CorruptFile, DataMissing, InvalidInput
from lemmata.robustness import Certificates, Gaussian, Laplace, certify, certify_by_bounds
from lemmata.robustness.ablation.random_pixels import RandomAblation
from lemmata.robustness.certificates.logs import read_log, write_log
from lemmata.robustness.certificates.recovered_hits import recovered_hits

HEAD = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
GOOD = HEAD + "0\t3\t3\t0.378\t1\t0:00:15.400000\n20\t7\t-1\t0.0\t0\t15.6\n40\t8\t2\t0.0186\t0\t1 day, 1:00:00\n"


@pytest.fixture
def log(tmp_path):
    def write(content, name="log.tsv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def entries(found):
    return {name: getattr(found, name).tolist() for name in ("index", "label", "prediction", "radius", "seconds")}


def test_a_log_is_read_as_it_is(log):
    found = read_log(log(GOOD))
    assert entries(found) == {
        "index": [0, 20, 40], "label": [3, 7, 8], "prediction": [3, -1, 2], "radius": [0.378, 0, 0.0186],
        "seconds": [15.4, 15.6, 90_000],
    }  # fmt: skip
    assert found.correct.tolist() == [True, False, False]
    assert found.name == "log.tsv"
    assert found.hits is None
    assert found.radius.dtype == torch.float64


@pytest.mark.parametrize(
    "content",
    [
        GOOD.replace("\t", " "),
        GOOD.replace("\t", "   ").replace("15.6", " 15.6  "),
        GOOD.replace("\t3\t3\t", " 3,3\t"),  # mixed
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\n\n"),
        GOOD.removesuffix("\n"),
        "\ufeff" + GOOD,
        gzip.compress(GOOD.encode(), mtime=0),
    ],
)
def test_delimiters_line_ends_and_compression_do_not_matter(log, content):
    assert entries(read_log(log(content))) == entries(read_log(log(GOOD)))


def test_predictions_are_certificates_of_radius_0(log):
    found = read_log(log("idx\tlabel\tpredict\tcorrect\ttime\n0\t0\t0\t1\t0:00:06.5\n100\t2\t-1\t0\t0:00:01\n"))
    assert found.radius.tolist() == [0, 0]
    assert found.accuracy([0.0]).accuracy.tolist() == [0.5]
    assert read_log(log("predict idx label\n0 5 0\n")).index.tolist() == [5]


def test_labels_that_are_unknown_are_none(log):
    assert read_log(log(HEAD + "0\t-1\t3\t0.5\t0\t1\n")).label is None


def test_settings_give_hits_and_samples(log):
    found = read_log(log(GOOD), sigma=0.25, n=100_000, n0=100, name="CIFAR-10")
    assert found.samples.tolist() == [100_100] * 3
    assert found.drawn.tolist() == [100_000] * 3
    assert found.hits[1] == -1
    assert found.noise == Gaussian(0.25)
    assert "noisy copies fell on it" in found.explain(0)
    assert found.explain(1).startswith("Abstained: no class was proven")
    again = read_log(log(HEAD.replace("time", "hits") + "0\t3\t3\t0.378\t1\t93700\n"), sigma=0.25, n=100_000)
    assert again.hits.tolist() == [93_700]  # what the log says, not what would be recovered


def replaced(old, new):
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (b"", 1, "no column 'idx'"),
        (HEAD, 1, "no image"),
        (GOOD.removeprefix(HEAD), 1, "no column 'idx'"),
        (replaced("predict", "prediction"), 1, "no column 'predict'"),
        (replaced("correct", "label"), 1, "one name"),
        (replaced("\t0.378", ""), 2, "5 entries below 6 names"),
        (replaced("0\t3\t3\t0.378\t1\t0:00:15.400000", "0\t3\t3\t0.3"), 2, "unfinished=True"),
        (replaced("0.378", "nan"), 2, "radius = 'nan' is no distance"),
        (replaced("0.378", "-0.378"), 2, "no distance"),
        (replaced("0.378", "inf"), 2, "no distance"),
        (replaced("0.378", "0,378"), 2, "15.400000"),
        (replaced("15.6", "15:6"), 3, "time = '15:6' is no duration"),
        (replaced("20\t", "2.5\t"), 3, "idx = '2.5' is no whole number"),
        (replaced("20\t", "99999999999999999999\t"), 3, "idx = '99999999999999999999'"),
        (replaced("40\t", "0\t"), 4, "index 0 was on line 2 already"),
        (replaced("\t1\t0:", "\t0\t0:"), 2, "correct = 0, but label 3 and prediction 3"),
        (replaced("-1\t0.0\t", "-1\t0.3\t"), 3, "an abstention with radius 0.3"),
        (replaced("-1\t0.0\t", "-2\t0.0\t"), 3, "predict = '-2'"),
        (replaced("20\t", "-1\t"), 3, "idx = '-1' is no whole number, 0 or more"),
        ("idx label predict hits drawn\n0 1 1 500 100\n", 2, "500 hits of 100 samples"),
        (GOOD + GOOD, 5, "idx = 'idx' is no whole number"),
        (GOOD.encode()[:-12] + b"\xff\xfe", 1, "cannot be read on"),
        (gzip.compress(GOOD.encode(), mtime=0)[:-9], 4, "cannot be read on"),
        (gzip.compress(GOOD.encode(), mtime=0)[:30], 1, "cannot be read on"),
        (b"\x1f\x8b rubbish", 1, "cannot be read on"),
    ],
)
def test_what_no_log_holds_is_refused_by_file_and_line(log, content, line, what):
    path = log(content)
    with pytest.raises(CorruptFile, match=what) as refused:
        read_log(path)
    assert str(refused.value).startswith(f"{path}, line {line}:")


def test_a_last_line_that_is_not_whole_is_left_out_on_request(log):
    cut = log(GOOD[:-25])
    with pytest.raises(CorruptFile, match="line 4"):
        read_log(cut)
    assert read_log(cut, unfinished=True).index.tolist() == [0, 20]
    with pytest.raises(CorruptFile, match="line 2"):
        read_log(log(replaced("0.378", "x")), unfinished=True)


def test_a_log_that_is_not_there_and_settings_that_do_not_fit_are_refused(log, tmp_path):
    with pytest.raises(DataMissing, match="no such file"):
        read_log(tmp_path / "absent")
    with pytest.raises(InvalidInput, match="give either sigma"):
        read_log(log(GOOD), sigma=0.25, noise=Gaussian(0.5))
    with pytest.raises(InvalidInput, match=r"0.378 the first, come from no number of hits among n = 100 samples"):
        read_log(log(GOOD), sigma=0.1, n=100)
    with pytest.raises(InvalidInput, match="n = 0"):
        read_log(log(GOOD), sigma=0.25, n=0)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"alpha": 2}, "alpha = 2"), ({"alpha": float("nan")}, "alpha = nan"), ({"alpha": "x"}, "alpha = 'x'"),
        ({"n0": -3}, "n0 = -3"), ({"n": 1000, "sigma": 0.25, "alpha": "a"}, "alpha = 'a'"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(log, given, what):
    with pytest.raises(InvalidInput, match=what):
        read_log(log(GOOD), **given)


def test_paths_that_are_none_are_refused(log, tmp_path):
    plain = Certificates(torch.tensor([1]), torch.tensor([0.5]))
    for path in (3, None, ""):
        with pytest.raises(InvalidInput, match="path"):
            read_log(path)
        with pytest.raises(InvalidInput, match="path"):
            write_log(plain, path)
    with pytest.raises(InvalidInput, match="is a folder"):
        write_log(plain, tmp_path)
    with pytest.raises(InvalidInput, match="cannot be written"):
        write_log(plain, tmp_path / "not" / "there")
    with pytest.raises(InvalidInput, match="give certificates"):
        write_log(3, tmp_path / "log")
    with pytest.raises(InvalidInput, match="digits = 100"):
        write_log(plain, tmp_path / "log", digits=100)
    with pytest.raises(InvalidInput, match="infinite"):
        write_log(Certificates(torch.tensor([1]), torch.tensor([torch.inf])), tmp_path / "log", digits=3)


SETTINGS = ("norm", "alpha", "seed", "stopped", "name", "noise")


@pytest.mark.parametrize(
    "settings",
    [
        {"norm": "linf", "alpha": 0.0, "name": "classifier by crown bounds"},
        {"norm": "l1", "noise": Laplace(0.25), "alpha": 0.01, "seed": 7, "stopped": "sequential"},
        {"norm": "l0", "noise": RandomAblation(keep=5, pixels=64), "stopped": "fixed"},
        {"norm": "l2", "noise": Gaussian(0.5), "radii": torch.tensor([0.25, 0.5], dtype=torch.float64)},
    ],
)
@pytest.mark.parametrize("suffix", ["tsv", "tsv.gz"])
def test_what_a_log_has_no_place_for_is_read_from_beside_it(tmp_path, settings, suffix):
    written = Certificates(torch.tensor([1, -1]), torch.tensor([0.5, 0.0]), **settings)
    read = read_log(write_log(written, tmp_path / f"log.{suffix}"))
    for field in SETTINGS:
        assert getattr(read, field) == getattr(written, field), field
    if written.radii is None:
        assert read.radii is None
    else:
        assert read.radii.tolist() == written.radii.tolist()


def test_bounds_are_read_back_as_bounds(tmp_path):
    """A certain linf certificate is not drawn as an l2 one that may be false."""
    torch.manual_seed(0)
    model, x = torch.nn.Linear(4, 3), torch.rand(6, 4)
    written = certify_by_bounds(model, x, model(x).argmax(1), tolerance=0.1)
    read = read_log(write_log(written, tmp_path / "log"))
    assert (read.norm, read.alpha) == ("linf", 0.0)
    assert read.plot().panels[0].x.unit == "ℓ∞ distance"
    with pytest.raises(InvalidInput, match="norm = l2"):
        read_log(tmp_path / "log", sigma=0.5)


@pytest.mark.parametrize(
    ("asked", "stopped"), [({}, "fixed"), ({"radii": [0.1, 0.2]}, "sequential"), ({"tolerance": 0.1}, "sequential")]
)
def test_a_certification_log_says_what_it_is(tmp_path, asked, stopped):
    torch.manual_seed(0)
    model, x = torch.nn.Linear(4, 3), torch.rand(6, 4)
    made = certify(model, x, sigma=0.25, n=300, alpha=0.01, seed=5, log=tmp_path / "run.tsv", **asked)
    read = read_log(tmp_path / "run.tsv")
    assert (read.noise, read.alpha, read.seed, read.stopped) == (made.noise, 0.01, 5, stopped)
    assert (None if read.radii is None else read.radii.tolist()) == asked.get("radii")
    with pytest.raises(InvalidInput, match=r"alpha = 0\.05, but run\.tsv\.json beside the log says 0\.01"):
        read_log(tmp_path / "run.tsv", alpha=0.05)
    with pytest.raises(InvalidInput, match="noise = Gaussian"):
        read_log(tmp_path / "run.tsv", sigma=0.5)
    with pytest.raises(InvalidInput, match="n0 = 7"):
        read_log(tmp_path / "run.tsv", n0=7)
    with pytest.raises(InvalidInput, match="n = 200"):
        read_log(tmp_path / "run.tsv", n=200)
    if stopped == "sequential":
        with pytest.raises(InvalidInput, match="stopped by what it saw"):
            read_log(tmp_path / "run.tsv", n=300)
    assert read_log(tmp_path / "run.tsv", sigma=0.25, alpha=0.01, n0=100).alpha == 0.01


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"lemmata certificates, format": 1}'])
def test_a_file_beside_a_log_that_says_nothing_is_refused(log, content):
    path = log(GOOD)
    path.with_name("log.tsv.json").write_text(content)
    with pytest.raises(CorruptFile, match="holds no settings"):
        read_log(path)


def test_another_file_beside_a_log_is_left_alone(log):
    path = log(GOOD)
    path.with_name("log.tsv.json").write_text('{"made by": "another program"}')
    assert read_log(path).alpha == 0.001


rows = st.lists(
    st.tuples(
        st.integers(-1, 9), st.integers(0, 9), st.floats(0, 1e6, allow_nan=False), st.integers(0, 10**9),
        st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
    ),
    min_size=1, max_size=12, unique_by=lambda row: row[3],
)  # fmt: skip


@given(rows, st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(tmp_path_factory, made, packed, counts):
    prediction, label, radius, index, samples = zip(*made, strict=True)
    first, second = zip(*samples, strict=True)
    written = Certificates(
        torch.tensor(prediction), torch.tensor([0.0 if p < 0 else r for p, r in zip(prediction, radius, strict=True)],
        dtype=torch.float64), label=torch.tensor(label), index=torch.tensor(index), samples=torch.tensor(first),
        hits=torch.tensor(second).minimum(torch.tensor(first)), drawn=torch.tensor(first),
        seconds=torch.tensor(second, dtype=torch.float64) / 1000,
    )  # fmt: skip
    path = write_log(written, tmp_path_factory.mktemp("logs") / ("log.gz" if packed else "log"), counts=counts)
    read = read_log(path)
    names = ["prediction", "radius", "label", "index", *(["samples", "hits", "drawn"] if counts else [])]
    for name in names:
        assert torch.equal(getattr(read, name), getattr(written, name)), name
    torch.testing.assert_close(read.seconds, written.seconds, rtol=0, atol=1e-6)  # microseconds are written
    twice = write_log(read, path.with_name("again.gz" if packed else "again"), counts=counts)
    assert twice.read_bytes() == path.read_bytes()


@given(st.floats(1e-6, 1e4), st.integers(1, 6))
@settings(max_examples=100, deadline=None)
def test_digits_are_rounded_down(tmp_path_factory, radius, digits):
    label = torch.tensor([0])
    path = write_log(
        Certificates(label, torch.tensor([radius], dtype=torch.float64), label=label), tmp_path_factory.mktemp("l") /
        "x", digits=digits
    )  # fmt: skip
    read = float(read_log(path).radius[0])
    assert read <= radius
    assert radius - read < 10.0 ** (np.floor(np.log10(radius)) - digits + 1) * (1 + 1e-9)
    assert float(f"{read:.{digits}g}") == read


def test_what_is_not_known_cannot_be_written(tmp_path):
    plain = Certificates(torch.tensor([1]), torch.tensor([0.5]))
    assert read_log(write_log(plain, tmp_path / "log")).label is None
    with pytest.raises(InvalidInput, match="samples, hits, drawn"):
        write_log(plain, tmp_path / "log", counts=True)
    with pytest.raises(InvalidInput, match="digits"):
        write_log(plain, tmp_path / "log", digits=0)


def test_hits_are_recovered_from_radii_of_any_length(log):
    """Three digits leave a run of hits, all digits one."""
    noise, hits = Gaussian(0.5), [9_000, 9_500, 10_000]
    radii = noise.radius(clopper_pearson(hits, 10_000, alpha=0.001))
    whole = "".join(f"{i} 1 1 {radius!r} 1\n" for i, radius in enumerate(radii.tolist()))
    found = read_log(log("idx label predict radius correct\n" + whole), sigma=0.5, n=10_000)
    assert found.hits.tolist() == hits
    short = "".join(f"{i} 1 1 {radius:.3} 1\n" for i, radius in enumerate(radii.tolist()))
    found = read_log(log("idx label predict radius correct\n" + short), sigma=0.5, n=10_000)
    low, high = recovered_hits([float(f"{radius:.3}") for radius in radii], 10_000, noise)
    assert found.hits.tolist() == ((low + high) // 2).tolist()
    assert (low <= hits).all()
    assert (hits <= high).all()
