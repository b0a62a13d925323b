"""A Python file as the fingerprint sees it: module-level statements, what each binds, uses and imports.

A statement is read into a text that is the same for the same program: names, constants and structure count; comments,
formatting, line numbers, docstrings and type annotations do not (except in a class body, where an annotation may be a
field). Decorators that hand a function to its study (`@study.trial`) do not count either: they would make the whole
declaration part of the code.
"""

import ast
import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

Chain = tuple[str, ...]  # a dotted use of a name: lm.nets.mlp is ("lm", "nets", "mlp")
HANDING_OVER = {"trial", "theory", "figure"}


@dataclass(frozen=True)
class Import:
    """`name` stands for the dotted `target`; "*" stands for everything in it."""

    name: str
    target: Chain
    level: int  # leading dots of a relative import


@dataclass
class Reading:
    """What one statement says: its digest, the dotted names it uses, and the imports inside it."""

    digest: str
    chains: set[Chain] = field(default_factory=set)
    imports: list[Import] = field(default_factory=list)


@dataclass
class Statement:
    """One statement at module level; `binds` are the names it makes or changes."""

    node: ast.stmt
    index: int  # its place in the file
    first_line: int
    last_line: int
    binds: set[str]
    always: bool  # run for its effect, whatever is used of the module
    _read: dict[bool, Reading] = field(default_factory=dict)

    def read(self, *, without_fields: bool = False) -> Reading:
        """Read it once; `without_fields` leaves out the annotated fields of a configuration class."""
        if without_fields not in self._read:
            self._read[without_fields] = _Reader(without_fields).reading(self.node)
        return self._read[without_fields]


@dataclass
class Source:
    """A parsed file. `typing` are the imports that only type checkers see: in a lazy package they say what is where."""

    path: Path
    statements: list[Statement]
    typing: list[Import]
    _binding: dict[str, list[Statement]] = field(default_factory=dict)

    def add(self, statement: Statement) -> None:
        """Put a statement at the end."""
        self.statements.append(statement)
        for name in statement.binds:
            self._binding.setdefault(name, []).append(statement)

    def binding(self, name: str) -> list[Statement]:
        """The statements that make or change a name."""
        return self._binding.get(name, [])


def source(path: Path) -> Source:
    """Parse a file, once for each state of it. About 1 ms for a hundred lines."""
    state = path.stat()
    return _parsed(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _parsed(path: Path, mtime: int, size: int) -> Source:
    tree = ast.parse(path.read_bytes(), filename=str(path))
    parsed = Source(path, [], [])
    for node in tree.body:
        if isinstance(node, ast.If) and _condition(node) == "TYPE_CHECKING":
            parsed.typing += _Reader(False).reading(node).imports
        elif not _is_text(node) and not (isinstance(node, ast.If) and _condition(node) == "__name__"):
            lines = [node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))]
            binds, always = _effects(node)
            index, last = len(parsed.statements), node.end_lineno or node.lineno
            parsed.add(Statement(node, index, min(lines), last, binds, always))
    return parsed


def _condition(node: ast.If) -> str:
    test = node.test.left if isinstance(node.test, ast.Compare) else node.test
    return test.id if isinstance(test, ast.Name) else test.attr if isinstance(test, ast.Attribute) else ""


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _effects(statement: ast.stmt) -> tuple[set[str], bool]:
    """The names a statement binds or changes in place, and whether it calls something for its effect."""
    binds: set[str] = set()
    always = False
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            binds.add(node.name)
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            binds |= {made.name for made in _imports(node)}
            always |= "*" in binds
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            binds.add(node.id)
        elif isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            binds.add(_root(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value.func
            if isinstance(called, ast.Attribute):
                binds.add(_root(called))
            else:
                always = True
        waiting += ast.iter_child_nodes(node)
    return binds, always


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _imports(node: ast.Import | ast.ImportFrom) -> list[Import]:
    if isinstance(node, ast.ImportFrom):
        base = tuple(node.module.split(".")) if node.module else ()
        return [
            Import("*", base, node.level)
            if made.name == "*"
            else Import(made.asname or made.name, (*base, made.name), node.level)
            for made in node.names
        ]
    return [
        Import(made.asname, tuple(made.name.split(".")), 0)
        if made.asname
        else Import(made.name.split(".")[0], (made.name.split(".")[0],), 0)
        for made in node.names
    ]


class _Reader:
    """Writes a syntax tree in a form that is the same in every version of Python, and notes names on the way."""

    def __init__(self, without_fields: bool):
        self.without_fields = without_fields
        self.parts: list[str] = []
        self.chains: set[Chain] = set()
        self.imports: list[Import] = []

    def reading(self, node: ast.AST) -> Reading:
        self._write(node, False)
        digest = hashlib.sha256("".join(self.parts).encode("utf-8", "surrogatepass")).hexdigest()
        return Reading(digest, self.chains, self.imports)

    def _write(self, node: ast.AST, in_class: bool) -> None:
        parts = self.parts
        if isinstance(node, ast.Name | ast.Attribute):
            chain = _chain(node)
            if chain is not None:
                self.chains.add(chain)
                parts.append(f"<{'.'.join(chain)}>")
                return
        elif isinstance(node, ast.Constant):
            parts.append(f"{type(node.value).__name__}:{node.value!r};")
            return
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self.imports += _imports(node)
        is_class = isinstance(node, ast.ClassDef)
        parts.append(type(node).__name__)
        parts.append("(")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name in _SILENT:
                continue
            if name in ("annotation", "returns") and not (in_class and isinstance(node, ast.AnnAssign)):
                continue
            parts.append(f"{name}=")
            if isinstance(value, list):
                self._write_list(name, value, is_class)
            elif isinstance(value, ast.AST):
                self._write(value, False)
            else:
                parts.append(repr(value))
            parts.append(",")
        parts.append(")")

    def _write_list(self, name: str, values: list, is_class: bool) -> None:
        for value in values:
            if not isinstance(value, ast.AST):
                self.parts.append(repr(value))
                continue
            if _is_text(value):
                continue
            if name == "decorator_list" and isinstance(value, ast.Attribute) and value.attr in HANDING_OVER:
                continue
            if is_class and self.without_fields and isinstance(value, ast.AnnAssign):
                continue
            self._write(value, is_class)
            self.parts.append(",")


_SILENT = {"ctx", "type_comment", "kind", "type_params", "type_ignores"}


def _chain(node: ast.AST) -> Chain | None:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return (node.id, *reversed(names))
