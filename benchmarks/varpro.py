"""Variable projection beside the ways of training that people use: seconds of processor time, one thread, one process.

    python benchmarks/varpro.py [--only peaks] [--output FILE]

writes ``benchmarks/results/varpro.json``, row by row. Every side minimises the same J in float64, from its own best
start, and is stopped by J itself; a side's figure is the median over three seeds of the seconds to J. The rows:

    peaks    regression on the peaks, 2,000 points, 64 tanh units, J = mse / 2 + 1e-8 / 2 |all|^2, to 1e-4 and to 1e-5
    digits   4,000 of mnist-5k, 64 tanh units, J = cross-entropy + 1e-4 / 2 |all|^2, to 0.0225: where projection loses
    step     one Gauss-Newton step on the peaks, beside its floating-point operations at the peak of a large product
    choice   what is counted and what is taken: iterations and seconds of the three methods on other problems

Adam is torch's, on the full batch, its learning rate and start tuned on the first seed: of four rates and two starts
the fastest to J = 1e-3.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

import machine
from lemmata import data, nets
from lemmata.data import synthetic
from lemmata.regression.single_layer import reduced_objective, varpro
from lemmata.regression.single_layer.choice import choose
from lemmata.regression.single_layer.gauss_newton import Matrix
from lemmata.regression.single_layer.varpro import _size
from turns import RESULTS, merge, show

F64 = torch.float64
SEEDS = (0, 1, 2)
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
PATIENCE = 40.0  # seconds, after which a side never arrives
TUNING = 8.0  # seconds a setting is tried for


def peaks() -> tuple[Tensor, Tensor]:
    x, t = synthetic.peaks(2000, generator=torch.Generator().manual_seed(1))
    return x, ((t - t.mean()) / t.std())[:, None]


def hidden(inputs: int, width: int, seed: int, depth: int = 1) -> nn.Sequential:
    """The body of a tanh perceptron with Glorot's weights."""
    net = nets.mlp(inputs, [width] * depth, 2, activation="tanh", initialisation="xavier", seed=seed, dtype=F64)
    return nn.Sequential(*list(net)[1:-1])


def drawn(seed: int, start: str) -> nn.Sequential:
    """A network 2-64-1 from what varpro starts from, with the best last layer; or from torch's own initialisation."""
    x, t = peaks()
    if start == "varpro's":
        return varpro(64, x, t, seed=seed, iterations=1, method="lbfgs-full", tolerance=1e9).model
    net = nets.mlp(2, [64], 1, activation="tanh", initialisation="standard", seed=seed, dtype=F64)
    return nn.Sequential(*list(net)[1:])


def descend(
    make: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    seed: int,
    start: str,
    targets: list[float],
    limit: float,
) -> dict[float, tuple[int, float]]:
    """Steps and seconds of a torch optimiser to each target, full batch."""
    (x, t), model = peaks(), drawn(seed, start)
    parameters = list(model.parameters())
    optimiser, found = make(parameters), {}
    steps, begun = 0, time.process_time()
    while len(found) < len(targets):
        J = 0.5 * (model(x) - t).square().mean() + 0.5e-8 * sum(p.square().sum() for p in parameters)
        seconds, value = time.process_time() - begun, J.item()
        found.update({q: (steps, seconds) for q in targets if q not in found and value <= q})
        if seconds > limit or not value < 1e6:
            break
        optimiser.zero_grad()
        J.backward()
        optimiser.step()
        steps += 1
    return found


def tuned(note: Callable[[str], None]) -> tuple[str, list[dict[float, tuple[int, float]]]]:
    """The setting of Adam that is fastest to 1e-3 on the first seed (or to 3e-3, if none gets there), and its runs."""
    makers = {rate: lambda p, rate=rate: torch.optim.Adam(p, lr=rate) for rate in RATES}
    settings, tried = list(product(RATES, ("varpro's", "torch's"))), {}
    for rate, start in settings:
        tried[rate, start] = descend(makers[rate], SEEDS[0], start, [3e-3, 1e-3], TUNING)
        note(f"rate {rate:g} from {start} start: {tried[rate, start]}")
    furthest = max(len(found) for found in tried.values())
    best = min((s for s in settings if len(tried[s]) == furthest), key=lambda s: max(t for _, t in tried[s].values()))
    runs = []
    for seed in SEEDS:
        runs.append(descend(makers[best[0]], seed, best[1], [1e-3, 1e-4, 1e-5], PATIENCE))
        note(f"Adam, seed {seed}: {runs[-1]}")
    return f"rate {best[0]:g}, {best[1]} start", runs


