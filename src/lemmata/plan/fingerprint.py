"""The fingerprint of a trial function: sha256 of the code that can change what it measures.

It covers the function and the definitions of its own file that it reaches by name, and whole every module of lemmata,
or beside the file, that the code reached imports, transitively. So an edit of a claim or a figure leaves records
valid, and an edit of a constant three calls away does not. Declarations (`lemmata.study`), descriptions of figures, by
which results draw themselves, and error classes carry values and do not make them: they are left out, and so are the
fields of the configuration class, whose values are in the identity already. Libraries are not read; their versions are
in every record's provenance.

Limits: what is reached only through `getattr`, `importlib` or a string is not seen. Cost: about 1 ms for a hundred
lines, once a process.
"""

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import lemmata
from lemmata.errors import InvalidInput
from lemmata.plan.source import Chain, Import, Source, Statement, source
from lemmata.study.config import Config, Section

PACKAGE = Path(lemmata.__file__).resolve().parent
LEFT_OUT = tuple(PACKAGE / name for name in ("study", "figures", "errors.py", "version.py"))


def fingerprint(function: Callable[..., Any], config: type[Config] | None = None) -> str:
    """The fingerprint of a function, with the methods of the configuration class it is given: 64 digits.

    Raises `InvalidInput` for a function that has no file, as one typed at a prompt.

    >>> fingerprint(fingerprint) == fingerprint(fingerprint), len(fingerprint(fingerprint))
    (True, 64)
    """
    file, line = _place(function)
    closure = _Closure(file, _config_classes(config))
    own = source(file)
    around = [s for s in own.statements if s.first_line <= line <= s.last_line]
    if not around:
        raise InvalidInput(f"{file} has changed since it was loaded: line {line} is no definition; start again")
    for statement in around:
        closure.include(own, statement)
    for statement in own.statements:
        if statement.always:
            closure.include(own, statement)
    for path, name in closure.config_classes:
        closure.include_name(source(path), (name,))
    return closure.digest()


def _place(function: Callable[..., Any]) -> tuple[Path, int]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    name = getattr(function, "__name__", repr(function))
    if code is None:
        raise InvalidInput(f"trial function {name} is no plain function; write it with `def`")
    file = Path(code.co_filename)
    if not file.is_file():
        raise InvalidInput(
            f"trial function {name} has no source file ({code.co_filename}); write the study in a file, since its "
            "records are identified by its code"
        )
    return file.resolve(), code.co_firstlineno


def _config_classes(config: type[Section] | None) -> set[tuple[Path, str]]:
    """Where the configuration's classes are written: itself, its bases and its sections, but those of lemmata."""
    found: set[tuple[Path, str]] = set()
    for kind in config.__mro__ if config else ():
        if not issubclass(kind, Section) or kind in (Section, Config):
            continue
        found.add((Path(inspect.getfile(kind)).resolve(), kind.__qualname__.split(".")[0]))
        for info in kind.model_fields.values():
            for part in (info.annotation, *get_args(info.annotation)):
                if isinstance(part, type) and issubclass(part, Section):
                    found |= _config_classes(part)
    return found


