"""Studies by name, by file, from packages; broken files that hide nothing."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lemmata.errors import UnknownName
from lemmata.study.registry import BrokenStudy, entries, load, load_from

GOOD = '''
"""Good: a study."""
from lemmata.study import Config, Study

study = Study("good-one", topic="coins", question="Is it fair?", config=Config)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_text(textwrap.dedent(text), encoding="utf-8")
        return tmp_path / name

    return write


def test_broken_files_hide_no_other(folder):
    folder("good.py", GOOD)
    folder("raises.py", 'from lemmata.study import Study\n1/0\nstudy = Study("raises-one", question="q")\n')
    folder("computed.py", '"""What the list shows instead."""\nstudy = Study("computed", question=ask())\n')
    folder("syntax.py", "study = Study('a',\n  question=)\n")
    folder("null.py", "study = Study('a')\0")
    folder("other.py", "x = 1\n")
    listed = {entry.name: entry for entry in entries(Path.cwd())}
    assert (listed["good-one"].topic, listed["good-one"].question) == ("coins", "Is it fair?")
    assert listed["raises-one"].problem == ""  # nothing is imported for the list
    assert listed["computed"].question == "What the list shows instead."
    assert listed["syntax"].problem.startswith("line 2: ")
    assert listed["null"].problem
    assert "other" not in listed


def test_listing_imports_no_torch(folder):
    code = "import sys; from lemmata.study.registry import entries; entries(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_study_by_path_by_file_name_and_by_its_own_name(folder):
    file = folder("my_good.py", GOOD)
    assert load(str(file)).name == "good-one"
    assert load("my_good.py").source == file.resolve()
    assert load("my-good").name == "good-one"
    assert load("good-one").name == "good-one"


def test_a_study_may_import_modules_beside_it(folder, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    folder("beside_a_study.py", "LEVELS = [0.0, 0.5]\n")
    file = folder("uses.py", GOOD.replace("study = ", "from beside_a_study import LEVELS\n\nstudy = "))
    assert load(str(file)).name == "good-one"
    sys.modules.pop("beside_a_study")


def test_an_unknown_name_is_met_with_the_nearest(folder):
    folder("good.py", GOOD)
    with pytest.raises(UnknownName, match=r"unknown study 'god-one'; did you mean 'good-one'\?"):
        load("god-one")
    with pytest.raises(UnknownName, match=r"unknown study file '.*goood.py'; did you mean '.*good.py'\?"):
        load(str(Path.cwd() / "goood.py"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = x / 0\n", r"study file .*bad.py, line 2 raises ZeroDivisionError on import: division by zero"),
        ("x = 1\n\ny = (\n", r"study file .*bad.py, line 3 raises SyntaxError on import: '\(' was never closed"),
        ("import nowhere_at_all\n", r"line 1 raises ModuleNotFoundError on import: No module named 'nowhere_at_all'"),
        ("x = 1\n", r"study file .*bad.py defines no Study; write `study = lemmata.Study\(...\)` in it"),
        ("from lemmata.study import Study\n\n\ndef f():\n    Study('s', question='q')\n", "defines no Study"),
    ],
)
def test_a_file_that_gives_no_study_says_why(folder, text, message):
    file = folder("bad.py", text)
    with pytest.raises(BrokenStudy, match=message):
        load(str(file))


def test_our_own_errors_are_not_wrapped(folder):
    file = folder("bad.py", GOOD.replace("config=Config", 'config=Config, sweep={"sed": [1]}'))
    with pytest.raises(UnknownName, match=r"unknown field 'sed'; did you mean 'seed'\?"):
        load(str(file))


def test_an_extension_in_a_file_of_its_own(folder):
    folder("base.py", GOOD)
    file = folder(
        "wider.py",
        f"""
        from lemmata.study.registry import load
        base = load({str(Path.cwd() / "base.py")!r})
        study = base.extend("wider", question="q", sweep={{"seed": [9]}})
        """,
    )
    study = load(str(file))
    assert study.name == "wider"
    assert study.extends is not None
    assert study.experiments["main"].namespace == "good-one/main"


def test_of_two_studies_in_a_file_the_last_is_meant_and_each_can_be_named(folder):
    file = folder("two.py", GOOD + 'more = study.extend("more", question="q", sweep={"seed": [9]})\n')
    assert load(str(file)).name == "more"
    assert load_from(file, "good-one").name == "good-one"
    with pytest.raises(BrokenStudy, match=r"two.py has no study 'other' at its top level; it has 'more'"):
        load_from(file, "other")


def test_a_study_inside_a_package_is_loaded_as_its_module(folder, monkeypatch):
    Path("packaged_study").mkdir()
    folder("packaged_study/__init__.py", "")
    folder("packaged_study/levels.py", "LEVELS = [1]\n")
    file = folder("packaged_study/main.py", GOOD.replace("study = ", "from .levels import LEVELS\nstudy = "))
    monkeypatch.syspath_prepend(Path.cwd())
    assert load_from(file, "good-one").name == "good-one"


def test_packages_offer_studies(folder, monkeypatch):
    """An installed distribution, as pip would leave it."""
    folder("offered_study.py", GOOD)
    Path("offered-1.0.dist-info").mkdir()
    folder("offered-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    folder("offered-1.0.dist-info/entry_points.txt", "[lemmata.studies]\noffered = offered_study:study\n")
    monkeypatch.syspath_prepend(Path.cwd())
    assert "offered" in {entry.name for entry in entries()}
    assert load("offered").name == "good-one"
