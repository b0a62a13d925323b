"""The typed, frozen configuration of one network, one draw, one run.

A configuration is a pydantic model that forbids unknown fields; `seed` is one of its fields. Values are set
by dotted name (`network.width`), checked by type, and a misspelt name is met with the nearest one. Identity
looks only at the values that differ from their defaults (`non_default`), so that a new option with a default
leaves every old record valid.
"""

import json
from collections.abc import Mapping
from functools import reduce
from operator import getitem
from typing import Any, Self, get_args, get_origin

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lemmata.errors import InvalidInput, UnknownName


class Section(BaseModel):
    """A group of options inside a `Config`, reached by a dotted name.

    >>> class Network(Section):
    ...     width: int = Field(default=512, gt=0)
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class Config(Section):
    """The base of every study's configuration; subclass it and add fields.

    >>> class Linear(Config):
    ...     n: int = Field(default=200, gt=0)
    >>> Linear.build({"n": 50, "seed": 3})
    Linear(seed=3, n=50)
    """

    seed: int = Field(default=0, ge=0, description="the replication unit: fixes every random draw")

    @classmethod
    def build(cls, values: Mapping[str, Any]) -> Self:
        """Make a configuration from dotted names; raises `UnknownName` or `InvalidInput` with the remedy.

        What is not set keeps the value it is declared with, also in a section of which other fields are set.
        """
        nested: dict[str, Any] = {}
        for name, value in values.items():
            field_type(cls, name)
            *sections, leaf = name.split(".")
            place: dict[str, Any] = nested
            kind: Any = cls
            for section in sections:
                if section not in place:
                    place[section] = _declared(kind, section)
                place, kind = place[section], kind.model_fields[section].annotation
                if not isinstance(place, dict):
                    raise InvalidInput(f"{section!r} is set as a whole and by {name!r}; choose one of the two")
            place[leaf] = value.item() if isinstance(value, np.generic) else value
        try:
            return cls.model_validate(nested)
        except ValidationError as error:
            raise InvalidInput(_explain(cls, error)) from None

    def flat(self) -> dict[str, Any]:
        """All values by dotted name.

        >>> Config(seed=2).flat()
        {'seed': 2}
        """
        return dict(_flatten(self))

    def plain(self) -> dict[str, Any]:
        """All values by dotted name, as plain JSON values: what a record keeps.

        >>> Config(seed=2).plain()
        {'seed': 2}
        """
        dumped = self.model_dump(mode="json")
        return {name: reduce(getitem, name.split("."), dumped) for name in self.flat()}

    def non_default(self) -> dict[str, Any]:
        """The values that differ from their defaults, as plain JSON values: what identity is made of.

        >>> Config().non_default(), Config(seed=2).non_default()
        ({}, {'seed': 2})
        """
        return self.model_dump(mode="json", exclude_defaults=True)


def field_type(config: type[BaseModel], name: str) -> Any:
    """Return the annotation of the field with this dotted name; raises `UnknownName` with the nearest name.

    >>> field_type(Config, "seed")
    <class 'int'>
    """
    kind: Any = config
    for part in name.split("."):
        fields = getattr(kind, "model_fields", None)
        if fields is None or part not in fields:
            raise UnknownName("field", name, field_names(config))
        kind = fields[part].annotation
    return kind


def field_names(config: type[BaseModel], prefix: str = "") -> list[str]:
    """All dotted names of a configuration's fields.

    >>> field_names(Config)
    ['seed']
    """
    names: list[str] = []
    for name, info in config.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += field_names(kind, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def parse(config: type[BaseModel], name: str, text: str) -> Any:
    """Read a value from the command line; `a,b,c` for a scalar field gives the list [a, b, c], an axis to sweep.

    Types are checked by `Config.build`; here only the outer shape is decided. JSON is accepted for tuples.

    >>> parse(Config, "seed", "1,2")
    ['1', '2']
    """
    kind = field_type(config, name)
    if get_origin(kind) in (tuple, list) or kind in (tuple, list):
        try:
            value = json.loads(text if text.startswith("[") else f"[{text}]")
        except json.JSONDecodeError:
            value = [part.strip() for part in text.strip("[]").split(",")]
        return tuple(value)
    if type(None) in get_args(kind) and text.lower() in ("none", "null"):
        return None
    return [part.strip() for part in text.split(",")] if "," in text else text


def _declared(kind: Any, section: str) -> dict[str, Any]:
    """The values that a section has in its place, which may differ from those of its class; none where it has none."""
    default = kind.model_fields[section].get_default(call_default_factory=True)
    return default.model_dump() if isinstance(default, BaseModel) else {}


def _flatten(section: BaseModel, prefix: str = "") -> list[tuple[str, Any]]:
    items: list[tuple[str, Any]] = []
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            items += _flatten(value, f"{prefix}{name}.")
        else:
            items.append((prefix + name, value))
    return items


def _explain(config: type[BaseModel], error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "missing":
            lines.append(f"{name} is missing; set it with --{name}")
        else:
            message = problem["msg"][0].lower() + problem["msg"][1:]
            lines.append(f"{name} = {problem['input']!r}: {message}")
    return f"{config.__name__}: " + "; ".join(lines)
