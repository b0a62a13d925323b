"""The list of studies, read from the files' text: importing none of them, nor torch, nor pydantic.

One broken file cannot hide the others, and the list costs a few milliseconds a file.
"""

import ast
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path

BUILT_IN = Path(__file__).parent / "studies"
GROUP = "lemmata.studies"


@dataclass(frozen=True)
class Entry:
    """A study as the list shows it: `problem` says why it cannot be read, if it cannot.

    `question` and `topic` are those of the declaration where they stand there as literal text; a file that computes
    them shows its first line as the question.
    """

    name: str
    question: str
    source: str
    topic: str = ""
    problem: str = ""


def entries(folder: Path | None = None) -> list[Entry]:
    """All studies there are, read without importing them; `folder` adds the study files in it.

    >>> all(entry.name for entry in entries())
    True
    """
    files = sorted(BUILT_IN.glob("[a-z]*.py"))
    own = [file for file in sorted(folder.glob("*.py")) if "Study(" in _text(file)] if folder else []
    listed = [entry for file in files + own for entry in [_read(file)]]
    return listed + [Entry(point.name, "", point.value) for point in entry_points(group=GROUP)]


def _read(file: Path) -> Entry:
    return _entry(file, _text(file))


@lru_cache(maxsize=1024)  # who loads one study after the other lists them all each time
def _entry(file: Path, text: str) -> Entry:
    stem = file.stem.replace("_", "-")
    try:
        tree = ast.parse(text, filename=str(file))
    except SyntaxError as error:
        return Entry(stem, "", str(file), problem=f"line {error.lineno}: {error.msg}")
    declaration = _declaration(tree)
    if declaration is None:
        return Entry(stem, _first_line(tree), str(file))
    said = {word.arg: word.value.value for word in declaration.keywords if isinstance(word.value, ast.Constant)}
    question, topic = str(said.get("question") or _first_line(tree)), str(said.get("topic", ""))
    return Entry(declaration.args[0].value, question, str(file), topic=topic)  # type: ignore[attr-defined]


def _declaration(tree: ast.Module) -> ast.Call | None:
    """The call Study("name", ...) or base.extend("name", ...) of a study file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("Study", "extend") and isinstance(node.args[0].value, str):
                return node
    return None


def _first_line(tree: ast.Module) -> str:
    return (ast.get_docstring(tree) or "").split("\n")[0]


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")
