"""One experiment of a study: a configuration, what is swept, at which scales, and the trial function."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lemmata.errors import InvalidInput, UnknownName
from lemmata.study.claim import Claim
from lemmata.study.config import Config, field_type
from lemmata.study.kinds.component import Kind
from lemmata.study.measurements import Measurements

SCALES = ("smoke", "laptop", "paper")
Sweep = Mapping[str, Sequence[Any]]
TrialFunction = Callable[[Sequence[Any]], Sequence[Measurements]]
DEFAULT_SEEDS = {"smoke": 3, "laptop": 5, "paper": 5}


class Experiment:
    """Made by `Study.experiment`; see there."""

    def __init__(
        self,
        name: str,
        *,
        namespace: str,
        config: type[Config],
        sweep: Sweep | Sequence[Sweep] = (),
        seeds: Mapping[str, int] = DEFAULT_SEEDS,
        scales: Mapping[str, Mapping[str, Any]] | None = None,
        vectorised: Sequence[str] = ("seed",),
        block: int | None = None,
        data: Callable[[Any], str | None] | str | None = None,
    ):
        self.name = name
        self.namespace = namespace  # whose records these are: an extension shares those of the study it extends
        self.config = config
        self.sweep: tuple[Sweep, ...] = (sweep,) if isinstance(sweep, Mapping) else tuple(sweep) or ({},)
        self.seeds = dict(seeds)
        self.scales = {scale: dict(settings) for scale, settings in (scales or {}).items()}
        self.vectorised = tuple(vectorised)
        self.block = block
        self.data = data
        self.claims: list[Claim] = []
        self.base: Experiment | None = None  # what this one extends; claims taken over are about its sweep alone
        self.trial_function: TrialFunction | None = None
        self.theories: dict[str, Callable[..., Any]] = {}
        self.figures: list[Callable[..., Any]] = []
        self._check()

    def trial(self, function: TrialFunction) -> TrialFunction:
        """Decorator: the function that runs one block of configurations and gives one `Measurements` for each.

        The configurations of a block agree on every field but the `vectorised` ones.
        """
        self.trial_function = function
        return function

    def theory(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator: a function that predicts what is measured, kept by name for the study's own figures and claims."""
        self.theories[function.__name__] = function
        return function

    def figure(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator: a function from this experiment's table (a row a member) to a `lemmata.figures.Figure`.

        The table has a boolean column `control`; rows that only controls asked for are True.
        """
        self.figures.append(function)
        return function

    def claim(
        self,
        statement: str,
        *,
        where: str,
        kind: Kind | None = None,
        name: str = "",
        select: Mapping[str, Any] | None = None,
        paper: float | None = None,
        quoted: str = "",
        margin: float | None = None,
        within: tuple[float, float] | None = None,
        note: str = "",
        untestable: str = "",
    ) -> Claim:
        """Declare a claim about the records of this experiment.

        `where` is its place in the paper, `kind` the statistic (`lemmata.study.kinds`), `select` the fields whose
        values single out the configurations meant (a list allows several), `paper` the paper's number and `quoted`
        how the report prints it, `margin` or `within` the region in which the claim holds, from the paper.
        `untestable` names what cannot be had; such a claim has no kind.
        """
        if kind is None and not untestable:
            raise InvalidInput(f"claim {statement!r} wants a kind, or `untestable` with the reason")
        for field in select or {}:
            field_type(self.config, field)
        handle = name or re.sub(r"[^a-z0-9]+", "-", statement.lower()).strip("-")[:60]
        claim = Claim(
            name=handle, statement=statement, where=where, kind=kind, experiment=self.name, select=dict(select or {}),
            paper=paper, quoted=quoted, margin=margin, within=within, note=note, untestable=untestable,
        )  # fmt: skip
        self.claims.append(claim)
        return claim

    def declaring(self, claim: Claim) -> Experiment:
        """The experiment that a claim was declared for: this one, or one that it extends."""
        return self.base.declaring(claim) if self.base is not None and claim in self.base.claims else self

    def dataset(self, config: Config) -> str | None:
        """The name of the dataset a configuration reads, if any: its digest is part of a trial's identity."""
        return self.data(config) if callable(self.data) else self.data

    def _check(self) -> None:
        for grid in self.sweep:
            for field in grid:
                field_type(self.config, field)
        for field in self.vectorised:
            field_type(self.config, field)
        for scale in (*self.seeds, *self.scales):
            if scale not in SCALES:
                raise UnknownName("scale", scale, SCALES)
        for scale, n in self.seeds.items():
            if n < 1:
                raise InvalidInput(f"experiment {self.name!r}: seeds at scale {scale!r} = {n}; give at least one")
            self.scales.setdefault(scale, {})
        for scale, settings in self.scales.items():
            if scale not in self.seeds:
                raise InvalidInput(
                    f"experiment {self.name!r} has settings for scale {scale!r} and no number of seeds; "
                    f"add {scale!r} to `seeds`"
                )
            for field in settings:
                field_type(self.config, field)
        if self.block is not None and self.block < 1:
            raise InvalidInput(f"experiment {self.name!r}: block = {self.block}; a call takes at least one member")
