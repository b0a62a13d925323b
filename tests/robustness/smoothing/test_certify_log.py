"""Interruptions, logs and progress: what was decided is kept, and what follows is as if nothing had happened."""

import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from torch import nn

from lemmata.errors import CorruptFile, InvalidInput
from lemmata.robustness import Interrupted, certify
from lemmata.robustness.certificates.logs import read_log
from lemmata.robustness.smoothing.certification_log import CertificationLog, Line

FIELDS = ("prediction", "radius", "label", "index", "samples", "hits", "drawn", "radii")
ASKED = {"sigma": 1.0, "radii": [0.25, 0.75], "n": 4_000, "seed": 3, "batch": 50, "memory_format": "plain"}


def model(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(5, 3)


def images(n=12, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 5, generator=generator), torch.randint(3, (n,), generator=generator)


def agree(a, b):
    for name in FIELDS:
        one, other = getattr(a, name), getattr(b, name)
        assert one is other is None or torch.equal(one, other), name


def stop_after(count):
    """A progress that presses Ctrl-C once so many images are decided."""

    def progress(standing):
        if standing.decided >= count:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize(
    "asked", [ASKED, {"sigma": 1.0, "n": 700}, {"sigma": 1.0, "n": 900, "tolerance": 0.2}], ids=str
)
def test_stopped_and_gone_on_with_is_as_if_never_stopped(tmp_path, asked):
    x, y = images()
    whole = certify(model(), x, y, **asked)
    log = tmp_path / "runs" / "a.tsv"
    for count in (3, 7):
        with pytest.raises(Interrupted, match="the same call goes on"):
            certify(model(), x, y, **asked, log=log, progress=stop_after(count))
    agree(certify(model(), x, y, **asked, log=log), whole)
    agree(certify(model(), x, y, **asked, log=log, progress=stop_after(0)), whole)  # all there: no round at all
    assert len(log.read_text().splitlines()) == 13


def test_what_was_decided_before_ctrl_c_is_carried():
    x, y = images()
    whole = certify(model(), x, y, **ASKED)
    with pytest.raises(KeyboardInterrupt, match=r"of 12 images are decided; with log='file'") as stopped:
        certify(model(), x, y, **ASKED, progress=stop_after(4))
    some = stopped.value.certificates
    assert 4 <= len(some) < 12
    for name in FIELDS[:-1]:
        assert torch.equal(getattr(some, name), getattr(whole, name)[some.index]), name
    with pytest.raises(Interrupted) as nothing:
        certify(model(), x, y, **ASKED, progress=stop_after(0))
    assert nothing.value.certificates is None


def test_more_images_may_be_added(tmp_path):
    x, y = images()
    some = certify(model(), x[:5], y[:5], **ASKED, log=tmp_path / "a.tsv")
    rounds = []
    more = certify(model(), x, y, **ASKED, log=tmp_path / "a.tsv", progress=rounds.append)
    agree(more, certify(model(), x, y, **ASKED))
    assert torch.equal(more.seconds[:5], some.seconds)  # read, not computed again
    assert rounds[0].decided >= 5
    assert rounds[-1].fresh == 7


def test_the_log_is_one_of_those_that_are_published(tmp_path):
    x, y = images()
    log = tmp_path / "a.tsv"
    found = certify(model(), x, y, **ASKED, log=log)
    again = read_log(log, sigma=1.0)
    order = again.index.argsort()
    for name in ("prediction", "radius", "label", "index", "samples", "hits", "drawn", "seconds"):
        assert torch.equal(getattr(again, name)[order], getattr(found, name)), name
    header, first = log.read_text().splitlines()[:2]
    assert header.split("\t")[:6] == ["idx", "label", "predict", "radius", "correct", "time"]
    assert first.split("\t")[5].startswith("0:00:0")


def test_without_labels(tmp_path):
    x, _ = images()
    log = tmp_path / "a.tsv"
    found = certify(model(), x, **ASKED, log=log)
    assert found.label is None
    agree(certify(model(), x, **ASKED, log=log), found)
    assert read_log(log, sigma=1.0).label is None


def test_a_line_that_a_power_cut_left_unfinished_is_computed_again(tmp_path):
    x, y = images()
    log = tmp_path / "a.tsv"
    whole = certify(model(), x, y, **ASKED, log=log)
    content = log.read_bytes()
    log.write_bytes(content[:-20])
    agree(certify(model(), x, y, **ASKED, log=log), whole)
    agree(certify(model(), x, y, **ASKED, log=log), whole)  # nothing of the broken line is left in the file
    assert len(log.read_text().splitlines()) == len(read_log(log)) + 1 == 13


def test_a_process_that_is_killed_leaves_whole_lines(tmp_path):
    # a real process, killed without warning as soon as a line is on the disk
    log = tmp_path / "a.tsv"
    code = f"""
    import torch
    from torch import nn
    from lemmata.robustness import certify
    torch.manual_seed(0); model = nn.Linear(5, 3)
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(12, 5, generator=generator), torch.randint(3, (12,), generator=generator)
    certify(model, x, y, **{ASKED!r}, log={str(log)!r}, progress=lambda standing: standing.decided > 2 and input())
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE)
    patience = time.monotonic() + 60
    try:
        while not (log.exists() and log.read_bytes().count(b"\n") > 3):
            assert process.poll() is None
            assert time.monotonic() < patience
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    lines = log.read_text().splitlines()
    assert 3 < len(lines) < 13
    x, y = images()
    agree(certify(model(), x, y, **ASKED, log=log), certify(model(), x, y, **ASKED))
    assert log.read_text().splitlines()[: len(lines)] == lines


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"seed": 4}, "its seed is 3, not 4"),
        ({"sigma": 0.5}, r"its noise is Gaussian\(sigma=1.0\), not Gaussian\(sigma=0.5\)"),
        ({"radii": [0.25]}, "its radii is"),
        ({"radii": None}, "its radii is"),
        ({"radii": None, "tolerance": 0.1}, "another certification"),
        ({"n": 5_000}, "its n is 4000, not 5000"),
        ({"n0": 50}, "its n0 is 100, not 50"),
        ({"alpha": 0.01}, "its alpha is 0.001, not 0.01"),
        ({"model": model(1)}, "its model is"),
        ({"x": images(seed=2)[0]}, "image 0 with other numbers"),
        ({"y": (images()[1] + 1) % 3}, "another label"),
    ],
    ids=str,
)
def test_a_log_of_another_certification_is_refused(tmp_path, change, what):
    x, y = images()
    log = tmp_path / "a.tsv"
    certify(model(), x, y, **ASKED, log=log)
    content = log.read_bytes()
    options = {"model": model(), "x": x, "y": y, **ASKED, **change}
    with pytest.raises(InvalidInput, match=what):
        certify(**options, log=log)
    assert log.read_bytes() == content


def test_what_is_no_log_is_refused(tmp_path):
    x, y = images()
    (tmp_path / "novel.txt").write_text("Call me Ishmael.\n")
    with pytest.raises(InvalidInput, match=r"not novel.txt.json"):
        certify(model(), x, y, **ASKED, log=tmp_path / "novel.txt")
    with pytest.raises(InvalidInput, match="is a folder"):
        certify(model(), x, y, **ASKED, log=tmp_path)
    with pytest.raises(InvalidInput, match="cannot be used"):
        certify(model(), x, y, **ASKED, log=tmp_path / "novel.txt" / "a.tsv")
    assert (tmp_path / "novel.txt").read_text() == "Call me Ishmael.\n"


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (b"\t0.25\t", b"\tfar\t", "line"),
        (b"idx", b"id", "columns"),
        (b"\n0\t", b"\nzero\t", "line 2"),
    ],
)
def test_a_damaged_log_is_refused_by_line(tmp_path, old, new, what):
    x, y = images()
    log = tmp_path / "a.tsv"
    certify(model(), x, y, **ASKED, log=log)
    content = b"\n".join(sorted(log.read_bytes().splitlines(), key=lambda line: (line[:3] != b"idx", line))) + b"\n"
    assert old in content
    log.write_bytes(content.replace(old, new, 1))
    with pytest.raises(CorruptFile, match=what):
        certify(model(), x, y, **ASKED, log=log)


def test_damaged_settings_are_refused(tmp_path):
    x, y = images()
    log = tmp_path / "a.tsv"
    certify(model(), x, y, **ASKED, log=log)
    settings = tmp_path / "a.tsv.json"
    assert json.loads(settings.read_text())["seed"] == 3
    settings.write_text("{")
    with pytest.raises(CorruptFile, match="delete it and the log"):
        certify(model(), x, y, **ASKED, log=log)
    log.unlink()
    certify(model(), x, y, **ASKED, log=log)
    assert json.loads(settings.read_text())["seed"] == 3


@pytest.mark.parametrize(
    ("column", "value"),
    [("radius", "5.0"), ("radius", "inf"), ("predict", "77"), ("hits", "9999"), ("drawn", "5"), ("image", "0" * 12),
     ("label", "1"), ("check", "0" * 12), ("time", "0:00:01.000000")],
)  # fmt: skip
def test_a_line_that_was_changed_is_refused_by_file_and_line(tmp_path, column, value):
    x, y = images()
    log = tmp_path / "a.tsv"
    certify(model(), x, 0 * y, **ASKED, log=log)
    lines = log.read_text().splitlines()
    fields = lines[4].split("\t")
    fields[lines[0].split("\t").index(column)] = value
    log.write_text("\n".join([*lines[:4], "\t".join(fields), *lines[5:]]) + "\n")
    with pytest.raises(CorruptFile, match=r"a\.tsv, line 5: .* is not what was written"):
        certify(model(), x, 0 * y, **ASKED, log=log)
    log.write_text("\n".join(lines[:4] + lines[5:]) + "\n")  # deleted, and certified again
    agree(certify(model(), x, 0 * y, **ASKED, log=log), certify(model(), x, 0 * y, **ASKED))


def test_lines_of_another_log_are_refused(tmp_path):
    x, y = images()
    certify(model(), x, y, **ASKED, log=tmp_path / "a.tsv")
    certify(model(), x, y, **ASKED | {"seed": 9}, log=tmp_path / "b.tsv")
    (tmp_path / "b.tsv").write_text((tmp_path / "a.tsv").read_text())
    with pytest.raises(CorruptFile, match="line 2"):
        certify(model(), x, y, **ASKED | {"seed": 9}, log=tmp_path / "b.tsv")


@pytest.mark.parametrize("text", ["[]", "null", "3", '"seed"'])
def test_settings_that_are_no_table_are_refused(tmp_path, text):
    x, y = images()
    log = tmp_path / "a.tsv"
    certify(model(), x, y, **ASKED, log=log)
    (tmp_path / "a.tsv.json").write_text(text)
    with pytest.raises(CorruptFile, match=r"a\.tsv\.json is not what was written"):
        certify(model(), x, y, **ASKED, log=log)


def test_a_full_disk_loses_nothing(tmp_path):
    # a real limit on the size of files, in a process of its own, that cuts the fourth or fifth line in two
    log = tmp_path / "a.tsv"
    code = f"""
    import resource, torch
    from torch import nn
    from lemmata.robustness import LogNotWritten, certify
    torch.manual_seed(0); model = nn.Linear(5, 3)
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(12, 5, generator=generator), torch.randint(3, (12,), generator=generator)
    whole = certify(model, x, y, **{ASKED!r})
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))
    try:
        certify(model, x, y, **{ASKED!r}, log={str(log)!r})
    except LogNotWritten as full:
        some = full.certificates
        assert "make room, and the same call goes on" in str(full), full
        assert torch.equal(some.hits, whole.hits[some.index])
        print(len(some))
    """
    # the settings beside the log have to fit in as well
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    kept = log.read_text().count("\n") - 1
    assert int(ran.stdout) > kept
    assert len(log.read_bytes()) == 400
    x, y = images()
    agree(certify(model(), x, y, **ASKED, log=log), certify(model(), x, y, **ASKED))
    assert len(log.read_text().splitlines()) == 13


def test_a_part_that_was_interrupted_says_so():
    x, y = images()
    with pytest.raises(Interrupted, match="easier ones as a rule") as stopped:
        certify(model(), x, y, **ASKED, progress=stop_after(4))
    some = stopped.value.certificates
    assert some.name.endswith(f"not finished: the {len(some)} of 12 images decided first")
    assert some.accuracy([0.25]).plot()


def test_progress_says_nothing_over_and_over():
    # 40 images a 5,000 copies: the classes of all are chosen before the first is decided, in many rounds of 250 rows
    x = torch.randn(40, 5, generator=torch.Generator().manual_seed(1))
    rounds = []
    certify(model(), x, sigma=1.0, n=20_000, n0=1_000, batch=50, memory_format="plain", progress=rounds.append)
    early = [each.seconds for each in rounds if not each.decided]
    assert all(later - earlier > 0.39 for earlier, later in itertools.pairwise(early))


@pytest.mark.parametrize("seconds", [0.0, 1e-7, 59.9999999, 61.25, 3599.9999996, 200_000.5])
def test_times_are_written_as_clocks_and_read_back(tmp_path, seconds):
    log = CertificationLog(tmp_path / "a.tsv", {})
    log.append([Line(0, 1, 1, 0.1 + 0.2, seconds, 30, 10, 20, "00")])
    line = CertificationLog(tmp_path / "a.tsv", {}).lines[0]
    assert line.seconds == pytest.approx(seconds, abs=1e-6)
    assert line.radius == 0.1 + 0.2
    assert float(read_log(tmp_path / "a.tsv").seconds[0]) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    x, y = images()
    tmp_path.chmod(0o500)
    with pytest.raises(InvalidInput, match="cannot be used"):
        certify(model(), x, y, **ASKED, log=tmp_path / "a.tsv")


def test_progress_counts_images_copies_and_time():
    x, y = images()
    rounds = []
    found = certify(model(), x, y, **ASKED, progress=rounds.append)
    assert [each.decided for each in rounds] == sorted(each.decided for each in rounds)
    assert (rounds[-1].decided, rounds[-1].total, rounds[-1].fresh) == (12, 12, 12)
    assert rounds[-1].copies == int(found.samples.sum())
    assert rounds[-1].remaining == 0
    assert "12 of 12 images" in str(rounds[-1])
