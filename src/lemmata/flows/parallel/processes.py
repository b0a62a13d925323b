"""A team of processes on one machine, which exchange states through shared memory.

Workers are forked from a server that has loaded torch and nothing else, where the system has such (a fresh Python each
elsewhere). They wait for orders at a pipe, which costs nothing. Ctrl-C reaches the parent alone, which ends them; when
the parent dies, the pipes close and they end. A worker that dies is missed at once.
"""

from __future__ import annotations

import copy
import signal
import weakref
from collections.abc import Sequence
from multiprocessing import get_all_start_methods
from multiprocessing.connection import Connection, wait
from typing import Any

import torch
from torch import Tensor
from torch import multiprocessing as torch_multiprocessing

from lemmata.errors import InvalidInput
from lemmata.flows.flow import Flow
from lemmata.flows.parallel.scheme import Multigrid
from lemmata.flows.parallel.span import Span
from lemmata.flows.parallel.team import Team, WorkerLost
from lemmata.given import require_whole


class Processes(Team):
    """A team of processes on this machine, with `threads` threads each; the states are exchanged in shared memory.

    The field must be one that pickle takes (no lambdas), on the CPU; a script makes its team under
    `if __name__ == "__main__":`. After an error or Ctrl-C in a solve the team is closed.

    >>> from lemmata import flows
    >>> from lemmata.flows.parallel import mgrit
    >>> flow = flows.Flow(flows.Plain(2, flows.PiecewiseConstant(16)), steps=16)
    >>> with Processes(flow, processes=2, scheme=Multigrid(m=4)) as team:
    ...     found = mgrit(flow.field, torch.ones(3, 2), steps=16, scheme=Multigrid(m=4), team=team)
    >>> found.converged
    True
    """

    def __init__(self, flow: Flow, *, scheme: Multigrid | None = None, processes: int = 2, threads: int = 1):
        require_whole(threads, "threads")
        super().__init__(flow, scheme=scheme, processes=processes)
        if any(tensor.device.type != "cpu" for tensor in (*flow.field.parameters(), *flow.field.buffers())):
            raise InvalidInput("processes exchange states in memory: the field must be on the CPU")
        self._field = copy.deepcopy(flow.field).share_memory()
        self._boxes: dict[tuple[Any, ...], list[tuple[Tensor, Tensor]]] = {}
        self._workers: dict[Connection, Any] = {}
        self._closer = weakref.finalize(self, _end, self._workers)
        context: Any = torch_multiprocessing.get_context(
            "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
        )
        if hasattr(context, "set_forkserver_preload"):
            context.set_forkserver_preload(["lemmata.flows.parallel.span"])
        for first, chunks in self.spans:
            ours, theirs = context.Pipe()
            span = {"field": self._field, "grid": flow.grid, "method": flow.method, "m": self.m}
            options = {"span": {**span, "first": first, "chunks": chunks}, "threads": threads}
            process = context.Process(target=_work, args=(theirs,), kwargs=options, daemon=True)
            process.start()
            theirs.close()
            self._workers[ours] = process
        self._ask("ready", [{}] * processes)

    def close(self) -> None:
        """End the workers; harmless if they are gone."""
        self._closer()

    def _bring_weights(self) -> None:
        with torch.no_grad():
            for mine, theirs in zip(self._field.parameters(), self.flow.field.parameters(), strict=True):
                mine.copy_(theirs)
            for mine, theirs in zip(self._field.buffers(), self.flow.field.buffers(), strict=True):
                mine.copy_(theirs)

    def _relax(self, way: str, starts: Sequence[Tensor]) -> list[Tensor]:
        boxes = self._boxes_for(starts)
        for (inbox, _), start in zip(boxes, starts, strict=True):
            inbox.copy_(start)
        self._ask(way, [{}] * len(boxes))
        return [outbox for _, outbox in boxes]

    def _boxes_for(self, starts: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Shared memory for states of this shape, that the workers know."""
        key = (starts[0].shape[1:], starts[0].dtype)
        if key not in self._boxes:
            self._boxes.clear()
            shared = [tuple(torch.empty_like(start).share_memory_() for _ in range(2)) for start in starts]
            self._ask("boxes", [{"inbox": inbox, "outbox": outbox} for inbox, outbox in shared])
            self._boxes[key] = shared  # type: ignore[assignment]
        return self._boxes[key]

    def _ask(self, what: str, options: Sequence[dict[str, Any]]) -> list[Any]:
        if not self._workers:
            raise WorkerLost("the team is closed; make another")
        try:
            for pipe, own in zip(self._workers, options, strict=True):
                try:
                    pipe.send((what, own))
                except OSError:
                    raise WorkerLost(self._obituary(pipe)) from None
            said: dict[Connection, Any] = {}
            while len(said) < len(self._workers):
                for pipe in wait([pipe for pipe in self._workers if pipe not in said]):
                    said[pipe] = self._heard(pipe)  # type: ignore[index, arg-type]
        except BaseException:
            self.close()
            raise
        self.messages += 2 * len(said)
        self._counts = [said[pipe][1] for pipe in self._workers]
        return [said[pipe][0] for pipe in self._workers]

    def _heard(self, pipe: Connection) -> tuple[Any, tuple[int, int]]:
        try:
            kind, *rest = pipe.recv()
        except (EOFError, OSError):
            raise WorkerLost(self._obituary(pipe)) from None
        if kind == "error":
            raise WorkerLost(f"a worker failed with {rest[0]}; without a team the same solve runs in this process")
        return rest[0], rest[1]

    def _obituary(self, pipe: Connection) -> str:
        process = self._workers[pipe]
        process.join(5)
        code, index = process.exitcode, list(self._workers).index(pipe)
        how = f"by {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit status {code}"
        first, chunks = self.spans[index]
        return (
            f"the worker of layers {first * self.m} to {(first + chunks) * self.m - 1} ended {how}, and the team is "
            "closed; make another. SIGKILL means that memory ran out; an end at the start, that a script made its team "
            'outside of `if __name__ == "__main__":` or that the field is of a class that no import finds'
        )


def _end(workers: dict[Connection, Any]) -> None:
    """Kill the workers and wait until they are gone."""
    for pipe, process in workers.items():
        process.kill()
        process.join()
        pipe.close()
    workers.clear()


def _work(pipe: Connection, *, span: dict[str, Any], threads: int) -> None:
    """What a worker does: wait for an order, obey, answer, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    own, boxes = Span(**span), dict[str, Tensor]()
    while True:
        try:
            what, options = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = None
            match what:
                case "ready":
                    pass
                case "boxes":
                    boxes = options
                case "forwards" | "backwards":
                    boxes["outbox"].copy_(getattr(own, what)(boxes["inbox"]))
                case _:
                    answer = getattr(own, what)(**options)
            counts = own.applied if own.steps is not None else (0, 0)
            pipe.send(("done", answer, counts))
        except (BrokenPipeError, ConnectionResetError):
            return
        except Exception as error:
            pipe.send(("error", f"{type(error).__name__}: {error}"))
