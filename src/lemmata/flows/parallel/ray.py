"""A team of Ray actors: layers on several machines. Ray is installed by whoever wants it (`pip install lemmata[ray]`).

Ray starts its workers with a niceness of 15. On a machine that is busy with other work they may never get to run, and a
team waits for them in vain: `RAY_worker_niceness=0` in the environment, before `ray.init`, gives them their share.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, LemmataError
from lemmata.flows.flow import Flow
from lemmata.flows.parallel.scheme import Multigrid
from lemmata.flows.parallel.span import Span
from lemmata.flows.parallel.team import Team, WorkerLost
from lemmata.given import require_number


class RayMissing(LemmataError):
    """Ray is not installed."""


class OnRay(Team):
    """A team of Ray actors, each with `cpus` and `gpus` of the cluster to which `ray.init` has connected.

    Weights and states travel as Ray's objects; a worker's span and its graphs stay with it. Raises `RayMissing` where
    there is no Ray, `WorkerLost` where an actor dies, or where not all of them have started within `patience` seconds:
    Ray itself waits for ever for CPUs that a cluster does not have.
    """

    def __init__(
        self, flow: Flow, *, scheme: Multigrid | None = None, processes: int = 2, cpus: float = 1, gpus: float = 0,
        patience: float = 300.0,
    ):  # fmt: skip
        for name, value in (("cpus", cpus), ("gpus", gpus), ("patience", patience)):
            if not 0 <= require_number(value, name) < math.inf:
                raise InvalidInput(f"{name} = {value}; give a finite number, 0 or more")
        super().__init__(flow, scheme=scheme, processes=processes)
        try:
            import ray  # type: ignore[import-not-found]
        except ImportError:
            raise RayMissing(
                "a team on a cluster needs Ray, which is not installed; run `pip install lemmata[ray]`"
            ) from None
        self._ray = ray
        actor = ray.remote(num_cpus=cpus, num_gpus=gpus)(Worker)
        field = ray.put(copy.deepcopy(flow.field).cpu())
        self._actors = [
            actor.remote(field, {"grid": flow.grid, "method": flow.method, "m": self.m, "first": a, "chunks": n})
            for a, n in self.spans
        ]
        self._get([a.ready.remote() for a in self._actors], patience)

    def close(self) -> None:
        """End the actors; harmless if they are gone."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []

    def _bring_weights(self) -> None:
        tensors = (*self.flow.field.parameters(), *self.flow.field.buffers())
        brought = self._ray.put([tensor.detach().cpu() for tensor in tensors])
        self._get([actor.take.remote(brought) for actor in self._open()])

    def _relax(self, way: str, starts: Sequence[Tensor]) -> list[Tensor]:
        device = starts[0].device
        return [end.to(device) for end in self._ask(way, [{"C": start.cpu()} for start in starts])]

    def _ask(self, what: str, options: Sequence[dict[str, Any]]) -> list[Any]:
        said = self._get([a.obey.remote(what, own) for a, own in zip(self._open(), options, strict=True)])
        self.messages += 2 * len(said)
        self._counts = [counts for _, counts in said]
        return [answer for answer, _ in said]

    def _open(self) -> list[Any]:
        if not self._actors:
            raise WorkerLost("the team is closed; make another")
        return self._actors

    def _get(self, promised: list[Any], patience: float | None = None) -> list[Any]:
        try:
            return self._ray.get(promised, timeout=patience)
        except self._ray.exceptions.GetTimeoutError:
            self.close()
            raise WorkerLost(
                f"the cluster has not started {len(promised)} actors in {patience:g} s; its resources are "
                f"{self._ray.cluster_resources()}: give more of them, ask for fewer cpus or gpus, wait longer, or on a "
                f"busy machine set RAY_worker_niceness=0 before ray.init"
            ) from None
        except self._ray.exceptions.RayError as error:
            self.close()
            raise WorkerLost(f"an actor was lost: {type(error).__name__}: {error}") from error


class Worker:
    """What an actor does: obey one order at a time, on its GPU if it was given one."""

    def __init__(self, field: Any, span: dict[str, Any]):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.span = Span(copy.deepcopy(field).to(self.device), **span)

    def ready(self) -> bool:
        """Answer that it has started."""
        return True

    def take(self, tensors: Sequence[Tensor]) -> None:
        """Take new weights."""
        field = self.span.field
        with torch.no_grad():
            for own, given in zip((*field.parameters(), *field.buffers()), tensors, strict=True):
                own.copy_(given)

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
