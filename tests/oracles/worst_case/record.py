"""Worst cases by PEPit, an independent implementation, for methods written down as the literature writes them.

    python tests/oracles/worst_case/record.py

writes ``pepit.json``: the value, PEPit's own primal and dual ones, and the matrix H that the method's recursion gives
when it is followed on coordinate vectors. Solved by Clarabel to 1e-10. Steps are in units of 1/L, with L = 1.
"""

import json
from collections.abc import Callable, Iterator
from importlib.metadata import version
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from PEPit import PEP
from PEPit.functions import SmoothConvexFunction, SmoothStronglyConvexFunction

Recursion = Callable[[Any, Callable[[Any], Any], int], Any]


def descent(steps: list[float]) -> Recursion:
    def run(x: Any, gradient: Callable[[Any], Any], n: int) -> Any:
        for step in steps[:n]:
            x = x - step * gradient(x)
        return x

    return run


def nesterov(x: Any, gradient: Callable[[Any], Any], n: int) -> Any:
    """Nesterov (1983) with t_{k+1} = (1 + sqrt(1 + 4 t_k^2))/2; the output is the last gradient step."""
    y, t = x, 1.0
    for _ in range(n):
        onward, later = y - gradient(y), (1 + sqrt(1 + 4 * t * t)) / 2
        y, x, t = onward + (t - 1) / later * (onward - x), onward, later
    return x


def optimised(x: Any, gradient: Callable[[Any], Any], n: int) -> Any:
    """OGM of Kim and Fessler (2016)."""
    y, theta = x, 1.0
    for k in range(n):
        onward = x - gradient(x)
        later = (1 + sqrt(1 + (8 if k == n - 1 else 4) * theta * theta)) / 2
        x, y, theta = onward + (theta - 1) / later * (onward - y) + theta / later * (onward - x), onward, later
    return x


def heavy_ball(x: Any, gradient: Callable[[Any], Any], n: int) -> Any:
    """Polyak's momentum with step 1 and momentum 1/2."""
    before = x
    for _ in range(n):
        x, before = x - gradient(x) + 0.5 * (x - before), x
    return x


def value(method: Recursion, n: int, mu: float, of: str, given: str) -> tuple[float, float]:
    problem = PEP()
    if mu:
        function = problem.declare_function(SmoothStronglyConvexFunction, mu=mu, L=1.0)
    else:
        function = problem.declare_function(SmoothConvexFunction, L=1.0)
    minimiser = function.stationary_point()
    start = problem.set_initial_point()
    if given == "distance":
        problem.set_initial_condition((start - minimiser) ** 2 <= 1)
    else:
        problem.set_initial_condition(function(start) - function(minimiser) <= 1)
    end = method(start, function.gradient, n)
    gap = function(end) - function(minimiser)
    problem.set_performance_metric(gap if of == "gap" else function.gradient(end) ** 2)
    tight = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}
    dual = problem.solve(wrapper="cvxpy", solver="CLARABEL", verbose=0, **tight)
    return float(problem.wrapper.prob.value), float(dual)


def matrix(method: Recursion, n: int) -> list[list[float]]:
    """H, by following the recursion on vectors of the coordinates of x_0 and of the gradients, at most one a step."""
    seen: list[np.ndarray] = []

    def gradient(x: np.ndarray) -> np.ndarray:
        seen.append(x)
        return np.eye(n + 1)[len(seen)]

    end = method(np.eye(n + 1)[0], gradient, n)
    return [(-point[1:]).tolist() for point in [*seen[1:], end]]


def cases() -> Iterator[tuple[str, Recursion, int, float]]:
    rng = np.random.default_rng(0)
    for n in (1, 3, 6):
        yield "constant step 1", descent([1.0] * n), n, 0.0
        yield "nesterov", nesterov, n, 0.0
        yield "ogm", optimised, n, 0.0
        yield "heavy ball", heavy_ball, n, 0.0
        yield "random steps", descent(rng.uniform(0.2, 2.5, n).round(3).tolist()), n, 0.0
        yield "constant step 1", descent([1.0] * n), n, 0.1
        yield "constant step 1.7", descent([1.7] * n), n, 0.1
        yield "nesterov", nesterov, n, 0.2
        yield "heavy ball", heavy_ball, n, 0.3


def main() -> None:
    found = []
    for name, method, n, mu in cases():
        for of, given in (("gap", "distance"), ("gradient", "distance"), ("gradient", "gap"), ("gap", "gap")):
            if of == given and mu == 0:
                continue  # 1 for every method that cannot ascend, approached by no solver well
            primal, dual = value(method, n, mu, of, given)
            found.append(
                {"name": name, "n": n, "mu": mu, "of": of, "given": given, "primal": primal, "dual": dual,
                 "H": matrix(method, n)}
            )  # fmt: skip
    versions = {name: version(name) for name in ("PEPit", "cvxpy", "clarabel", "numpy")}
    path = Path(__file__).with_name("pepit.json")
    path.write_text(json.dumps({"versions": versions, "cases": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
