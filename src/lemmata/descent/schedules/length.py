"""How many steps are asked for: a whole number of any integer type, at least 1."""

import operator
from typing import SupportsIndex

from lemmata.errors import InvalidInput


def whole(n: SupportsIndex, name: str = "n") -> int:
    """Give n as an int. Raises `InvalidInput` for a fraction and for less than 1.

    >>> whole(3)
    3
    """
    try:
        count = operator.index(n)
    except TypeError:
        raise InvalidInput(f"{name} = {n!r}; it must be a whole number") from None
    if count < 1:
        raise InvalidInput(f"{name} = {count}; take at least 1")
    return count
