"""A study: a paper, a question, experiments, claims, figures. Declarations only; nothing runs here.

A study with one experiment declares it in the constructor and uses `study.trial`, `study.claim`, `study.figure`; a
study with several makes each by `study.experiment(...)`, which has the same methods.
"""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self

from lemmata.errors import InvalidInput, UnknownName
from lemmata.study.claim import Claim
from lemmata.study.config import Config
from lemmata.study.experiment import Experiment, Sweep, TrialFunction
from lemmata.study.paper import Paper


class Study:
    """One paper put to the test.

    >>> from lemmata.study.kinds import value
    >>> class Coin(Config):
    ...     bias: float = 0.5
    >>> study = Study("coin", title="Coins", question="Is it fair?", config=Coin, sweep={"bias": [0.5]})
    >>> claim = study.claim("heads half of the time", where="folklore", kind=value(of="heads"), paper=0.5, margin=0.1)
    >>> study.experiments["main"].config.__name__, claim.region
    ('Coin', (0.4, 0.6))
    """

    def __init__(
        self,
        name: str,
        *,
        question: str,
        topic: str = "",
        title: str = "",
        paper: Paper | None = None,
        config: type[Config] | None = None,
        notes: str = "",
        **experiment: Any,
    ):
        self.name = name
        self.title = title or (paper.title if paper else name)
        self.question = question
        self.topic = topic
        self.paper = paper
        self.notes = notes
        self.extends: Study | None = None
        self.experiments: dict[str, Experiment] = {}
        self.source = _caller_file()
        if config is not None:
            self.experiment("main", config=config, **experiment)
        elif experiment:
            raise InvalidInput(
                f"study {name!r}: {', '.join(experiment)} want a `config`, or go to study.experiment(...)"
            )

    def experiment(self, name: str, *, config: type[Config], **options: Any) -> Experiment:
        """Add an experiment.

        Options: `sweep` (field -> values, a grid; or a list of grids, their union), `seeds` (scale -> number of
        seeds; names the scales there are), `scales` (scale -> field -> value, or list of values that replaces an
        axis), `vectorised` (fields that may differ inside one call of the trial function), `block` (the most members
        in one call), `data` (the dataset's name, or a function of the config that gives it).
        """
        if name in self.experiments:
            raise InvalidInput(f"study {self.name!r} has an experiment {name!r} already; choose another name")
        made = Experiment(name, namespace=f"{self.name}/{name}", config=config, **options)
        self.experiments[name] = made
        return made

    @property
    def claims(self) -> list[Claim]:
        """The claims of all experiments, in the order of declaration within each."""
        return [claim for experiment in self.experiments.values() for claim in experiment.claims]

    @property
    def scales(self) -> list[str]:
        """The scales that some experiment declares."""
        return list(dict.fromkeys(scale for e in self.experiments.values() for scale in e.seeds))

    def trial(self, function: TrialFunction) -> TrialFunction:
        """Decorator for the trial function of the only experiment; see `Experiment.trial`."""
        return self._only.trial(function)

    def theory(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator for a prediction of the only experiment; see `Experiment.theory`."""
        return self._only.theory(function)

    def figure(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator for a figure of the only experiment; see `Experiment.figure`."""
        return self._only.figure(function)

    def claim(self, statement: str, **options: Any) -> Claim:
        """Declare a claim about the only experiment; see `Experiment.claim`."""
        return self._only.claim(statement, **options)

    def extend(self, name: str, *, question: str, sweep: Mapping[str, Sweep | Sequence[Sweep]] | Sweep) -> Self:
        """A new study that has this one's experiments, claims and records, and configurations of its own besides.

        `sweep` is a grid for the only experiment, or experiment name -> grid(s). Trials that this study has already
        run are not run again: both studies share them. New claims and figures go to the new study.
        """
        extension = type(self)(name, question=question, topic=self.topic, title=self.title, paper=self.paper)
        extension.source, extension.extends = _caller_file(), self
        grids: Mapping[str, Any] = sweep if set(sweep) <= set(self.experiments) else {self._only.name: sweep}
        for own in self.experiments.values():
            added = grids.get(own.name, ())
            added = (added,) if isinstance(added, Mapping) else tuple(added)
            twin = Experiment(
                own.name, namespace=own.namespace, config=own.config, sweep=(*own.sweep, *added), seeds=own.seeds,
                scales=own.scales, vectorised=own.vectorised, block=own.block, data=own.data,
            )  # fmt: skip
            twin.base = own
            twin.trial_function, twin.theories = own.trial_function, dict(own.theories)
            twin.claims, twin.figures = list(own.claims), list(own.figures)
            extension.experiments[own.name] = twin
        return extension

    def restricted(self, names: Collection[str], note: str = "") -> Self:
        """The same study with only the experiments named; `note` is added to its notes. Raises `UnknownName`."""
        for name in names:
            if name not in self.experiments:
                raise UnknownName("experiment", name, self.experiments)
        part = copy(self)
        part.experiments = {name: e for name, e in self.experiments.items() if name in names}
        part.notes = " ".join(text for text in (self.notes, note) if text)
        return part

    def find_claim(self, name: str) -> Claim:
        """The claim of this name; raises `UnknownName`."""
        for claim in self.claims:
            if claim.name == name:
                return claim
        raise UnknownName("claim", name, [claim.name for claim in self.claims])

    @property
    def _only(self) -> Experiment:
        if len(self.experiments) != 1:
            names = ", ".join(self.experiments) or "none yet"
            raise InvalidInput(
                f"study {self.name!r} has not exactly one experiment ({names}); use experiment.claim(...)"
            )
        return next(iter(self.experiments.values()))


def _caller_file() -> Path | None:
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    path = Path(frame.f_code.co_filename) if frame else None
    return path.resolve() if path and path.is_file() else None
