"""What changes a fingerprint and what does not, on real files that are edited."""

import itertools
import os
import textwrap

import pytest

from lemmata.errors import InvalidInput
from lemmata.plan.fingerprint import fingerprint
from lemmata.study.registry import load

STUDY = '''
"""A study."""
import math

import lemmata as lm
from lemmata.study import Config, Measurements, Study
from sibling import scale
from starred import *

LEVELS = [1, 2, 3]
LEVELS.append(4)
OTHER = 7


class Net(Config):
    """Doc."""
    width: int = 3

    @property
    def double(self) -> int:
        return 2 * self.width


study = Study("s", question="q", config=Net, sweep={"width": [1, 2]})


def inner(x: float) -> float:
    """Doc."""
    # a comment
    return x * scale(x) + LEVELS[0] + SHIFT


def unrelated():
    return OTHER


@study.theory
def theory(x):
    return math.sqrt(x)


@study.trial
def run(configs):
    """Doc."""
    from deep.lower import lowest

    return [Measurements.of(a=inner(c.double) + lowest() + theory(c.width)) for c in configs]


claim = study.claim("c", where="w", untestable="no data")
'''
FILES = {
    "study.py": STUDY,
    "sibling.py": "from deep import FACTOR\n\n\ndef scale(x):\n    return FACTOR * x\n",
    "starred.py": "SHIFT = 0.5\n",
    "deep/__init__.py": "from deep.constants import FACTOR\nfrom deep.unused import NOTHING\n\nSPARE = 1\n",
    "deep/constants.py": "FACTOR = 2.0\n",
    "deep/unused.py": "NOTHING = 0\n",
    "deep/lower.py": "from .lowest import VALUE\n\n\ndef lowest():\n    return VALUE\n",
    "deep/lowest.py": "VALUE = 1\n",
    "stranger.py": "X = 1\n",
}
CHANGING = {
    "a constant of the trial": ("study.py", "theory(c.width)", "2 * theory(c.width)"),
    "a called function": ("study.py", "x * scale(x) +", "x * scale(x) -"),
    "a constant of a called function": ("study.py", "LEVELS = [1, 2, 3]", "LEVELS = [1, 2, 5]"),
    "a constant changed in place": ("study.py", "LEVELS.append(4)", "LEVELS.append(5)"),
    "a method of the configuration": ("study.py", "2 * self.width", "3 * self.width"),
    "a theory that is called": ("study.py", "math.sqrt(x)", "math.sqrt(x + 1)"),
    "what an import stands for": ("study.py", "import math\n", "import cmath as math\n"),
    "an int for a float": ("study.py", "theory(c.width)", "theory(c.width) + 0"),
    "a module beside the study": ("sibling.py", "FACTOR * x", "FACTOR + x"),
    "a name reached through a package": ("deep/constants.py", "2.0", "2.5"),
    "a module whose every name is taken": ("starred.py", "0.5", "0.6"),
    "a module imported inside the function": ("deep/lower.py", "return VALUE", "return -VALUE"),
    "a relative import below it": ("deep/lowest.py", "1", "2"),
}
KEEPING = {
    "a comment": ("study.py", "# a comment", "# another"),
    "a docstring": ("study.py", '    """Doc."""\n    # a', '    """Other."""\n    # a'),
    "no docstring": ("study.py", '    """Doc."""\n    # a', "    # a"),
    "formatting": ("study.py", "x * scale(x) + LEVELS[0] + SHIFT", "(x\n        * scale( x ) + LEVELS[ 0 ] +SHIFT)"),
    "a type annotation": ("study.py", "inner(x: float) -> float", "inner(x)"),
    "an unrelated function": ("study.py", "return OTHER", "return OTHER + 1"),
    "an unrelated constant": ("study.py", "OTHER = 7", "OTHER = 8"),
    "a claim": ("study.py", 'where="w"', 'where="elsewhere"'),
    "the sweep": ("study.py", '"width": [1, 2]', '"width": [1, 2, 3]'),
    "a new option": ("study.py", "    width: int = 3", "    width: int = 3\n    depth: int = 2"),
    "a new figure": ("study.py", "claim =", "@study.figure\ndef draw(table):\n    return 1\n\n\nclaim ="),
    "a module that nothing imports": ("stranger.py", "1", "2"),
    "a name of a package that is not used": ("deep/__init__.py", "SPARE = 1", "SPARE = 2"),
    "a module of a package that is not used": ("deep/unused.py", "0", "1"),
}
_moments = itertools.count(1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    return tmp_path


def _edit(folder, name, old, new):
    text = (folder / name).read_text()
    assert text.count(old) >= 1
    (folder / name).write_text(text.replace(old, new, 1))
    moment = 2_000_000_000 + next(_moments)  # the cache goes by the time of the last change
    os.utime(folder / name, (moment, moment))


def _fingerprint(folder):
    import sys

    for name in [name for name in sys.modules if name.split(".")[0] in ("sibling", "starred", "deep", "stranger")]:
        del sys.modules[name]
    experiment = load(str(folder / "study.py")).experiments["main"]
    return fingerprint(experiment.trial_function, experiment.config)


@pytest.mark.parametrize("edit", CHANGING.values(), ids=CHANGING)
def test_what_can_change_a_measurement_changes_the_fingerprint(folder, edit):
    before = _fingerprint(folder)
    _edit(folder, *edit)
    assert _fingerprint(folder) != before


@pytest.mark.parametrize("edit", KEEPING.values(), ids=KEEPING)
def test_what_cannot_leaves_it(folder, edit):
    before = _fingerprint(folder)
    _edit(folder, *edit)
    assert _fingerprint(folder) == before


def test_neither_the_name_nor_the_place_of_the_study_file_counts(folder, tmp_path_factory):
    before = _fingerprint(folder)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in FILES:
        (elsewhere / name).parent.mkdir(exist_ok=True)
        (folder / name).rename(elsewhere / name)
    assert _fingerprint(elsewhere) == before
    (elsewhere / "study.py").rename(elsewhere / "renamed.py")
    experiment = load(str(elsewhere / "renamed.py")).experiments["main"]
    assert fingerprint(experiment.trial_function, experiment.config) == before


def test_the_lazy_door_is_seen_through(tmp_path):
    """`lm.nets...` and `from lemmata import nets` reach the same modules of lemmata."""
    body = "\n\ndef run(configs):\n    return {}\n"
    texts = {
        "a": "import lemmata as lm" + body.format("lm.nets.mlp"),
        "b": "from lemmata import nets" + body.format("nets.mlp"),
        "c": "from lemmata.nets import mlp" + body.format("mlp"),
        "d": "import lemmata as lm" + body.format("lm.version"),
        "e": "from lemmata.figures import Figure, style" + body.format("Figure, style"),
    }
    from lemmata.plan.fingerprint import PACKAGE, _Closure
    from lemmata.plan.source import source

    reached = {}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
        file = source(tmp_path / f"{name}.py")
        closure = _Closure(file.path, set())
        closure.include(file, file.statements[-1])
        closure.digest()
        reached[name] = {path for path in closure.reached if path != file.path}
    assert PACKAGE / "nets" / "mlp.py" in reached["a"]
    assert PACKAGE / "nets" / "resnet.py" not in reached["a"]
    assert reached["a"] == reached["b"] == reached["c"]
    assert not reached["d"]
    assert not reached["e"]


def test_a_function_without_a_file_is_refused():
    made = {}
    exec("def trial(configs):\n    return []", made)
    with pytest.raises(InvalidInput, match=r"trial has no source file \(<string>\); write the study in a file"):
        fingerprint(made["trial"])


def test_something_that_is_no_function_is_refused():
    with pytest.raises(InvalidInput, match="is no plain function; write it with `def`"):
        fingerprint(len)


def test_a_file_that_shrank_since_it_was_loaded_is_noticed(folder):
    experiment = load(str(folder / "study.py")).experiments["main"]
    (folder / "study.py").write_text("X = 1\n")
    with pytest.raises(InvalidInput, match="has changed since it was loaded"):
        fingerprint(experiment.trial_function, experiment.config)
