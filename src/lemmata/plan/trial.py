"""The units of a plan: a member is one configuration, a trial is a block of members run in one call."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lemmata.plan.key import canonical, trial_key
from lemmata.study.config import Config


@dataclass(frozen=True)
class Member:
    """One configuration of one experiment with its identity; see `lemmata.plan.key`."""

    experiment: str
    config: Config
    key: str
    setting: str = ""

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The configuration by dotted name, as plain JSON values: what a record keeps of it."""
        return self.config.plain()


@dataclass(frozen=True)
class Trial:
    """A block of members of one experiment that agree on every field but the vectorised ones.

    >>> Trial("coin", "main", (Member("main", Config(), "k0"),)).key[:8]
    'd1a5ac9a'
    """

    study: str
    experiment: str
    members: tuple[Member, ...]
    key: str = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "key", trial_key(member.key for member in self.members))


def group_of(plain: Mapping[str, Any], vectorised: Iterable[str]) -> bytes:
    """What the members of one block share: every field but the vectorised ones.

    >>> group_of({"seed": 3, "n": 50}, ["seed"])
    b'{"n":50}'
    """
    return canonical({name: value for name, value in plain.items() if name not in set(vectorised)})


def blocks(
    study: str, members: Sequence[Member], *, vectorised: Iterable[str], block: int | None = None
) -> list[Trial]:
    """Group the members of one experiment into trials of at most `block`, in the order of first appearance.

    >>> members = [Member("main", Config(seed=s), f"k{s}") for s in range(5)]
    >>> [len(trial.members) for trial in blocks("coin", members, vectorised=["seed"], block=2)]
    [2, 2, 1]
    """
    groups: dict[bytes, list[Member]] = {}
    for member in members:
        groups.setdefault(group_of(member.plain, vectorised), []).append(member)
    return [
        Trial(study, group[0].experiment, tuple(group[start : start + (block or len(group))]))
        for group in groups.values()
        for start in range(0, len(group), block or len(group))
    ]
