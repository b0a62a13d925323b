"""A span of layers: some chunks of the finest level, relaxed forwards and backwards in one process."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lemmata.flows.field import VectorField
from lemmata.flows.grid import Grid
from lemmata.flows.methods import Method
from lemmata.flows.parallel.chain import Steps, Transposed
from lemmata.flows.parallel.cycle import all_points, relax


class Span:
    """The chunks `first`, ..., `first + chunks - 1`, of m fine steps each, of a field on a grid.

    It is loaded with the field's weights of the day, then relaxed; what the last relaxation visited is kept, since the
    adjoint is linearised there and the gradient is taken from it. `applied` counts steps, forwards and backwards.
    """

    def __init__(self, field: VectorField, grid: Grid, method: Method, m: int, *, first: int, chunks: int):
        self.field, self.grid, self.method, self.m = field, grid, method, m
        self.first, self.chunks = first, chunks
        self.steps: Steps | None = None
        self.adjoint: Transposed | None = None

    @classmethod
    def whole(cls, field: VectorField, grid: Grid, method: Method, m: int) -> Span:
        """All chunks."""
        return cls(field, grid, method, m, first=0, chunks=grid.steps // m)

    def load(self, *, pair: bool, graph: bool, trained: Sequence[bool] | None = None) -> None:
        """Take the weights that the field has now; with `graph` gradients can be pulled back to it.

        A span whose field is a copy of another is told which parameters that one has `trained`.
        """
        for parameter, own in zip(self.field.parameters(), trained or (), strict=trained is not None):
            parameter.requires_grad_(own)
        first, steps = self.first * self.m, self.chunks * self.m
        self.steps = Steps(
            self.field, self.grid, self.method, first=first, every=1, steps=steps, pair=pair, graph=graph
        )
        self.adjoint, self._forwards, self._backwards = None, [], []

    def forwards(self, C: Tensor) -> Tensor:
        """Relax from the chunks' starts (chunks, ...): their ends."""
        with torch.no_grad():
            self._forwards = relax(self._loaded, C, self.m)
        return self._forwards[-1]

    def states(self) -> Tensor:
        """What the last relaxation visited, (chunks * m + 1, ...)."""
        return all_points(self._forwards, self._forwards[-1][-1])

    def linearise(self) -> None:
        """Hold the states of the last relaxation for the adjoint."""
        self.adjoint = Transposed(self._loaded, self.states()[:-1])

    def backwards(self, C: Tensor) -> Tensor:
        """Relax adjoint states from the chunks' ends (chunks, ...), last chunk first: those at their starts."""
        assert self.adjoint is not None
        self._backwards = relax(self.adjoint, C, self.m)
        return self._backwards[-1]

    def gradient(self) -> Sequence[Tensor | None]:
        """The gradient of the field's parameters by these layers, at the last relaxations of either direction."""
        assert self.adjoint is not None
        end = [self._backwards[self.m - 1 - i].flip(0) for i in range(self.m)]
        return self._loaded.pull(self.adjoint.cotangents(self.m, end))

    @property
    def applied(self) -> tuple[int, int]:
        """Steps applied since the weights were loaded, forwards and backwards."""
        return self._loaded.applied, 0 if self.adjoint is None else self.adjoint.applied

    @property
    def _loaded(self) -> Steps:
        assert self.steps is not None
        return self.steps
