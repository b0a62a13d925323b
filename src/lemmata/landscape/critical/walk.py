"""Many starts led to where they stop, together: who has arrived or can get no further leaves the batch.

A rule (`newton_mr`, `gradient_norm`, `trust_region`) proposes for the members that still go on. One that does not find
a better point *stalls*, and is left where it is: that may be a gradient-flat place as well as the floor of rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lemmata.landscape.critical.field import Field

Progress = Callable[[int, int], None]


@dataclass
class Moving:
    """The members that still go on: their numbers `rows` (m,), points (m, P), losses (m,) and gradients (m, P)."""

    rows: Tensor
    Y: Tensor
    loss: Tensor
    g: Tensor

    def at(self, mask: Tensor) -> "Moving":
        """Those chosen by a mask."""
        return Moving(self.rows[mask], self.Y[mask], self.loss[mask], self.g[mask])


class Rule(Protocol):
    """A method: it moves members in place and says which of them moved."""

    def step(self, moving: Moving) -> Tensor:
        """One step for every member; gives a mask (m,) of those that got further."""
        ...


@dataclass(frozen=True)
class Walk:
    """Where the members ended: points (M, P), losses (M,), gradients (M, P), steps (M,), and |g| at each step.

    `history` (M, T + 1) has NaN after a member's last step, T being the most steps that any member took; `stalled` (M,)
    tells who could get no further, as opposed to who arrived or ran out of steps; `interrupted`, that Ctrl-C came.
    """

    Y: Tensor
    loss: Tensor
    g: Tensor
    steps: Tensor
    stalled: Tensor
    history: Tensor
    interrupted: bool = False


def walk(
    rule: Rule, field: Field, Y: Tensor, *, steps: int, tolerance: float, progress: Progress | None = None
) -> Walk:
    """Lead the rows of Y (M, P) by `rule` until |g| <= `tolerance`, or it stalls, for at most `steps` steps."""
    M = len(Y)
    loss, g = field.value_and_gradient(Y)
    Y, taken = Y.clone(), torch.zeros(M, dtype=torch.long, device=Y.device)
    stalled = torch.zeros(M, dtype=torch.bool, device=Y.device)
    history, interrupted = [g.norm(dim=1)], False
    alive = Moving(torch.arange(M, device=Y.device), Y, loss, g).at(history[0] > tolerance)
    try:
        for done in range(steps):
            if not len(alive.rows):
                break
            moved = rule.step(alive)
            Y[alive.rows], loss[alive.rows], g[alive.rows] = alive.Y, alive.loss, alive.g
            taken[alive.rows[moved]] += 1
            stalled[alive.rows[~moved]] = True
            norm = alive.g.norm(dim=1)
            history.append(torch.full_like(history[0], torch.nan).index_copy(0, alive.rows[moved], norm[moved]))
            alive = alive.at(moved & (norm > tolerance))
            if progress is not None:
                progress(done + 1, steps)
    except KeyboardInterrupt:
        interrupted = True
    return Walk(Y, loss, g, taken, stalled, torch.stack(history, 1), interrupted)


def at_rest(field: Field, Y: Tensor) -> Walk:
    """The points Y (M, P) as they are, as a walk of no steps."""
    loss, g = field.value_and_gradient(Y)
    none = torch.zeros(len(Y), dtype=torch.long, device=Y.device)
    return Walk(Y, loss, g, none, none.bool(), g.norm(dim=1, keepdim=True))
