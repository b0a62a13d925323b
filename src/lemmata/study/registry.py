"""Studies by name: those that come with lemmata, those that packages offer, and files of one's own.

Listing reads the files' text and imports nothing, so one broken file cannot hide the others and the list costs no
torch. A study is found as `NAME` (built in, or through the entry-point group `lemmata.studies`) or as a path.
"""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from lemmata.errors import LemmataError, UnknownName
from lemmata.study.study import Study

BUILT_IN = Path(__file__).parents[1] / "studies"


class BrokenStudy(LemmataError):
    """A study file that cannot be imported; the message names the file, the line and the error."""


@dataclass(frozen=True)
class Entry:
    """A study as the list shows it: `problem` says why it cannot be read, if it cannot."""

    name: str
    summary: str
    source: str
    problem: str = ""


def entries(folder: Path | None = None) -> list[Entry]:
    """All studies there are, read without importing them; `folder` adds the study files in it.

    >>> all(entry.name for entry in entries())
    True
    """
    files = sorted(BUILT_IN.glob("[a-z]*.py"))
    own = [file for file in sorted(folder.glob("*.py")) if "Study(" in _text(file)] if folder else []
    listed = [entry for file in files + own for entry in [_read(file)]]
    return listed + [Entry(point.name, "", point.value) for point in entry_points(group="lemmata.studies")]


def load(name: str) -> Study:
    """The study of this name, or in the file of this path; raises `UnknownName` or `BrokenStudy`."""
    if name.endswith(".py"):
        return _study_in(Path(name), f"lemmata_study_{Path(name).stem}")
    for entry in entries():
        if entry.name == name and entry.source.endswith(".py"):
            return _study_in(Path(entry.source), f"lemmata.studies.{Path(entry.source).stem}")
    for point in entry_points(group="lemmata.studies"):
        if point.name == name:
            return point.load()
    own = Path(f"{name.replace('-', '_')}.py")
    if own.exists():
        return load(str(own))
    raise UnknownName("study", name, [entry.name for entry in entries(Path.cwd())])


def _study_in(file: Path, module_name: str) -> Study:
    if not file.exists():
        raise UnknownName("study file", str(file), [str(path) for path in file.parent.glob("*.py")])
    try:
        module = _import(file, module_name)
    except LemmataError:
        raise
    except Exception as error:
        line = next((f.lineno for f in _frames(error) if f.filename == str(file)), None)
        place = f"{file}, line {line}" if line else str(file)
        raise BrokenStudy(f"study file {place} raises {type(error).__name__} on import: {error}") from error
    found = [value for value in vars(module).values() if isinstance(value, Study) and value.source == file.resolve()]
    if not found:
        raise BrokenStudy(f"study file {file} defines no Study; write `study = lemmata.Study(...)` in it")
    return found[-1]


def _import(file: Path, name: str):
    if name.startswith("lemmata."):
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(name, file.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _frames(error: BaseException) -> Iterator:
    import traceback

    if isinstance(error, SyntaxError):
        yield traceback.FrameSummary(error.filename or "", error.lineno or 0, "")
    yield from reversed(traceback.extract_tb(error.__traceback__))


def _read(file: Path) -> Entry:
    stem = file.stem.replace("_", "-")
    try:
        tree = ast.parse(_text(file), filename=str(file))
    except SyntaxError as error:
        return Entry(stem, "", str(file), problem=f"line {error.lineno}: {error.msg}")
    summary = (ast.get_docstring(tree) or "").split("\n")[0]
    return Entry(_declared_name(tree) or stem, summary, str(file))


def _declared_name(tree: ast.Module) -> str | None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("Study", "extend") and isinstance(node.args[0].value, str):
                return node.args[0].value
    return None


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")
