"""What a store holds, as the plan sees it: member key -> trial key, with each member's cost and configuration."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple, Self

from lemmata.plan.trial import Member


class Known(NamedTuple):
    """What is known of one recorded member; `config` holds its values by dotted name."""

    trial: str
    namespace: str
    setting: str
    seconds: float
    config: Mapping[str, Any]


class Recorded(dict[str, str]):
    """Member key -> trial key. `known` has the rest by member key, `settings` every setting that was ever run.

    >>> "k0" in Recorded.of_keys(["k0"])
    True
    """

    def __init__(self, known: Mapping[str, Known]):
        super().__init__({key: member.trial for key, member in known.items()})
        self.known = dict(known)
        self.settings = {member.setting for member in known.values()}

    @classmethod
    def of_keys(cls, keys: Iterable[str]) -> Self:
        """Know the keys alone."""
        return cls({key: Known("", "", "", 0.0, {}) for key in keys})

    @classmethod
    def of(cls, keys: "Collection[str] | Recorded") -> "Recorded":
        """Take what is given, keys alone or the whole."""
        return keys if isinstance(keys, Recorded) else cls.of_keys(keys)

    def holds(self, member: Member) -> bool:
        """Whether a member is recorded, with the very values it asks for.

        Identity looks at non-default values, so a default that was changed since leaves the key as it was; the values
        recorded tell. A field that is new has no recorded value and changes nothing.
        """
        found = self.known.get(member.key)
        if found is None:
            return False
        asked = member.plain
        return all(asked[name] == value for name, value in found.config.items() if name in asked)