def median(runs: list[dict[float, tuple[int, float]]], goal: float) -> dict[str, Any]:
    """Median seconds and iterations to a goal; inf where most never arrive."""
    seconds = [run[goal][1] if goal in run else float("inf") for run in runs]
    steps = [run[goal][0] if goal in run else float("inf") for run in runs]
    return {"median": statistics.median(seconds), "iterations": statistics.median(steps), "turns": seconds}


def ours(
    x: Tensor, y: Tensor, body: Callable[[int], Any], goals: list[float], **options: Any
) -> list[dict[float, tuple[int, float]]]:
    runs = []
    for seed in SEEDS:
        fit = varpro(body(seed), x, y, seed=seed, target=min(goals), clock=time.process_time, **options)
        reached = {goal: fit.history.reaches(goal) for goal in goals}
        runs.append({goal: found for goal, found in reached.items() if found is not None})
    return runs


def peaks_rows(note: Callable[[str], None]) -> list[dict[str, Any]]:
    x, t = peaks()
    goals = [1e-3, 1e-4, 1e-5]
    sides: dict[str, list[dict[float, tuple[int, float]]]] = {}
    ours(x, t, lambda _: 64, [1e-2])  # warm-up
    for name, options in {
        "lemmata, auto": {},
        "lemmata, Golub-Pereyra": {"method": "gauss-newton", "kaufman": False},
        "lemmata, L-BFGS on the reduced objective": {"method": "lbfgs", "iterations": 4000},
        "lemmata, L-BFGS on everything": {"method": "lbfgs-full", "iterations": 5000},
    }.items():
        sides[name] = ours(x, t, lambda _: 64, goals, **options)
        note(f"{name}: {sides[name]}")
    setting, sides["torch, Adam"] = tuned(note)
    rows = []
    for goal in goals:
        found = {name: median(runs, goal) for name, runs in sides.items()}
        ratio = found["torch, Adam"]["median"] / found["lemmata, auto"]["median"]
        rows.append(
            {
                "work": f"peaks regression to J = {goal:g}", "unit": "seconds of processor time", "limit": None,
                "ours at most": 0.3 if goal == 1e-5 else None, "Adam over ours": ratio, "Adam": setting,
                "never within": f"{PATIENCE:g} s is inf", "sides": found,
            }
        )  # fmt: skip
        note(f"to {goal:g}: Adam over ours {ratio:.3g}")
    return rows


def digits_rows(note: Callable[[str], None]) -> list[dict[str, Any]]:
    digits = data.load("mnist-5k").split(train=4000, test=1000, seed=0)
    x = digits.x.flatten(1).double()
    x, goals = x - x.mean(0), [0.03, 0.0225]
    sides = {}
    for name, method, iterations in (
        ("lemmata, auto", "auto", 300),
        ("lemmata, Gauss-Newton", "gauss-newton", 40),
        ("lemmata, L-BFGS on the reduced objective", "lbfgs", 60),
    ):
        options = {"loss": "cross_entropy", "ridge": 1e-4, "method": method, "iterations": iterations}
        sides[name] = ours(x, digits.y, lambda seed: hidden(784, 64, seed), goals, **options)
        note(f"{name}: {sides[name]}")
    taken = varpro(hidden(784, 64, 0), x, digits.y, loss="cross_entropy", ridge=1e-4, iterations=1).choice
    return [
        {
            "work": f"digits to J = {goal:g}", "unit": "seconds of processor time", "limit": None, "ours at most": None,
            "auto takes": taken.method, "why": taken.why,
            "sides": {name: median(runs, goal) for name, runs in sides.items()},
        }
        for goal in goals
    ]  # fmt: skip


