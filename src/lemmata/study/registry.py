"""Studies by name: those that come with lemmata, those that packages offer, and files of one's own.

A study is found as `NAME` (built in, or through the entry-point group `lemmata.studies`, or `NAME.py` here) or as a
path. `lemmata.catalogue` lists them without importing any.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

from lemmata.catalogue import GROUP, entries
from lemmata.errors import LemmataError, UnknownName
from lemmata.study.study import Study


class BrokenStudy(LemmataError):
    """A study file that cannot be imported; the message names the file, the line and the error."""


def load(name: str) -> Study:
    """The study of this name, or in the file of this path; raises `UnknownName` or `BrokenStudy`."""
    if name.endswith(".py"):
        return _study_in(Path(name), f"lemmata_study_{Path(name).stem}")
    for entry in entries():
        if entry.name == name and entry.source.endswith(".py"):
            return _study_in(Path(entry.source), f"lemmata.studies.{Path(entry.source).stem}")
    for point in entry_points(group=GROUP):
        if point.name == name:
            return point.load()
    here = entries(Path.cwd())
    own = [entry.source for entry in here if entry.name == name] or [f"{name.replace('-', '_')}.py"]
    if Path(own[0]).exists():
        return load(own[0])
    raise UnknownName("study", name, [entry.name for entry in here])


def load_from(source: Path, name: str) -> Study:
    """The study of this name in this file, as another process loaded it; raises `BrokenStudy`."""
    folder, parts = source.parent, [source.stem]
    while (folder / "__init__.py").is_file():
        folder, parts = folder.parent, [folder.name, *parts]
    return _study_in(source, ".".join(parts) if len(parts) > 1 else f"lemmata_study_{source.stem}", name)


def _study_in(file: Path, module_name: str, name: str | None = None) -> Study:
    if not file.exists():
        raise UnknownName("study file", str(file), [str(path) for path in file.parent.glob("*.py")])
    try:
        module = _import(file, module_name)
    except LemmataError:
        raise
    except Exception as error:
        line = next((f.lineno for f in _frames(error) if Path(f.filename) == file.resolve()), None)
        place = f"{file}, line {line}" if line else str(file)
        raise BrokenStudy(f"study file {place} raises {type(error).__name__} on import: {error}") from error
    found = [value for value in vars(module).values() if isinstance(value, Study) and value.source == file.resolve()]
    if not found:
        raise BrokenStudy(f"study file {file} defines no Study; write `study = lemmata.Study(...)` in it")
    named = [study for study in found if name in (None, study.name)]
    if not named:
        raise BrokenStudy(f"study file {file} has no study {name!r} at its top level; it has {found[-1].name!r}")
    return named[-1]


def _import(file: Path, name: str):
    if "." in name:
        return importlib.import_module(name)
    if str(file.resolve().parent) not in sys.path:
        sys.path.append(str(file.resolve().parent))  # a study may import modules beside it
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
