"""Solve for all layers at once by multigrid in layers (MGRIT; Falgout et al. 2014, Guenther et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.estimate import NotConverged
from lemmata.flows.field import State, VectorField, as_field
from lemmata.flows.grid import Grid
from lemmata.flows.integrate import grid_of
from lemmata.flows.methods import Method, method_of
from lemmata.flows.parallel.chain import Steps, Transposed, packed, unpacked
from lemmata.flows.parallel.cycle import Cycle
from lemmata.flows.parallel.scheme import Multigrid, Stop, scheme_of
from lemmata.flows.parallel.solution import Solution
from lemmata.flows.parallel.span import Span
from lemmata.flows.state import finite, require_state
from lemmata.given import require_tensor

Keep = Literal["C", "all"]


def mgrit(
    field: object, y0: State, *, steps: int, T: float | None = None, method: str | Method = "rk4",
    scheme: Multigrid | None = None, tol: float | None = 1e-6, iterations: int | None = None,
    guess: State | None = None, keep: Keep = "C", team: Any = None,
) -> Solution:  # fmt: skip
    """Integrate y' = f(t, y) from y(0) = y0 over all layers at once, iterating until the residual is `tol`.

    The residual is the norm of the jumps between the ends of chunks of m layers and the next C-points, relative to the
    norm of the states at C-points in the first guess. That is a run over the coarsest level, or `guess` (N/m + 1, ...),
    the states of an earlier solution. With `tol` None exactly `iterations` are done; otherwise at most so many, by
    default the number after which two levels are exact. `keep` says whether the states at the C-points or all are
    wanted. A `team` of processes relaxes the finest level; without one all chunks are relaxed in one batched call.

    The states are no function of the weights for automatic differentiation; `gradient` gives derivatives.
    Cost of an iteration: one relaxation over N layers ("FCF": two), which is parallel over N/m chunks, and on coarser
    levels about 2N/m steps. Raises `InvalidInput` for steps that m does not divide and states of another shape,
    `NotConverged` where the tolerance is not reached, with the solution as `best`.

    >>> class Decay(torch.nn.Module):
    ...     def forward(self, t, y):
    ...         return -y
    >>> run = mgrit(Decay(), torch.ones(1, 1, dtype=torch.float64), steps=64, T=1.0, tol=1e-12)
    >>> f"{run.final.item():.6f}", run.iterations
    ('0.367879', 1)
    """
    own, chosen = as_field(field), method_of(method)
    grid = grid_of(own, T, steps)
    chosen.suit(own)
    require_state(y0, own)
    if keep not in ("C", "all"):
        raise InvalidInput(f"keep = {keep!r}; take 'C' for the states at C-points or 'all'")
    solver = Layers(own, grid, chosen, scheme_of(scheme), team)
    start = None if guess is None else packed_states(guess)
    return solver.forwards(y0, Stop(tol, iterations), guess=start, keep=keep)


class Layers:
    """The levels of one field with its weights of the day: solved forwards, then, at those states, backwards."""

    def __init__(self, field: VectorField, grid: Grid, method: Method, scheme: Multigrid, team: Any = None):
        self.field, self.grid, self.method, self.scheme = field, grid, method, scheme
        self.sizes = scheme.sizes(grid.steps)
        self.coarse_method = method_of(scheme.coarse_method) if scheme.coarse_method else method
        self.coarse_method.suit(field)
        self.stages = (method.stages, *[self.coarse_method.stages] * (scheme.levels - 1))
        team = team_of(team)
        self.fine = team if team is not None else Span.whole(field, grid, method, scheme.m)
        if team is not None:
            team.suit(field, grid, method, scheme.m)

    def forwards(
        self, y0: State, stop: Stop, *, guess: Tensor | None = None, keep: Keep = "C", graph: bool = False
    ) -> Solution:
        """Solve for the states."""
        self.pair = isinstance(y0, tuple)
        start = packed(y0).detach()
        if finite(start) is False:
            raise InvalidInput("y0 holds a NaN or an infinite number; give finite states")
        self.fine.load(pair=self.pair, graph=graph)
        self.coarse = [
            Steps(
                self.field, self.grid, self.coarse_method, first=0, every=self.grid.steps // size, steps=size,
                pair=self.pair,
            )
            for size in self.sizes[1:]
        ]  # fmt: skip
        with torch.no_grad():
            cycle = Cycle(self.coarse, self.scheme)
            C, E, residuals = self._iterate(cycle, self.fine.forwards, start, guess, stop)
        self.C = torch.cat([C[:-1], E[-1:]])
        points = self.C if keep == "C" else self.fine.states()
        return self._solution(points, E[-1], residuals, cycle, stop)

    def backwards(self, end: State, stop: Stop, *, guess: Tensor | None = None) -> Solution:
        """Solve for the adjoint states at the states of the last `forwards`, from that at T, `end`.

        `guess` is in time's order, as `states` is.
        """
        self.fine.linearise()
        chains, points = [], self.C
        for level, chain in enumerate(self.coarse):
            chains.append(Transposed(chain, points[:: self.scheme.m**level][:-1]))
        cycle, first = Cycle(chains, self.scheme), None if guess is None else guess.flip(0)
        C, E, residuals = self._iterate(cycle, self.fine.backwards, packed(end).detach(), first, stop)
        points = torch.cat([C[:-1], E[-1:]]).flip(0)
        return self._solution(points, E[-1], residuals, cycle, stop, back=True)

    def _iterate(
        self, cycle: Cycle, fine: Callable[[Tensor], Tensor], start: Tensor, guess: Tensor | None, stop: Stop
    ) -> tuple[Tensor, Tensor, list[float]]:
        """Iterate to the tolerance: the states at C-points, the ends of their chunks, and the relative residuals."""
        most, tol = stop.most(self.scheme, self.grid.steps), stop.tol or 0.0
        C = cycle.guess(start) if guess is None else _at_start(guess, start, self.sizes[1])
        E = fine(C[:-1])
        scale = _norm(C) or 1.0
        residuals = [_norm(E - C[1:]) / scale]
        while len(residuals) <= most and not residuals[-1] <= tol:
            for _ in range(self.scheme.sweeps - 1):
                C = torch.cat([C[:1], E])
                E = fine(C[:-1])
            C = cycle.correct(C, E)
            E = fine(C[:-1])
            residuals.append(_norm(E - C[1:]) / scale)
            if not residuals[-1] < float("inf"):
                break
        return C, E, residuals

    def _solution(
        self, points: Tensor, final: Tensor, residuals: list[float], cycle: Cycle, stop: Stop, *, back: bool = False
    ) -> Solution:
        """Put a solution together; refuse it if it did not reach the tolerance that was asked for."""
        found = Solution(
            states=unpacked(points, self.pair, 1), final=unpacked(final, self.pair),
            residuals=tuple(residuals), rounding=torch.finfo(final.dtype).eps,
            steps=(self.fine.applied[back], *cycle.applied), stages=self.stages, serial=self.grid.steps,
            scheme=self.scheme, tol=stop.tol, name="adjoint" if back else "forward",
        )  # fmt: skip
        if found.tol is None or found.converged:
            return found
        raise NotConverged(
            f"multigrid in layers ({found.name}) after {found.iterations} iterations", best=found,
            residual=found.residuals[-1], tolerance=found.tol,
            remedy="take a smaller m, a coarse method that is stable at the longer step, or more iterations",
        )  # fmt: skip


def packed_states(states: State) -> Tensor:
    """Give the states of a solution as one tensor (points, ...)."""
    if isinstance(states, tuple) and states:
        first, *others = (require_tensor(part, "guess") for part in states)
        if any(part.shape != first.shape for part in others):
            raise InvalidInput("guess: the parts of a pair differ in shape; give the states of an earlier solution")
        return torch.stack(states, 1)
    return require_tensor(states, "guess")


def team_of(team: Any) -> Any:
    """Give a team of processes back, or None."""
    if team is not None and not all(callable(getattr(team, name, None)) for name in ("suit", "load", "forwards")):
        raise InvalidInput(f"team: a {type(team).__name__}; give a parallel.Processes(flow, ...), or leave it out")
    return team


def _at_start(guess: Tensor, start: Tensor, chunks: int) -> Tensor:
    """The guess, beginning as the problem does."""
    if guess.shape != (chunks + 1, *start.shape):
        wanted = (chunks + 1, *start.shape)
        raise InvalidInput(f"guess is of shape {tuple(guess.shape)}; the states at C-points are {wanted}")
    return torch.cat([start[None], guess[1:].to(start)])


def _norm(x: Tensor) -> float:
    """The norm of the numbers, in float64 so that none over- or underflows."""
    return float(torch.linalg.vector_norm(x, dtype=torch.float64 if x.dtype.is_floating_point else None))
