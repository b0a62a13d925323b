"""Errors meant for people: each names what was wrong, the value, and the remedy; the command line prints them bare."""

from collections.abc import Iterable
from difflib import get_close_matches


class LemmataError(Exception):
    """Something a user can mend. The message says what was wrong, the value met, and what to do."""


class InvalidInput(LemmataError, ValueError):
    """A value that cannot be used: a wrong shape, a NaN, an empty split, a probability outside [0, 1]."""


class UnknownName(LemmataError, KeyError):
    """A name that nothing answers to; the message offers the nearest one."""

    def __init__(self, kind: str, name: object, known: Iterable[str]):
        names = sorted(known)
        near = get_close_matches(str(name), names, n=1, cutoff=0.5)
        offer = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
        self.message = f"unknown {kind} {name!r}; {offer}"
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class CorruptFile(LemmataError):
    """A file whose bytes are not what they claim to be; it is never believed."""


class DataMissing(LemmataError):
    """Data that is not on this machine; the message says where it was looked for and how to get it."""
