"""When to measure: rules that choose epochs out of 0 (before training), 1, ..., E (after the last)."""

from collections.abc import Callable, Iterable

import numpy as np

Epochs = Callable[[int], list[int]]
"""Takes the number of epochs E, gives increasing epochs between 0 and E."""


def every_epoch(epochs: int) -> list[int]:
    """Measure after every epoch.

    >>> every_epoch(3)
    [1, 2, 3]
    """
    return list(range(1, epochs + 1))


def last_epoch(epochs: int) -> list[int]:
    """Measure once, at the end.

    >>> last_epoch(30)
    [30]
    """
    return [epochs]


def every(period: int) -> Epochs:
    """Measure after each `period` epochs, and at the end.

    >>> every(10)(25)
    [10, 20, 25]
    """
    return lambda epochs: sorted({*range(period, epochs + 1, period), epochs})


def log_epochs(count: int) -> Epochs:
    """Measure at about `count` epochs, evenly spaced in their logarithm, first and last included.

    >>> log_epochs(5)(1000)
    [1, 6, 32, 178, 1000]
    """
    return lambda epochs: sorted({round(float(e)) for e in np.geomspace(1, epochs, count)})


def epochs_at(chosen: Iterable[int]) -> Epochs:
    """Measure at the chosen epochs; 0 is before training. Epochs beyond the last are left out.

    >>> epochs_at([0, 1, 5, 50])(10)
    [0, 1, 5]
    """
    chosen = sorted(set(chosen))
    return lambda epochs: [epoch for epoch in chosen if 0 <= epoch <= epochs]
