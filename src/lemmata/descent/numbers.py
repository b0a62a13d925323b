"""What counts as a number that an argument can be."""

from __future__ import annotations

import math
from typing import Any


def is_positive(number: Any) -> bool:
    """Whether this is one positive and finite number; text and None are none.

    >>> is_positive(0.5), is_positive(float("nan")), is_positive("1"), is_positive(None)
    (True, False, False, False)
    """
    if isinstance(number, str | bytes):
        return False
    try:
        return 0 < float(number) < math.inf
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return False
