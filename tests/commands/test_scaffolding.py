"""`lemmata new` writes a study that runs, and an extension that shares the records of its base."""

from pathlib import Path


def test_a_new_study_runs_and_reproduces(workplace, lemmata):
    status, out, _ = lemmata("new", "my-study")
    assert status == 0
    assert "my_study.py" in out
    status, out, _ = lemmata("run", "my_study.py")
    assert status == 0
    assert "reproduced" in out


def test_an_extension_repeats_no_trial(workplace, lemmata):
    lemmata("run", "coin.py")
    lemmata("new", "more-coins", "--from", "coin.py")
    file = Path("more_coins.py")
    file.write_text(file.read_text().replace('"main": {},', '"main": {"bias": [0.7]},'))
    status, out, _ = lemmata("run", "more_coins.py")
    assert status == 0
    assert "16 of 24 members recorded; 8 to run" in out


def test_an_existing_file_is_not_overwritten(workplace, lemmata):
    lemmata("new", "mine")
    Path("mine.py").write_text("precious")
    status, _, err = lemmata("new", "mine")
    assert status == 2
    assert "exists already" in err
    assert Path("mine.py").read_text() == "precious"
