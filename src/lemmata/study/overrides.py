"""Overrides from a command line: `--network.width 64 --fit.corruption 0,0.5,1` as a mapping of dotted names.

A name may be preceded by the experiment it is for; `a,b,c` gives an axis to sweep. Types are checked when the
configurations are built.
"""

from collections.abc import Sequence
from typing import Any

from lemmata.errors import InvalidInput, UnknownName
from lemmata.study.config import field_names, parse
from lemmata.study.study import Study


def read(study: Study, tokens: Sequence[str]) -> dict[str, Any]:
    """Read `--name value` and `--name=value` tokens; raises `UnknownName` with the nearest field.

    >>> from lemmata.study import Config
    >>> study = Study("coin", question="Is it fair?", config=Config)
    >>> read(study, ["--seed", "1,2"])
    {'seed': ['1', '2']}
    """
    values: dict[str, Any] = {}
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        if not token.startswith("--"):
            raise InvalidInput(f"unexpected {token!r}; write overrides as --FIELD VALUE")
        name, equals, text = token[2:].partition("=")
        if not equals:
            if not rest:
                raise InvalidInput(f"--{name} wants a value, as in --{name} VALUE")
            text = rest.pop(0)
        name = name.replace("-", "_")
        values[name] = _parse(study, name, text)
    return values


def _parse(study: Study, name: str, text: str) -> Any:
    experiment, dot, field = name.partition(".")
    if dot and experiment in study.experiments:
        return parse(study.experiments[experiment].config, field, text)
    for candidate in study.experiments.values():
        if name in field_names(candidate.config):
            return parse(candidate.config, name, text)
    raise UnknownName("field", name, {field for e in study.experiments.values() for field in field_names(e.config)})
