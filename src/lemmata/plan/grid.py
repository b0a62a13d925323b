"""From a declaration to configurations: sweep x seeds, changed by the scale and by overrides.

A sweep is a union of grids (field -> values). A setting of the scale, and then an override, replaces a field in every
grid: one value fixes it (an axis over it disappears), a list becomes the axis. Seeds are an axis like any other,
0..n-1 unless somebody sets `seed`.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, get_args, get_origin

import numpy as np
from pydantic import TypeAdapter, ValidationError

from lemmata.errors import InvalidInput, UnknownName
from lemmata.plan.key import canonical
from lemmata.study.claim import Claim
from lemmata.study.config import Config, field_names, field_type
from lemmata.study.experiment import Experiment
from lemmata.study.study import Study


def members(
    experiment: Experiment, scale: str, overrides: Mapping[str, Any] | None = None, seeds: int | None = None
) -> list[Config]:
    """The configurations an experiment sweeps at a scale, each once, seeds innermost.

    >>> class Coin(Config):
    ...     bias: float = 0.5
    >>> experiment = Experiment("main", namespace="coin/main", config=Coin, sweep={"bias": [0.4, 0.6]})
    >>> [(c.bias, c.seed) for c in members(experiment, "smoke", {"bias": 0.1}, seeds=2)]
    [(0.1, 0), (0.1, 1)]
    """
    if seeds is not None and seeds < 1:
        raise InvalidInput(f"seeds = {seeds}: an experiment wants at least one seed")
    settings = {**experiment.scales[scale], **(overrides or {})}
    changed = {name: axis(experiment.config, name, value) for name, value in settings.items()}
    found: dict[bytes, Config] = {}
    for grid in experiment.sweep:
        axes = {**{name: list(values) for name, values in grid.items()}, **changed}
        axes["seed"] = axes.pop("seed", list(range(experiment.seeds[scale] if seeds is None else seeds)))
        for values in product(*axes.values()):
            config = experiment.config.build(dict(zip(axes, values, strict=True)))
            found.setdefault(canonical(config.non_default()), config)
    return list(found.values())


def axis(config: type[Config], name: str, value: Any) -> list[Any]:
    """The values that a setting gives a field: a list is an axis, unless the field itself holds a sequence.

    >>> class Net(Config):
    ...     widths: tuple[int, ...] = (64,)
    >>> axis(Net, "seed", [1, 2]), axis(Net, "widths", (8, 8)), axis(Net, "widths", [(8,), (8, 8)])
    ([1, 2], [(8, 8)], [(8,), (8, 8)])
    """
    kind = field_type(config, name)
    if isinstance(value, range | np.ndarray):
        value = list(value)
    several = isinstance(value, list | tuple)
    if several and _holds_a_sequence(kind):
        several = isinstance(value, list) and any(isinstance(part, list | tuple) for part in value)
    values = list(value) if several else [value]
    if not values:
        raise InvalidInput(f"{name} = []: an axis wants at least one value")
    return values


def by_experiment(study: Study, overrides: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Hand each override to the experiments that have the field; `experiment.field` names one of them.

    Raises `UnknownName` for a field that no experiment has, with the nearest name.
    """
    handed: dict[str, dict[str, Any]] = {name: {} for name in study.experiments}
    for name, value in overrides.items():
        first, _, rest = name.partition(".")
        if first in study.experiments and _has(study.experiments[first].config, rest):
            handed[first][rest] = value
            continue
        takers = [experiment for experiment in study.experiments.values() if _has(experiment.config, name)]
        if not takers:
            raise UnknownName("field", name, _fields(study, first))
        for experiment in takers:
            handed[experiment.name][name] = value
    return handed


def selected(experiment: Experiment, claim: Claim, configs: Sequence[Config]) -> list[Config]:
    """The configurations a claim is about: those whose fields have the values of its `select`."""
    wanted = {name: _values(experiment.config, claim, name, value) for name, value in claim.select.items()}
    return [config for config in configs if all(_get(config, name) in values for name, values in wanted.items())]


def controlled(configs: Iterable[Config], claim: Claim, settings: Mapping[str, Any]) -> list[Config]:
    """A control's configurations: those of its claim with the control's settings in place, each once."""
    found: dict[bytes, Config] = {}
    for config in configs:
        for name in settings:
            if not _has(type(config), name):
                raise UnknownName(f"field in a control of claim {claim.name!r}:", name, field_names(type(config)))
        changed = type(config).build({**config.flat(), **settings})
        found.setdefault(canonical(changed.non_default()), changed)
    return list(found.values())


def check_select(experiment: Experiment, claim: Claim) -> None:
    """Raise `InvalidInput` for a claim that selects nothing at any declared scale: a slip in the study.

    A claim that is empty only because of an override or a reduced scale is no slip; it is not covered by this run.
    """
    seeds = None if "seed" in claim.select else 1
    declared = [config for scale in experiment.seeds for config in members(experiment, scale, seeds=seeds)]
    if selected(experiment, claim, declared):
        return
    there = "; ".join(
        f"{name} is swept over {', '.join(dict.fromkeys(str(_get(config, name)) for config in declared))}"
        for name in claim.select
    )
    chosen = ", ".join(f"{name} = {value!r}" for name, value in claim.select.items())
    raise InvalidInput(
        f"claim {claim.name!r} selects {chosen}, which no scale of experiment {experiment.name!r} sweeps ({there}); "
        "change `select`, or add the values to the sweep"
    )


def _values(config: type[Config], claim: Claim, name: str, value: Any) -> list[Any]:
    adapter = TypeAdapter(field_type(config, name))
    try:
        return [adapter.validate_python(part) for part in axis(config, name, value)]
    except ValidationError as error:
        raise InvalidInput(f"claim {claim.name!r} selects {name} = {value!r}: {error.errors()[0]['msg']}") from None


def _get(config: Config, name: str) -> Any:
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _has(config: type[Config], name: str) -> bool:
    try:
        field_type(config, name)
    except UnknownName:
        return False
    return True


def _fields(study: Study, first: str) -> list[str]:
    if first in study.experiments:
        return [f"{first}.{name}" for name in field_names(study.experiments[first].config)]
    return sorted({name for experiment in study.experiments.values() for name in field_names(experiment.config)})


def _holds_a_sequence(kind: Any) -> bool:
    kinds = (kind, *get_args(kind))
    return any(part in (tuple, list) or get_origin(part) in (tuple, list) for part in kinds)
