"""The table of spurious minima, and what it costs: compiled batches with Newton's end, against plain gradient descent.

    python benchmarks/teacher_student.py            # table and comparison, one thread

The table: 500 starts for every k and n, shares with exact intervals, processor seconds, beside the arithmetic that the
steps take and the machine's peak. The starts are those of an independent rerun of plain gradient descent: shares agree
to a start or two if every start ends in its own basin; with other seeds they agree to sampling error. The comparison,
k = n = 10, all to the same starts: the instrument; the same compiled steps without Newton, to a gradient of 1e-11; a
plain batch in torch, whoever has converged (1e-7) leaving; one start at a time likewise. Figures are seconds a start
over those of the instrument.
"""

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import machine
from lemmata.landscape.teacher_student import Minima, TeacherStudent, descend, orthonormal
from lemmata.landscape.teacher_student.advance import by_torch

RESULT = Path(__file__).parent / "results" / "teacher_student.json"
TABLE = [(6, 6), (8, 8), (10, 10), (12, 12), (15, 15), (20, 20), (10, 11), (15, 16), (20, 21), (20, 22)]
RERUN = {  # shares in per cent of an independent rerun of the experiment, 500 starts each (1,000 at k = 6)
    (6, 6): 0.3, (8, 8): 12.4, (10, 10): 37.6, (12, 12): 56.4, (15, 15): 78.4, (20, 20): 96.4,
    (10, 11): 0.0, (15, 16): 12.6, (20, 21): 56.2, (20, 22): 0.0,
}  # fmt: skip
STARTS = 500


def main() -> None:
    torch.set_num_threads(1)
    descend(orthonormal(2), starts=2)  # compiles
    facts = machine.facts()
    rows = [row(k, n, float(facts["matmul peak, GFLOP/s"])) for k, n in TABLE]  # type: ignore[arg-type]
    found = {"machine": facts, "table": rows, "comparison": comparison()}
    found["seconds of the six with n = k"] = sum(one["seconds"] for one in rows if one["k"] == one["n"])
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    json.dump(found, sys.stdout, indent=1)


def row(k: int, n: int, peak: float) -> dict[str, Any]:
    """One line of the table; `errors off` is the distance to the rerun in standard errors of the difference."""
    start = time.process_time()
    found = descend(orthonormal(k), neurons=n, starts=STARTS, seed=0)
    seconds = time.process_time() - start
    low, high = found.interval()
    other, p = RERUN[k, n] / 100, found.share
    spread = math.sqrt((p * (1 - p) + other * (1 - other)) / STARTS)
    spurious = found.spurious
    flops = float(found.steps.double().sum()) * (60 * (n * (n - 1) / 2 + n * k) + 3 * n * n * k + 4 * n * k)
    return {
        "k": k, "n": n, "share, %": 100 * p, "95 % interval": [100 * low, 100 * high], "rerun, %": 100 * other,
        "errors off": abs(p - other) / spread if spread else 0.0,
        "mean spurious loss": float(found.loss[spurious].mean()) if spurious.any() else None,
        "least eigenvalue": float(found.lowest_eigenvalue[spurious].min()) if spurious.any() else None,
        "not converged": int((~found.converged).sum()), "proved": int(found.proved.sum()),
        "largest gradient of the proved": max(found.gradient_norm[found.proved].tolist(), default=0.0),
        "mean steps": float(found.steps.double().mean()), "seconds": seconds,
        "seconds at peak for the steps": flops / (peak * 1e9 / 2),  # float64 has half the peak of float32
    }  # fmt: skip


def comparison() -> dict[str, Any]:
    problem, seconds = orthonormal(10), {}
    shares, found = {}, None
    for name, count, run in (
        ("instrument", STARTS, lambda theta: descend(problem, starts=theta)),
        (
            "compiled, without Newton",
            STARTS,
            lambda theta: descend(problem, starts=theta, newton=False, tolerance=1e-11),
        ),
        ("torch batch, plain gradient", 100, lambda theta: plain(problem, theta)),
        (
            "one start at a time, plain gradient",
            4,
            lambda theta: torch.cat([plain(problem, one[None]) for one in theta]),
        ),
    ):
        random = torch.Generator().manual_seed(0)
        theta = torch.randn(STARTS, 100, generator=random, dtype=torch.float64)[:count] / math.sqrt(10)
        start = time.process_time()
        found = run(theta)
        seconds[name] = (time.process_time() - start) / count
        losses = found.loss if isinstance(found, Minima) else found
        shares[name] = f"{int((losses > 1e-3).sum())} of {count}"
    ours = seconds["instrument"]
    return {
        name: {"seconds a start": value, "over the instrument": value / ours, "spurious": shares[name]}
        for name, value in seconds.items()
    }


def plain(problem: TeacherStudent, theta: Tensor) -> Tensor:
    """Losses (starts,) where gradient steps of 5 / k end, at a gradient of 1e-7."""
    advance, active = by_torch(problem, 10, 0.5), torch.arange(len(theta))
    theta = theta.clone()
    while len(active):
        theta[active], norms = advance(theta[active], 100)
        active = active[norms > 1e-7]
    return problem.loss(theta.view(-1, 10, 10))


if __name__ == "__main__":
    main()
