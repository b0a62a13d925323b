"""An exception of a trial in one line: what, and where in the study's own file."""

import traceback
from pathlib import Path

from lemmata.errors import LemmataError


def describe(error: BaseException, source: Path | None) -> str:
    """Say what was raised, and the innermost line of the study file on the way there.

    >>> describe(ValueError("too wide"), None)
    'ValueError: too wide'
    """
    told = str(error) if isinstance(error, LemmataError) else f"{type(error).__name__}: {error}"
    lines = [
        f"{frame.name!r} ({Path(frame.filename).name}, line {frame.lineno})"
        for frame in traceback.extract_tb(error.__traceback__)
        if source is not None and Path(frame.filename) == source
    ]
    return f"{told}; in {lines[-1]}" if lines else told
