"""What multigrid in layers costs, counted before it is run: evaluations, the longest chain of them, messages.

With N = m K layers, P processes own K/P chunks each of the finest level; the coarser levels are solved by one process,
as `mgrit` does with a team. A solve of i iterations relaxes the finest level 1 + i s times (s = 1 for F, 2 for FCF):

    evaluations   (1 + i s) N                       + coarse(i)
    longest chain (1 + i s) m ceil(K / P)           + coarse(i)     + latency * messages / P
    coarse(i)     two levels: K + 2 i K, the first guess, and a batched and a serial sweep an iteration

against N of the serial solve. So no number of processes gains more than N / ((1 + i s) m + coarse(i)); the chain is
shortest where m is about sqrt(N (1 + 2 i) / (1 + i s)).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.flows.methods import Method, method_of
from lemmata.flows.parallel.scheme import Multigrid, scheme_of
from lemmata.flows.parallel.work import Work
from lemmata.given import require_flag, require_number, require_whole


@dataclass(frozen=True)
class Forecast(Work):
    """The cost of one solve by `processes` processes.

    Attributes:
        serial: Layers, N.
        scheme: How they are coarsened.
        iterations: Iterations that the solve takes.
        processes: Processes that share the finest level.
        steps: Steps applied on each level, finest first; what `Solution.steps` counts.
        stages: Velocities that a step asks for on each level.
        latency: What a message costs in evaluations of a layer.
        guessed: Whether the first guess is a coarse run, and not given.
    """

    serial: int
    scheme: Multigrid
    iterations: int
    processes: int
    steps: tuple[int, ...]
    stages: tuple[int, ...]
    latency: float
    guessed: bool

    @property
    def relaxations(self) -> int:
        """Sweeps over the finest level."""
        return 1 + self.iterations * self.scheme.sweeps

    @property
    def messages(self) -> int:
        """Orders and answers between a team and whoever leads it: one of each a worker to load, and a sweep."""
        return 2 * self.processes * (1 + self.relaxations)

    @property
    def chain(self) -> float:
        """The longest chain of velocities, with the leader's messages to each worker, in evaluations."""
        m, chunks = self.scheme.m, self.scheme.sizes(self.serial)[1]
        fine = self.relaxations * m * -(-chunks // self.processes) * self.stages[0]
        coarse = sum(steps * stages for steps, stages in zip(self.steps[1:], self.stages[1:], strict=True))
        return fine + coarse + self.latency * self.messages / self.processes

    @property
    def speedup(self) -> float:
        """The serial solve's evaluations over the longest chain."""
        return self.serial * self.stages[0] / self.chain

    @property
    def wins_from(self) -> int | None:
        """The least number of processes with a speed-up above 1, None if none has."""
        for processes in range(1, self.scheme.sizes(self.serial)[1] + 1):
            if replace(self, processes=processes).speedup > 1:
                return processes
        return None

    def plot(self) -> Figure:
        """Draw the speed-up against the number of processes."""
        counts = np.unique(np.geomspace(1, self.scheme.sizes(self.serial)[1], 60).astype(int))
        speed = [replace(self, processes=int(count)).speedup for count in counts]
        label = f"{self.iterations} iterations, m = {self.scheme.m}"
        panel = Panel(
            x=Axis(label="processes", log=True), y=Axis(label="speed-up over the serial solve", log=True),
            series=[Series(label=label, x=counts, y=speed, role="theory")],
            references=[Reference(label="serial", value=1.0, role="theory")],
        )  # fmt: skip
        first = self.wins_from
        when = (
            "It never beats the serial solve."
            if first is None
            else f"It beats the serial solve from {first} processes."
        )
        return Figure(name="mgrit-speedup", title="Layers in parallel", caption=when, panels=[panel])


def forecast(
    steps: int, *, scheme: Multigrid | None = None, iterations: int = 2, processes: int = 1,
    method: str | Method = "rk4", latency: float = 0.0, guessed: bool = True,
) -> Forecast:  # fmt: skip
    """Count what a solve of `iterations` costs, forwards or backwards, by `processes` processes.

    `latency` is the time of a message over that of one evaluation of a layer; `guessed` is False with a guess given.
    Raises `InvalidInput` for steps that m does not divide and more processes than chunks.

    >>> cost = forecast(1024, scheme=Multigrid(m=16, relaxation="F"), iterations=2, processes=8)
    >>> cost.steps, round(cost.speedup, 2), cost.wins_from
    ((3072, 320), 1.45, 5)
    """
    own = scheme_of(scheme)
    require_flag(guessed, "guessed")
    sizes = own.sizes(require_whole(steps, "steps"))
    require_whole(iterations, "iterations", least=0)
    if require_whole(processes, "processes") > sizes[1]:
        raise InvalidInput(f"{processes} processes share {sizes[1]} chunks of layers; take at most {sizes[1]}")
    if not 0 <= require_number(latency, "latency") < np.inf:
        raise InvalidInput(f"latency = {latency}; give the cost of a message in evaluations, at least 0")
    fine = method_of(method)
    coarse = method_of(own.coarse_method) if own.coarse_method else fine
    counts = [(1 + iterations * own.sweeps) * steps]
    for level, size in enumerate(sizes[1:], start=1):
        last = level == own.levels - 1
        each = 2 * size if last else (2 + own.sweeps) * size - size // own.m
        counts.append(guessed * size + iterations * each)
    stages = (fine.stages, *[coarse.stages] * (own.levels - 1))
    return Forecast(steps, own, iterations, processes, tuple(counts), stages, float(latency), guessed)
