"""Exact worst cases of gradient descent beside PEPit, in multiples of our own time.

    python benchmarks/worst_case.py [--only small]

writes ``benchmarks/results/worst_case.json``, row by row. One process, one thread, processor time, each side from the
steps to its answer. Ours includes the proof in exact arithmetic and the run on the worst function. The truth is known
in closed form, L D^2 / (2 (2 S + 1)) with S the sum of the steps: a "guarantee" below it guarantees nothing. The rows:

    small      silver schedules of 15 and 31 steps: PEPit with Clarabel and with SCS, in turns
    middle     63 steps: PEPit with SCS, once (some three minutes); with Clarabel its solver alone takes longer
    large      silver, dominant and constant schedules of 127 steps: ours alone
    accuracy   the same at 31 and 63 steps

There is no flop limit to give: what any interior-point method must do depends on how many multipliers it keeps. The
least a step can cost is one factorisation of S, (N + 2)^3/3 flops; ours is dominated by K^3/3 with K the multipliers.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import machine
from lemmata.descent import Schedule, WorstCase, constant, dominant, silver, worst_case
from turns import RESULTS, Row, Side, merge, show

OURS = "times our own seconds"


def small() -> Iterator[Row]:
    for steps, turns, least in ((15, 5, 13.0), (31, 3, None)):
        sides = [_ours(silver(steps)), _pepit(steps, "CLARABEL"), _pepit(steps, "SCS")]
        yield _row(silver(steps), sides, turns, least)


def middle() -> Iterator[Row]:
    yield _row(silver(63), [_ours(silver(63)), _pepit(63, "SCS")], 1, 100.0)


def large() -> Iterator[Row]:
    for schedule in (silver(127), dominant(127), constant(127)):
        yield _row(schedule, [_ours(schedule)], 1, None, {"our processor seconds at most": 30.0})


def accuracy() -> Iterator[Row]:
    for steps in (31, 63):
        for schedule in (dominant(steps), constant(steps)):
            yield _row(schedule, [_ours(schedule)], 3, None)


def _row(
    schedule: Schedule, sides: list[Side], turns: int, least: float | None, facts: dict[str, Any] | None = None
) -> Row:
    more = {} if least is None else {"peers at least": least}
    unit = partial(worst_case, schedule)
    name = f"{schedule.name.split(',')[0]}, N = {len(schedule)}"
    return Row(f"worst case, {name}", unit, OURS, sides, turns=turns, facts={**more, **(facts or {})})


def _truth(schedule: Schedule) -> float:
    return 1 / (2 * (2 * float(schedule.steps.sum()) + 1))


def _ours(schedule: Schedule) -> Side:
    return Side("lemmata", partial(worst_case, schedule), partial(_judged, schedule))


def _judged(schedule: Schedule, found: WorstCase) -> dict[str, Any]:
    truth = _truth(schedule)
    return {
        "processor seconds": found.time,
        "value / truth - 1": found.value / truth - 1,
        "proven bound / truth - 1": float(found.bound) / truth - 1,
        "run on the worst function / truth - 1": found.lower / truth - 1,
        "multipliers": len(found.pairs),
        "of": (found.steps + 2) * (found.steps + 1),
        "solver": found.solver,
        "support": found.support,
    }


def _pepit(steps: int, solver: str) -> Side:
    truth = _truth(silver(steps))
    return Side(
        f"PEPit {version('PEPit')}, {solver}",
        partial(_pepit_silver, steps, solver),
        lambda value: {"value / truth - 1": value / truth - 1, "below the truth": bool(value < truth)},
    )


def _pepit_silver(steps: int, solver: str) -> float:
    """PEPit as its own example of silver steps has it, and its guarantee, the dual value."""
    from PEPit import PEP
    from PEPit.functions import SmoothConvexFunction

    problem = PEP()
    function = problem.declare_function(SmoothConvexFunction, L=1.0)
    minimiser = function.stationary_point()
    start = problem.set_initial_point()
    problem.set_initial_condition((start - minimiser) ** 2 <= 1)
    x = start
    for step in silver(steps).steps:
        x = x - float(step) * function.gradient(x)
    problem.set_performance_metric(function(x) - function(minimiser))
    return float(problem.solve(wrapper="cvxpy", solver=solver, verbose=0))


ROWS: dict[str, Callable[[], Iterator[Row]]] = {"small": small, "middle": middle, "large": large, "accuracy": accuracy}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=ROWS, nargs="+", default=list(ROWS))
    parser.add_argument("--output", type=Path, default=RESULTS / "worst_case.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts, done = machine.facts(), []
    for name in options.only:
        for row in ROWS[name]():
            done.append(row.measure(note=print))
            merge(options.output, done[-1], facts)
    show(done)


if __name__ == "__main__":
    main()