class _Closure:
    """Collects the statements reached, file by file, following names and imports."""

    def __init__(self, file: Path, config_classes: set[tuple[Path, str]]):
        self.file = file
        self.config_classes = config_classes
        self.home, self.own_package = _home(file)
        self.reached: dict[Path, set[int]] = {}
        self.outside: set[str] = set()
        self.followed: set[Chain] = set()
        self.asked: set[tuple[Path, Import, Chain]] = set()
        self.labels: dict[Path, str] = {}
        self.waiting: list[tuple[Source, Statement]] = []

    def digest(self) -> str:
        """Follow everything that waits, then hash what was reached, file by file in the order of the source."""
        while self.waiting:
            self._take_in(*self.waiting.pop())
        lines = sorted(self.outside)
        for path in sorted(self.reached, key=self._label):
            lines.append(self._label(path))
            for statement in source(path).statements:
                if statement.index in self.reached[path]:
                    lines.append(self._read(path, statement).digest)
        return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()

    def include(self, file: Source, statement: Statement) -> None:
        """Take a statement in, and later all it names."""
        reached = self.reached.setdefault(file.path, set())
        if statement.index in reached:
            return
        reached.add(statement.index)
        self.waiting.append((file, statement))

    def _take_in(self, file: Source, statement: Statement) -> None:
        reading = self._read(file.path, statement)
        inside = {made.name: made for made in reading.imports}
        unused = set(inside)
        for chain in sorted(reading.chains):
            if chain[0] in inside:
                unused.discard(chain[0])
                self._follow(file, inside[chain[0]], chain[1:])
            else:
                self.include_name(file, chain)
        for name in sorted(unused):
            self._follow(file, inside[name], ())

    def include_name(self, file: Source, chain: Chain) -> bool:
        """Take in what a dotted name stands for in a file; False if the file does not bind it."""
        bound = file.binding(chain[0])
        for statement in bound:
            made = [made for made in self._read(file.path, statement).imports if made.name == chain[0]]
            if made and not _makes_more(statement):
                self.outside.add(f"{self._label(file.path)}: {chain[0]} = {'.'.join(made[0].target)}")
                self._follow(file, made[0], chain[1:])
            else:
                self.include(file, statement)
        return bool(bound)

    def _read(self, path: Path, statement: Statement):
        name = getattr(statement.node, "name", "")
        return statement.read(without_fields=(path, name) in self.config_classes)

    def _follow(self, file: Source, made: Import, rest: Chain) -> None:
        if (file.path, made, rest) in self.asked:
            return
        self.asked.add((file.path, made, rest))
        target = self._absolute(file.path, made)
        if target and (target[0] in ("lemmata", self.own_package) or self._beside(target[0])):
            self._reach((*target, *rest))

    def _reach(self, chain: Chain) -> None:
        """Walk a dotted name through folders to a module, which is taken whole, or to a name of a package."""
        if chain in self.followed:
            return
        self.followed.add(chain)
        folder = PACKAGE.parent if chain[0] == "lemmata" else self.home
        for depth, part in enumerate(chain):
            if (folder / part).is_dir():
                folder = folder / part
            elif (folder / f"{part}.py").is_file():
                self._include_whole(folder / f"{part}.py")
                return
            else:
                self._reach_in_package(folder, chain[:depth], chain[depth:])
                return
            if folder in LEFT_OUT:
                return
        self._reach_in_package(folder, chain, ())

    def _reach_in_package(self, folder: Path, package: Chain, names: Chain) -> None:
        door = folder / "__init__.py"
        if not door.is_file():
            return
        file = source(door)
        if names and self.include_name(file, names):
            return
        for made in file.typing:
            if names and made.name == names[0]:
                self._follow(file, made, names[1:])
                return
        home = getattr(lemmata, "_PUBLIC", {}).get(names[0]) if names and folder == PACKAGE else None
        if home is not None:
            chain = tuple(home.split("."))
            self._reach((*chain, *names[1:]) if chain[-1] == names[0] else (*chain, *names))
            return
        self._include_whole(door)
        for made in file.typing:
            self._follow(file, made, ())

    def _include_whole(self, path: Path) -> None:
        if path in LEFT_OUT or path == self.file:
            return
        file = source(path)
        for statement in file.statements:
            self.include(file, statement)

    def _absolute(self, path: Path, made: Import) -> Chain:
        if not made.level:
            return made.target
        folder = path.parent
        for _ in range(made.level - 1):
            folder = folder.parent
        root = PACKAGE.parent if folder.is_relative_to(PACKAGE) else self.home
        return (*folder.relative_to(root).parts, *made.target) if folder.is_relative_to(root) else ()

    def _beside(self, top: str) -> bool:
        if self.own_package:
            return False
        return (self.home / f"{top}.py").is_file() or (self.home / top).is_dir()

    def _label(self, path: Path) -> str:
        if path not in self.labels:
            self.labels[path] = self._labelled(path)
        return self.labels[path]

    def _labelled(self, path: Path) -> str:
        if path == self.file:
            return "own"
        if path.is_relative_to(PACKAGE):
            return path.relative_to(PACKAGE.parent).as_posix()
        return path.relative_to(self.home).as_posix() if path.is_relative_to(self.home) else path.name


def _home(file: Path) -> tuple[Path, str]:
    """The folder that holds the modules beside a file, and the package the file belongs to ("" for a loose file)."""
    folder, package = file.parent, ""
    while (folder / "__init__.py").is_file():
        folder, package = folder.parent, folder.name
    return folder, package


def _makes_more(statement: Statement) -> bool:
    return type(statement.node).__name__ not in ("Import", "ImportFrom")