def step_rows(note: Callable[[str], None]) -> list[dict[str, Any]]:
    """An evaluation, a model and its solution; the limit counts their products at the peak of float64."""
    x, t = peaks()
    reduced = reduced_objective(64, x, t)
    a = torch.randn(1500, 1500, dtype=F64)

    def step() -> None:
        Matrix(reduced.at(reduced.start)).step(1e-3)

    def seconds(call: Callable[[], Any], times: int) -> float:
        call()
        begun = time.process_time()
        for _ in range(times):
            call()
        return (time.process_time() - begun) / times

    turns = [(seconds(step, 40), seconds(lambda: a @ a, 5)) for _ in range(5)]
    n, M, p = 2000, 65, 192
    operations = 6 * n * 3 * 64 + 2 * n * M**2 + 2 * n * M * p + 2 * n * p**2 + (M**3 + p**3) / 3 + p * M**2
    figures = [took / (operations * peak / (2 * 1500**3)) for took, peak in turns]
    note(f"{statistics.median(took for took, _ in turns) * 1e3:.2f} ms a step")
    side = {
        "median": statistics.median(figures), "turns": figures,
        "milliseconds": statistics.median(took for took, _ in turns) * 1e3,
        "GFLOP/s at the peak": statistics.median(2 * 1500**3 / peak for _, peak in turns) / 1e9,
    }  # fmt: skip
    return [
        {
            "work": "one Gauss-Newton step on the peaks", "unit": "times its flops at the peak of a large product",
            "limit": 1.0, "limit is": f"{operations / 1e6:.0f} Mflop; J'J in full, of which half would do",
            "ours at most": None, "sides": {"lemmata": side},
        }
    ]  # fmt: skip


def choice_rows(note: Callable[[str], None]) -> list[dict[str, Any]]:
    """Where each method gets, relative to the best of them: within 30 % of it, and within 5 %."""
    draw = lambda: torch.Generator().manual_seed(1)  # noqa: E731
    x, t = peaks()
    in_classes = synthetic.peaks_classes(2000, generator=draw())
    digits = data.load("digits").flat()
    pixels = digits.x.double() - digits.x.double().mean(0)
    one_hot = nn.functional.one_hot(digits.y).double()
    entropy = {"loss": "cross_entropy", "ridge": 1e-4}
    problems: dict[str, tuple[Any, Tensor, Tensor, dict[str, Any], int]] = {
        "peaks in classes, 64 units": (64, *in_classes, {**entropy, "ridge": 1e-5}, 60),
        "peaks in classes, 16 units": (16, *in_classes, {**entropy, "ridge": 1e-5}, 60),
        "digits, 32 units": (hidden(64, 32, 0), pixels, digits.y, entropy, 40),
        "digits as numbers, 16 units": (hidden(64, 16, 0), pixels, one_hot, {"ridge": 1e-4}, 40),
        "peaks, 2 x 16 units": (hidden(2, 16, 0, depth=2), x, t, {"ridge": 1e-7}, 40),
        "peaks, 20 units": (20, x, t, {"ridge": 1e-8}, 60),
    }
    return [_choice_row(name, given, note) for name, given in problems.items()]


def _choice_row(
    name: str, given: tuple[Any, Tensor, Tensor, dict[str, Any], int], note: Callable[[str], None]
) -> dict[str, Any]:
    body, x, y, options, iterations = given
    fits = {
        method: varpro(body, x, y, method=method, iterations=iterations * more, clock=time.process_time, **options)
        for method, more in (("gauss-newton", 1), ("lbfgs", 5), ("lbfgs-full", 20))
    }
    best = min(fit.value for fit in fits.values())
    loss = options.get("loss", "mse")
    taken = choose(_size(reduced_objective(body, x, y, **options)), loss)
    sides = {}
    for method, fit in fits.items():
        within = {f"within {share:.0%}": fit.history.reaches((1 + share) * best) for share in (0.3, 0.05)}
        sides[method] = {"median": (within["within 30%"] or (0, float("inf")))[1], "turns": [], **within}
    note(f"{name}: auto takes {taken.method}; {sides}")
    return {
        "work": f"choice: {name}", "unit": "seconds to within 30 % of the best J", "limit": None, "ours at most": None,
        "auto takes": taken.method, "why": taken.why, "sides": sides,
    }  # fmt: skip


ROWS = {"peaks": peaks_rows, "digits": digits_rows, "step": step_rows, "choice": choice_rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=ROWS, nargs="+", default=list(ROWS))
    parser.add_argument("--output", default=RESULTS / "varpro.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts, done = machine.facts(), []
    for name in options.only:
        for row in ROWS[name](print):
            done.append(row)
            merge(options.output, row, facts)
    show(done)


if __name__ == "__main__":
    main()
