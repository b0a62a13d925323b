"""A team: the finest level's layers divided into spans, each owned by a worker that lives on between solves.

The chunks' starts go to the workers, their ends come back; layers, states inside chunks and what is linearised stay
where they are. Coarse levels are solved by whoever asks. How tensors travel is a subclass's business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, LemmataError
from lemmata.flows.field import VectorField
from lemmata.flows.flow import Flow, require_flow
from lemmata.flows.grid import Grid
from lemmata.flows.methods import Method
from lemmata.flows.parallel.scheme import Multigrid, scheme_of
from lemmata.given import require_whole


class WorkerLost(LemmataError):
    """A worker ended or failed in the midst of a solve; the message says how."""


class Team(ABC):
    """`processes` workers for the layers of one flow, coarsened as `scheme` says; a context manager.

    It takes the place of the finest level in `mgrit`, `gradient` and `LayerParallel`, as `team=`. The field is copied
    to the workers; each solve brings its weights up to date, and which of them are trained. `spans` holds each worker's
    first chunk and number of chunks, `messages` counts what went to and fro.
    """

    def __init__(self, flow: Flow, *, scheme: Multigrid | None = None, processes: int = 2):
        own = scheme_of(scheme)
        self.flow, self.m = require_flow(flow), own.m
        chunks = own.sizes(flow.grid.steps)[1]
        if require_whole(processes, "processes") > chunks:
            raise InvalidInput(f"{processes} processes share {chunks} chunks of layers; take at most {chunks}")
        edges = [chunks * p // processes for p in range(processes + 1)]
        self.spans = [(a, b - a) for a, b in pairwise(edges)]
        self._kinds = kinds_of(flow.field)
        self.ticket = 0
        self.messages = 0
        self._counts = [(0, 0)] * processes

    def suit(self, field: VectorField, grid: Grid, method: Method, m: int) -> None:
        """Refuse layers that are not this team's."""
        own = (self.flow.field, self.flow.grid, self.flow.method, self.m)
        if not (field is own[0] and (grid, method, m) == own[1:]):
            raise InvalidInput(
                f"the team was made for another flow or coarsening ({grid.steps} steps, m = {m}, here "
                f"{self.flow.grid.steps} steps, m = {self.m}); make one for this"
            )

    def load(self, *, pair: bool, graph: bool) -> None:
        """Take the weights that the field has now; refuses a field whose weights are others than it was made with."""
        now = kinds_of(self.flow.field)
        if now != self._kinds:
            changed = sorted({name for name, *_ in set(now) ^ set(self._kinds)})
            raise InvalidInput(
                f"the field's weights {', '.join(changed)} are of other names, shapes or dtypes than those that the "
                f"team was made with; make another team"
            )
        self.ticket += 1
        self._bring_weights()
        trained = [p.requires_grad for p in self.flow.field.parameters()]
        self._ask("load", [{"pair": pair, "graph": graph, "trained": trained}] * len(self.spans))

    def forwards(self, C: Tensor) -> Tensor:
        """Relax from the chunks' starts: their ends."""
        return torch.cat(self._relax("forwards", [C[a : a + n] for a, n in self.spans]))

    def backwards(self, C: Tensor) -> Tensor:
        """Relax adjoint states from the chunks' ends, last chunk first: those at their starts."""
        total = len(C)
        parts = [C[total - a - n : total - a] for a, n in self.spans]
        return torch.cat(self._relax("backwards", parts)[::-1])

    def linearise(self) -> None:
        """Hold the states of the last relaxation for the adjoint."""
        self._ask("linearise", [{}] * len(self.spans))

    def states(self) -> Tensor:
        """What the last relaxation visited, at all points."""
        parts = self._ask("states", [{}] * len(self.spans))
        return torch.cat([*(part[:-1] for part in parts), parts[-1][-1:]])

    def gradient(self) -> Sequence[Tensor | None]:
        """The gradient of the field's parameters: the sum of the spans'."""
        found = self._ask("gradient", [{}] * len(self.spans))
        summed = []
        for parts in zip(*found, strict=True):
            there = [part for part in parts if part is not None]
            summed.append(torch.stack(there).sum(0) if there else None)
        return summed

    @property
    def applied(self) -> tuple[int, int]:
        """Steps applied since the weights were loaded, forwards and backwards, by all workers."""
        return sum(ahead for ahead, _ in self._counts), sum(back for _, back in self._counts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """End the workers."""

    @abstractmethod
    def _bring_weights(self) -> None:
        """Let the workers' fields have the field's weights."""

    @abstractmethod
    def _relax(self, way: str, starts: Sequence[Tensor]) -> list[Tensor]:
        """Let each worker relax from its starts; give the ends, and count."""

    @abstractmethod
    def _ask(self, what: str, options: Sequence[dict[str, Any]]) -> list[Any]:
        """Let each worker do something else; give what they answer, and count."""


def kinds_of(field: VectorField) -> list[tuple[str, torch.Size, torch.dtype]]:
    """Name, shape and dtype of all parameters and buffers."""
    tensors = (*field.named_parameters(), *field.named_buffers())
    return [(name, tensor.shape, tensor.dtype) for name, tensor in tensors]
