"""A claim of a paper: a statement with its number and place, what is computed, a margin, and controls.

A control is a setting in which the claim must *fail*; the strongest control moves the predicted location. A claim
that passes on its control says nothing, and its verdict is *void*.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from lemmata.errors import InvalidInput
from lemmata.study.kinds.component import INF, Kind


@dataclass(frozen=True, kw_only=True)
class Control:
    """A setting in which the claim must come out refuted; `to` is where the predicted location must move to."""

    statement: str
    settings: Mapping[str, Any]
    to: float | None = None


@dataclass(kw_only=True)
class Claim:
    """Made by `Experiment.claim`; see there. `name` is its handle, unique in the study.

    `region` is the interval in which the statistic must lie: `within` if given, else paper +- margin.
    """

    name: str
    statement: str
    where: str
    kind: Kind | None
    experiment: str = ""
    select: Mapping[str, Any] = field(default_factory=dict)
    paper: float | None = None
    quoted: str = ""
    margin: float | None = None
    within: tuple[float, float] | None = None
    note: str = ""
    untestable: str = ""
    controls: list[Control] = field(default_factory=list)

    def __post_init__(self):
        if self.within is not None and self.margin is not None:
            raise InvalidInput(f"claim {self.name!r}: give `margin` or `within`, not both")
        if self.margin is not None and self.paper is None:
            raise InvalidInput(
                f"claim {self.name!r}: margin = {self.margin} lies around the paper's number; give `paper` too"
            )
        if self.margin is not None and not self.margin >= 0:
            raise InvalidInput(
                f"claim {self.name!r}: margin = {self.margin} is negative; write how far off is still right"
            )
        if self.within is not None and not self.within[0] <= self.within[1]:
            raise InvalidInput(f"claim {self.name!r}: within = {self.within} is empty; write (low, high)")

    @property
    def region(self) -> tuple[float, float]:
        """The interval of the statistic in which the claim holds."""
        return self.region_around(self.paper)

    def region_around(self, paper: float | None) -> tuple[float, float]:
        """The same interval with the paper's number replaced, as a control that moves the location does."""
        if self.within is not None:
            shift = 0.0 if paper is None or self.paper is None else paper - self.paper
            return self.within[0] + shift, self.within[1] + shift
        if paper is not None and self.margin is not None:
            return paper - self.margin, paper + self.margin
        return -INF, INF

    def control(
        self,
        statement: str,
        settings: Mapping[str, Any] | None = None,
        *,
        moves: str | None = None,
        to: float | None = None,
        **fields: Any,
    ) -> Self:
        """Declare a setting in which this claim must fail.

        `settings` (by dotted name) and `fields` replace fields of every configuration the claim is about. With `to`,
        the claim must hold there with its location moved to `to`; `moves` says in words what moves. Returns the claim,
        so that controls can be chained.
        """
        changed = {**(settings or {}), **fields}
        if not changed:
            raise InvalidInput(f"control {statement!r} of claim {self.name!r} changes nothing; name a field")
        words = f"{statement} ({moves} moves to {to:g})" if moves and to is not None else statement
        self.controls.append(Control(statement=words, settings=changed, to=to))
        return self
