"""A team of Ray actors: layers on several machines. Ray is installed by whoever wants it (`pip install ray`)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lemmata.errors import LemmataError
from lemmata.flows.flow import Flow
from lemmata.flows.parallel.scheme import Multigrid
from lemmata.flows.parallel.span import Span
from lemmata.flows.parallel.team import Team, WorkerLost


class RayMissing(LemmataError):
    """Ray is not installed."""


class OnRay(Team):
    """A team of Ray actors, each with `cpus` and `gpus` of the cluster to which `ray.init` has connected.

    Weights and states travel as Ray's objects; a worker's span and its graphs stay with it. Raises `RayMissing` where
    there is no Ray, `WorkerLost` where an actor dies.
    """

    def __init__(
        self, flow: Flow, *, scheme: Multigrid | None = None, processes: int = 2, cpus: float = 1, gpus: float = 0
    ):
        try:
            import ray  # type: ignore[import-not-found]
        except ImportError:
            raise RayMissing("a team on a cluster needs Ray, which is not installed; run `pip install ray`") from None
        super().__init__(flow, scheme=scheme, processes=processes)
        self._ray, self._boarded = ray, True
        actor = ray.remote(num_cpus=cpus, num_gpus=gpus)(Worker)
        field = ray.put(copy.deepcopy(flow.field).cpu())
        self._actors = [
            actor.remote(field, {"grid": flow.grid, "method": flow.method, "m": self.m, "first": a, "chunks": n})
            for a, n in self.spans
        ]

    def close(self) -> None:
        """End the actors; harmless if they are gone."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []

    def _bring_weights(self) -> None:
        state = self._ray.put({name: value.cpu() for name, value in self.flow.field.state_dict().items()})
        self._get([actor.take.remote(state) for actor in self._actors])

    def _relax(self, way: str, starts: Sequence[Tensor]) -> list[Tensor]:
        return self._ask(way, [{"C": start} for start in starts])

    def _ask(self, what: str, options: Sequence[dict[str, Any]]) -> list[Any]:
        if not self._actors:
            raise WorkerLost("the team is closed; make another")
        said = self._get([a.obey.remote(what, own) for a, own in zip(self._actors, options, strict=True)])
        self.messages += 2 * len(said)
        self._counts = [counts for _, counts in said]
        return [answer for answer, _ in said]

    def _get(self, promised: list[Any]) -> list[Any]:
        try:
            return self._ray.get(promised)
        except self._ray.exceptions.RayError as error:
            self.close()
            raise WorkerLost(f"an actor was lost: {type(error).__name__}: {error}") from error


class Worker:
    """What an actor does: obey one order at a time, on its GPU if it was given one."""

    def __init__(self, field: Any, span: dict[str, Any]):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.span = Span(copy.deepcopy(field).to(self.device), **span)

    def take(self, state: dict[str, Tensor]) -> None:
        """Take new weights."""
        self.span.field.load_state_dict(state)

    def obey(self, what: str, options: dict[str, Any]) -> tuple[Any, tuple[int, int]]:
        """Do what is asked; the answer, on the CPU, and the counts."""
        moved = {k: torch.tensor(v.numpy()).to(self.device) if isinstance(v, Tensor) else v for k, v in options.items()}
        answer = getattr(self.span, what)(**moved)
        return _home(answer), self.span.applied


def _home(answer: Any) -> Any:
    """Tensors on the CPU."""
    if isinstance(answer, Tensor):
        return answer.cpu()
    return [_home(part) for part in answer] if isinstance(answer, list | tuple) else answer
