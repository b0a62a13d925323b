"""What a user can mend is said in a sentence: what was wrong, the value, the remedy; never a traceback."""

import pytest


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (("run", "zhang-2012"), "did you mean 'zhang-2021'?"),
        (("run", "coin.py", "--tosess", "3"), "unknown field 'tosess'; did you mean 'tosses'?"),
        (("run", "coin.py", "--network.widht", "3"), "did you mean 'network.width'?"),
        (("run", "coin.py", "--network.width", "0"), "network.width = '0': input should be greater than 0"),
        (("run", "coin.py", "--bias", "1.5"), "bias = '1.5': input should be less than or equal to 1"),
        (("run", "coin.py", "--tosses", "many"), "tosses = 'many': input should be a valid integer"),
        (("run", "coin.py", "--tosses"), "--tosses wants a value"),
        (("run", "coin.py", "tosses"), "write overrides as --FIELD VALUE"),
        (("run", "nowhere.py"), "unknown study file 'nowhere.py'"),
        (("run", "coin.py", "--scale", "paper"), "paper"),
        (("run", "coin.py", "--seeds", "0"), "seeds"),
        (("run", "coin.py", "--until-decided", "0"), "--until-decided 0: give the most seeds that may be spent"),
        (("run", "coin.py", "--output", "coin.txt"), "ends with .html or .htm"),
        (("run", "coin.py", "--output", "coin.py/coin.html"), "cannot use 'coin.py'"),
        (("run", "--all", "--topic", "pruning", "--output", "coin.py"), "cannot use 'coin.py'"),
        (("report", "--all", "--store", "nowhere"), "no store at 'nowhere'; name the folder"),
        (("report", "--all", "--output", "all.pdf"), "ends with .html or .htm or .md"),
        (("compare", "coin.py", "coin.py@nowhere"), "no store at 'nowhere'"),
        (("run", "heckel-2021", "--linear.steps", "30"), "steps = '30': input should be greater than or equal to 491"),
        (("new", "Bad Name"), "lower-case words joined by hyphens"),
        (("list", "--topic", "doubel descent"), "unknown topic 'doubel descent'; did you mean 'double descent'?"),
        (("data", "fetch", "mnits"), "did you mean 'mnist'?"),
    ],
)
def test_message(workplace, lemmata, tokens, said):
    status, out, err = lemmata(*tokens)
    assert status == 2
    assert said in err
    assert "Traceback" not in out + err


def test_a_folder_of_data_that_does_not_exist(workplace, lemmata):
    status, out, err = lemmata("run", "coin.py", "--data-dir", "nowhere")
    assert status != 0
    assert "no folder at 'nowhere'" in out + err
    assert not (workplace / "lemmata-reports").exists()


def test_a_command_that_does_not_exist(lemmata):
    status, out, err = lemmata("rnu")
    assert status != 0
    assert "run" in out + err


def test_a_study_that_raises_on_import(workplace, lemmata):
    (workplace / "broken.py").write_text('"""Broken."""\nimport lemmata as lm\nStudy("broken")\n1 / 0\n')
    status, _, err = lemmata("run", "broken.py")
    assert status == 2
    assert "broken.py, line 3 raises NameError on import" in err
    status, out, _ = lemmata("list")
    assert status == 0
    assert "coin" in out
    assert "broken" in out
    assert "zhang-2021" in out


def test_a_study_with_a_syntax_error_is_listed_with_its_problem(workplace, lemmata):
    (workplace / "unfinished.py").write_text("study = Study(\n")
    _, out, _ = lemmata("list")
    assert "cannot be read: line 1" in out
    assert "heckel-2021" in out


def test_a_file_without_a_study(workplace, lemmata):
    (workplace / "empty.py").write_text("x = 1\n")
    _, _, err = lemmata("run", "empty.py")
    assert "defines no Study" in err


def test_a_store_that_is_not_one(workplace, lemmata):
    (workplace / "file").write_text("not a folder")
    status, _, err = lemmata("run", "coin.py", "--store", "file")
    assert status == 2
    assert "file" in err
    assert "Traceback" not in err


def test_a_trial_that_raises_is_reported_and_the_others_are_kept(workplace, lemmata):
    text = (workplace / "coin.py").read_text()
    raising = (
        "def toss(configs):\n    if configs[0].bias == 0.9:\n        raise RuntimeError('the coin fell off the table')"
    )
    (workplace / "coin.py").write_text(text.replace("def toss(configs):", raising))
    status, out, _ = lemmata("run", "coin.py")
    assert status == 1
    assert "the coin fell off the table" in out
    assert len(list((workplace / "lemmata-store").rglob("record.json"))) == 1


def test_a_place_that_cannot_be_written(workplace, lemmata):
    (workplace / "file").write_text("in the way")
    lemmata("run", "coin.py", "--scale", "smoke")
    for tokens in (("new", "mine", "--folder", "file"), ("report", "coin.py", "--output", "file/coin.html")):
        status, _, err = lemmata(*tokens)
        assert status == 2
        assert "cannot use" in err
        assert "file" in err
        assert "Traceback" not in err


def test_alike_failures_are_told_once(workplace, lemmata):
    text = (workplace / "coin.py").read_text()
    (workplace / "coin.py").write_text(text.replace("draws = [", "raise RuntimeError('no coin')\n    draws = ["))
    status, out, _ = lemmata("run", "coin.py")
    assert status == 1
    assert out.count("no coin") == 1
    assert "failed: 2 trials of experiment 'main'" in out


def test_a_pdf_is_not_written_to_a_name_that_ends_otherwise(workplace, lemmata):
    lemmata("run", "coin.py", "--scale", "smoke", "--engine", "serial")
    status, _, err = lemmata("report", "coin.py", "--pdf", "--output", "coin.html")
    assert (status, (workplace / "coin.html").exists()) == (2, False)
    assert "--output coin.html: this report is written to a name that ends with .pdf" in err


@pytest.mark.parametrize("command", ["report", "plan", "run"])
def test_a_damaged_record_is_told_by_whichever_command_meets_it(workplace, lemmata, command):
    lemmata("run", "coin.py", "--scale", "smoke", "--engine", "serial")
    record = next((workplace / "lemmata-store" / "records").rglob("record.json"))
    record.write_bytes(record.read_bytes()[:100])
    status, out, err = lemmata(command, "coin.py", "--scale", "smoke")
    assert status == 0
    assert "damaged: record" in out + err


def test_stopping_says_that_what_is_done_is_recorded(workplace, lemmata):
    stopped = "    if configs[0].bias == 0.9:\n        raise KeyboardInterrupt\n    draws ="
    source = (workplace / "coin.py").read_text()
    (workplace / "coin.py").write_text(source.replace("    draws =", stopped))
    status, _, err = lemmata("run", "coin.py", "--engine", "serial")
    assert status == 130
    assert "stopped; what is done is recorded, and the same command goes on from there" in err


def test_a_data_set_that_needs_no_files(lemmata):
    status, out, _ = lemmata("data", "fetch", "digits")
    assert (status, out) == (0, "digits: needs no file; it comes with the installation\n")
