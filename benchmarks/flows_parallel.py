"""Layers in parallel against the layers one after the other, by one process and by two: 1,024 layers.

    python benchmarks/flows_parallel.py

writes ``benchmarks/results/flows_parallel.json``. Each work is timed twice: by the wall clock, since there are several
processes, and by the processor time of the longest chain, which is the leader's and the slowest worker's (they wait for
each other), since other programs on the machine do not disturb it. One thread each, medians of turns; `load` is that of
the machine when the row began. The unit is the serial solve (of gradients: serial backpropagation).

Beside each figure stands what the cost model says of two processes, in evaluations of a layer: batched evaluations can
be cheaper than single ones where layers are small, and dearer where the states of all chunks outgrow the cache.
`evaluations` are counted, and equal to the model's (`as forecast`); `wins from` is the model's number of processes that
beat the serial solve where each has a core.
"""

import os
import time
from functools import partial
from itertools import product
from typing import Literal

import torch
from torch import Tensor

import machine
from lemmata import flows
from lemmata.flows.parallel import Multigrid, Processes, forecast, gradient, mgrit, serial_gradient
from turns import RESULTS, Row, Side, merge, show

LAYERS, TOL = 1024, 1e-6
Clock = Literal["wall clock", "longest chain"]


class Chain:
    """Processor seconds of this process and of the busiest of a team's."""

    def __init__(self, team: Processes):
        self.clocks = [(~process.pid << 3) | 2 for process in team._workers.values()]  # Linux's clocks of processes

    def __call__(self) -> float:
        """Give the seconds so far."""
        return time.process_time() + max(time.clock_gettime(clock) for clock in self.clocks)


CLOCKS = {"wall clock": lambda _: time.perf_counter, "longest chain": Chain}


def serial(flow: flows.Flow, y0: Tensor) -> Tensor:
    with torch.no_grad():
        return flow(y0)


def loss(y: Tensor) -> Tensor:
    return y.sin().sum()


def solve_row(name: str, flow: flows.Flow, scheme: Multigrid, y0: Tensor, *, team: Processes, clock: Clock) -> Row:
    """Solve forwards to the tolerance."""
    method, exact = flow.method, serial(flow, y0)
    run = partial(mgrit, flow.field, y0, steps=LAYERS, method=method, scheme=scheme, tol=TOL)
    found = run()
    cost = forecast(LAYERS, scheme=scheme, iterations=found.iterations, processes=2, method=method)
    return Row(
        f"forwards, {name}, {method.name}, m = {scheme.m}, {clock}", partial(serial, flow, y0),
        "serial solves", [Side("one process", run), Side("two processes", partial(run, team=team))],
        turns=7, clock=CLOCKS[clock](team), limit=1 / cost.speedup, limit_reason="the cost model's for two processes",
        facts={
            "iterations": found.iterations, "residual": found.residuals[-1],
            "reduced to": found.residuals[-1] / found.residuals[0],
            "error at T": float((found.final - exact).norm() / exact.norm()),
            "evaluations": found.evaluations, "as forecast": found.evaluations == cost.evaluations,
            "work in sweeps": found.work, "wins from": cost.wins_from, "load": os.getloadavg()[0],
        },
    )  # fmt: skip


def gradient_row(name: str, flow: flows.Flow, scheme: Multigrid, y0: Tensor, *, team: Processes, clock: Clock) -> Row:
    """A gradient, either way to the tolerance."""
    run = partial(gradient, flow, loss, y0, scheme=scheme, tol=TOL)
    found = run()
    costs = [
        forecast(LAYERS, scheme=scheme, iterations=solve.iterations, processes=2, method=flow.method)
        for solve in (found.forward, found.adjoint)
    ]
    return Row(
        f"gradient, {name}, {flow.method.name}, m = {scheme.m}, {clock}",
        partial(serial_gradient, flow, loss, y0), "serial gradients",
        [Side("one process", run), Side("two processes", partial(run, team=team))],
        turns=5, clock=CLOCKS[clock](team),
        facts={
            "iterations": [found.forward.iterations, found.adjoint.iterations],
            "error of the gradient": found.error(serial_gradient(flow, loss, y0)),
            "as forecast": [found.forward.evaluations, found.adjoint.evaluations] == [c.evaluations for c in costs],
            "load": os.getloadavg()[0],
        },
    )  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    facts, measured = machine.facts(), []
    drawn, smooth = flows.PiecewiseConstant(LAYERS), flows.PiecewiseLinear(9)
    works = [
        ("layers drawn alone, width 32, 128 samples", 32, 128, drawn, "forward-euler", 32),
        ("smooth weights, width 32, 128 samples", 32, 128, smooth, "forward-euler", 32),
        ("smooth weights, width 32, 128 samples", 32, 128, smooth, "rk4", 16),
        ("smooth weights, width 8, 100 samples", 8, 100, smooth, "rk4", 16),
    ]
    for name, width, samples, basis, method, m in works:
        flow = flows.Flow(flows.Plain(width, basis), steps=LAYERS, method=method)
        y0 = torch.randn(samples, width, generator=torch.Generator().manual_seed(0))
        scheme = Multigrid(m=m, relaxation="F")
        with Processes(flow, scheme=scheme, processes=2) as team:
            for row, clock in product((solve_row, gradient_row), CLOCKS):
                found = row(name, flow, scheme, y0, team=team, clock=clock).measure()
                one, two = (found["sides"][side]["median"] for side in ("one process", "two processes"))
                found["two processes over one"] = two / one
                measured.append(found)
                merge(RESULTS / "flows_parallel.json", found, facts)
    show(measured)


if __name__ == "__main__":
    main()
