"""What a procedure for a lower bound of a probability is: when it looks at the tosses, and what is proven by then.

A `Procedure` says after how many tosses it looks (`looks`, the last of them `n`) and with which probability `alpha`,
at most, anything it proves of one coin is false. Its `Progress` holds N coins at once. Whoever draws the tosses
brings each coin from look to look and stops when `Progress.look` says that it is done:

    progress = procedure.start(selected, n0)
    for k, samples in enumerate(procedure.looks):
        toss the active coins up to `samples` tosses each
        done = progress.look(k, active, hits)
        active = active[~done]

The n0 selection tosses, of which `selected` were hits, told which side of the coin to bet on. They may inform how a
procedure spends its effort, and are never evidence: what chose a hypothesis cannot also prove it.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

IntArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]


@runtime_checkable
class Progress(Protocol):
    """Where N coins stand. `lower` (N,) is the proven lower bound of each probability so far, 0 where there is none.

    For decisions at thresholds it is the largest threshold that was accepted.
    """

    lower: FloatArray

    def look(self, k: int, active: IntArray, hits: IntArray) -> BoolArray:
        """Look at the coins `active` (m,), each tossed looks[k] times with `hits` (m,) hits: (m,), which are done.

        A coin that is done is not looked at again; at the last look every coin is done. Looks come in order, and
        `hits` are whole numbers from 0 to looks[k] that never fall from look to look: none of this is checked, since a
        look is to cost a comparison, and what breaks it breaks the guarantee.
        """
        ...


@runtime_checkable
class Procedure(Protocol):
    """A rule for a one-sided lower bound: at most `n` tosses a coin, false with probability at most `alpha`."""

    n: int
    alpha: float
    looks: IntArray

    def start(self, selected: IntArray, n0: int) -> Progress:
        """Begin with N coins, of whose n0 selection tosses `selected` (N,) were hits."""
        ...
