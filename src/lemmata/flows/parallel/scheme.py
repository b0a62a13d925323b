"""How layers are coarsened: factor, levels, relaxation, and the method on coarse levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lemmata.errors import InvalidInput
from lemmata.flows.methods import Method, method_of
from lemmata.flows.required import require_kind
from lemmata.given import require_number, require_whole

Relaxation = Literal["F", "FCF"]


@dataclass(frozen=True)
class Multigrid:
    """Every m-th point is a C-point and belongs to the next coarser level, of which there are `levels` in all.

    `m` is the coarsening factor. `relaxation` is "F" (each chunk of m steps from its C-point) or "FCF" (that, a step
    to each C-point, and again). `coarse_method` is the one-step method of the coarser levels, by default that of the
    finest; its steps are m, m^2, ... times as long. With two levels and "F" this is parareal.
    Raises `InvalidInput` for m below 2, fewer than 2 levels and an unknown relaxation.

    >>> Multigrid(m=4, levels=3).sizes(64)
    [64, 16, 4]
    """

    m: int = 8
    levels: int = 2
    relaxation: Relaxation = "FCF"
    coarse_method: str | Method | None = None

    def __post_init__(self):
        require_whole(self.m, "m", least=2)
        require_whole(self.levels, "levels", least=2)
        require_relaxation(self.relaxation)
        if self.coarse_method is not None:
            method_of(self.coarse_method)

    @property
    def sweeps(self) -> int:
        """Sweeps over the finest level in an iteration."""
        return 1 if self.relaxation == "F" else 2

    def sizes(self, steps: int) -> list[int]:
        """Give the number of steps on each level, finest first; refuses a number that m does not divide."""
        require_whole(steps, "steps")
        factor = self.m ** (self.levels - 1)
        if steps % factor:
            near = max(factor, round(steps / factor) * factor)
            raise InvalidInput(
                f"{self.levels} levels with m = {self.m} want a number of steps that {factor} divides, not {steps}; "
                f"take {near} steps, or another m"
            )
        return [steps // self.m**level for level in range(self.levels)]

    def exact_after(self, steps: int) -> int:
        """Iterations after which two levels give the serial solution but for rounding: N/m, with "FCF" N/(2m).

        >>> Multigrid(m=8, relaxation="F").exact_after(64), Multigrid(m=8).exact_after(64)
        (8, 4)
        """
        return -(-self.sizes(steps)[1] // self.sweeps)


def require_relaxation(value: object) -> str:
    """Give the name of a relaxation back."""
    if value not in ("F", "FCF"):
        raise InvalidInput(f"relaxation = {value!r}; take 'F' or 'FCF'")
    return str(value)


def scheme_of(scheme: Multigrid | None) -> Multigrid:
    """Give the scheme itself, or the default one for None."""
    return Multigrid() if scheme is None else require_kind(scheme, Multigrid, "scheme", "parallel.Multigrid(m=4)")


@dataclass(frozen=True)
class Stop:
    """When a solve ends: at the relative residual `tol`, at most after `iterations`; with `tol` None after so many."""

    tol: float | None
    iterations: int | None

    def __post_init__(self):
        if self.tol is not None and not require_number(self.tol, "tol") > 0:
            raise InvalidInput(
                f"tol = {self.tol}; give a relative residual above 0, or None and a number of iterations"
            )
        if self.tol is None and self.iterations is None:
            raise InvalidInput("neither tol nor iterations are given; give one, or both")
        if self.iterations is not None:
            require_whole(self.iterations, "iterations", least=0)

    def most(self, scheme: Multigrid, steps: int) -> int:
        """Iterations at most: where nothing is said, those after which two levels are exact."""
        return max(scheme.exact_after(steps), 1) if self.iterations is None else self.iterations
