"""All studies by one command: those of a topic, in a folder of one's own."""

import pytest

COIN = '''
"""A {name}: is it fair?"""
import numpy as np
from lemmata.study import Config, Measurements, Study, kinds


class Coin(Config):
    bias: float = 0.5


study = Study("{name}", topic="games of chance", question="Is the {name} | fair?", config=Coin, seeds={{"{scale}": 4}})


@study.trial
def toss(configs):
    return [Measurements.of(heads=np.random.default_rng(c.seed).binomial(400, c.bias) / 400) for c in configs]


fair = study.claim("heads half of the time", where="page 1", kind=kinds.value(of="heads"), paper={paper}, margin=0.1)
fair.control("a loaded coin", bias={paper} + 0.4)
'''


@pytest.fixture
def games(workplace):
    """Three studies of one topic: two at smoke scale, of which one is contradicted, and one of paper scale only."""
    for name, scale, paper in (("penny", "smoke", 0.5), ("florin", "smoke", 0.2), ("guinea", "paper", 0.5)):
        (workplace / f"{name}.py").write_text(COIN.format(name=name, scale=scale, paper=paper))
    return workplace


ALL = ("--all", "--topic", "games of chance", "--scale", "smoke", "--engine", "serial")


def test_all_studies_of_a_topic_run_with_a_report_each_and_one_of_all(games, lemmata):
    status, _out, _ = lemmata("run", *ALL)
    assert status == 0
    reports = {path.name for path in (games / "lemmata-reports").iterdir()}
    assert reports == {"penny-smoke.html", "florin-smoke.html", "index-smoke.html"}
    page = (games / "lemmata-reports" / "index-smoke.html").read_text()
    assert 'href="penny-smoke.html"' in page
    assert "Games of chance" in page
    assert "1 contradicted" in page
    assert "1 reproduced" in page
    assert "guinea" not in page


def test_a_second_run_computes_nothing(games, lemmata):
    lemmata("run", *ALL)
    before = {path: path.stat().st_mtime_ns for path in (games / "lemmata-store").rglob("record.json")}
    _, out, _ = lemmata("run", *ALL)
    assert out.count("8 of 8 members recorded; 0 to run") == 2
    assert before == {path: path.stat().st_mtime_ns for path in (games / "lemmata-store").rglob("record.json")}


def test_a_study_that_breaks_stops_no_other_and_is_told(games, lemmata):
    (games / "florin.py").write_text(
        COIN.format(name="florin", scale="smoke", paper=0.2) + "\nraise RuntimeError('bent')"
    )
    status, out, _ = lemmata("run", *ALL)
    assert status == 1
    assert "florin" in out
    assert "bent" in out
    assert (games / "lemmata-reports" / "penny-smoke.html").exists()


def test_a_study_whose_own_code_fails_late_stops_no_other(games, lemmata):
    florin = COIN.format(name="florin", scale="smoke", paper=0.2)
    own = "class Bent(kinds.value):\n    def components(self, *given):\n        return [][0]\n\n\nstudy = Study("
    (games / "florin.py").write_text(florin.replace("kind=kinds.value", "kind=Bent").replace("study = Study(", own))
    status, out, _ = lemmata("run", *ALL)
    assert status == 1
    assert "florin: IndexError" in out
    assert (games / "lemmata-reports" / "penny-smoke.html").exists()


def test_the_page_of_all_is_made_from_records(games, lemmata):
    lemmata("run", "penny.py", "--scale", "smoke", "--engine", "serial")
    status, _, _ = lemmata("report", *ALL[:5], "--output", "shows.md")
    assert status == 0
    page = (games / "shows.md").read_text()
    assert "| Games of chance | [penny](#penny) | ✔ 1 reproduced | 1 of 1 | smoke |" in page
    assert "| Games of chance | [florin](#florin) | – | – | not run |" in page
    assert "Is the penny \\| fair?" in page
    assert "| heads half of the time | page 1 | 0.5 |" in page


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("run",), "lemmata list"),
        (("report",), "lemmata list"),
        (("run", "coin.py", "--all"), "not both"),
        (("run", "--all", "--bias", "0.3"), "--bias"),
        (("run", "--all", "--only", "main"), "main"),
        (("run", "coin.py", "--topic", "kernels"), "goes with --all"),
        (("run", "--all", "--topic", "kernel"), "kernels"),
        (("report", "--all", "--pdf"), "Markdown"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_remedy(workplace, lemmata, words, remedy):
    status, _, err = lemmata(*words)
    assert status == 2
    assert remedy in " ".join(err.split())


def test_a_page_names_no_folder_of_the_machine_that_made_it(games, lemmata, monkeypatch):
    monkeypatch.setenv("LEMMATA_DATA", str(games / "a-folder-of-mine"))
    (games / "farthing.py").write_text(
        COIN.format(name="farthing", scale="smoke", paper=0.5).replace(
            'seeds={"smoke": 4})', 'seeds={"smoke": 4}, data="mnist")'
        )
    )
    lemmata("run", *ALL)
    page = (games / "lemmata-reports" / "index-smoke.html").read_text()
    assert "the data set mnist was not at hand" in page
    assert "a-folder-of-mine" not in page
