"""Softmax regression and ridge regression on 5,000 MNIST digits beside scikit-learn, in multiples of one gradient.

    python benchmarks/softmax.py [--only softmax|ridge]

writes ``benchmarks/results/softmax.json``, row by row. One process, one thread, processor time; both sides minimise the
same objective, mean cross-entropy + ridge/2 |W|^2 with a free intercept, from zero, to the gradient tolerance 1e-6.
That is Euclidean with us and the largest entry, which is less, in scikit-learn. `gap` is f - min f, where min f was
found to a proven accuracy, which is given.

The unit is one float64 gradient, 4 n p k flops, both of its products laid out in the faster way. The limit counts the
work that ours did: a gradient an evaluation, half a gradient a Hessian product (float32), and n p^2 flops at the peak
of a matrix product for each preconditioner.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

import machine
from lemmata import data
from lemmata.regression import least_squares, softmax_regression
from peers import label
from turns import RESULTS, Row, Side, merge, show

SKLEARN = label("scikit-learn")
BARS = {1e-2: 2.0, 1e-3: 2.0, 1e-4: 1.0}  # how many times faster than the best peer ours is to be


def digits() -> tuple[Tensor, Tensor]:
    """5,000 digits (5000, 784) in [0, 1], float64, and their labels."""
    dataset = data.load("mnist-5k").flat().to(dtype=torch.float64)
    return dataset.x, dataset.y


def gradient(x: Tensor, k: int) -> Callable[[], Tensor]:
    """The two products of a gradient with k columns."""
    draw = torch.Generator().manual_seed(0)
    V = torch.randn(x.shape[1], k, generator=draw, dtype=x.dtype)
    return lambda: ((x @ V).T @ x).T


# ---- softmax regression ----------------------------------------------------------------------------------------------


def softmax() -> Iterator[Row]:
    x, y = digits()
    for ridge, bar in BARS.items():
        least = softmax_regression(x, y, ridge=ridge, tolerance=1e-9, mixed=False)
        judge = partial(_judge, x, y, ridge, least.value)
        sides = [Side("lemmata", partial(softmax_regression, x, y, ridge=ridge), judge)]
        sides += [
            Side(f"{SKLEARN}, {solver}", partial(_sklearn, x, y, ridge, solver), judge)
            for solver in ("lbfgs", "newton-cg")
        ]
        fit = softmax_regression(x, y, ridge=ridge)
        yield Row(
            f"softmax regression, ridge {ridge:g}", gradient(x, 10), "gradients", sides,
            limit=_limit(x, fit), limit_reason="the products that ours made, at the speed of the unit",
            facts={"faster than the best peer, at least": bar, "min f": least.value, "proven to": least.gap_bound},
        )  # fmt: skip


def _limit(x: Tensor, fit: Any) -> float:
    n, p = x.shape
    unit = 4.0 * n * p * 10
    return fit.evaluations + fit.products / 2 + 0.5 * n * p**2 / unit * UNITS_AT_PEAK


UNITS_AT_PEAK = 0.25  # a skinny product runs at a quarter of the peak of a square one, as measured


def _sklearn(x: Tensor, y: Tensor, ridge: float, solver: str) -> LogisticRegression:
    model = LogisticRegression(C=1 / (len(x) * ridge), solver=solver, tol=1e-6, max_iter=5000)
    return model.fit(x.numpy(), y.numpy())


def _judge(x: Tensor, y: Tensor, ridge: float, least: float, found: Any) -> dict[str, Any]:
    if isinstance(found, LogisticRegression):
        W, b = torch.from_numpy(found.coef_.T.copy()), torch.from_numpy(found.intercept_)
        own = {"iterations": int(np.max(found.n_iter_))}
    else:
        W, b = found.weights, found.intercept
        own = {"iterations": found.iterations, "products": found.products, "gap at most": found.gap_bound}
    S = x @ W + b
    value = float(torch.nn.functional.cross_entropy(S, y) + ridge / 2 * W.square().sum())
    residual = (torch.softmax(S, 1) - torch.nn.functional.one_hot(y, 10)) / len(x)
    slope = torch.cat([x.T @ residual + ridge * W, residual.sum(0)[None]])
    return {"gap": value - least, "gradient": float(slope.norm()), **own}


# ---- ridge regression ------------------------------------------------------------------------------------------------


def ridge() -> Iterator[Row]:
    x, y = digits()
    A = x - x.mean(0)
    b = torch.nn.functional.one_hot(y, 10).double()
    b = b - b.mean(0)
    p = A.shape[1]
    right = torch.linalg.solve(A.T @ A + 10.0 * torch.eye(p, dtype=A.dtype), A.T @ b)

    def judge(found: Any) -> dict[str, Any]:
        own = torch.from_numpy(found.coef_.T) if isinstance(found, Ridge) else found.x
        iterations = {} if isinstance(found, Ridge) else {"iterations": found.iterations}
        return {"relative error": float((own - right).norm() / right.norm()), **iterations}

    names = ("sparse_cg", "lsqr", "cholesky")
    steps = least_squares(A, b, ridge=10.0, method="cgls", tolerance=1e-8).iterations
    sides = [Side(f"lemmata, {method}", partial(_ours, A, b, method), judge) for method in ("cgls", "lsqr", "auto")] + [
        Side(f"{SKLEARN}, {name}", partial(_ridge, A, b, name), judge) for name in names
    ]
    yield Row(
        "ridge regression of 10 targets, ridge 10, tolerance 1e-8", gradient(A, 10), "gradients", sides,
        limit=float(steps), limit_reason="the steps of conjugate gradients, two products each",
        facts={"faster than the best iterative peer, at least": 1.9},
    )  # fmt: skip


def _ours(A: Tensor, b: Tensor, method: str) -> Any:
    return least_squares(A, b, ridge=10.0, method=method, tolerance=1e-8)


def _ridge(A: Tensor, b: Tensor, solver: str) -> Ridge:
    model = Ridge(alpha=10.0, solver=solver, tol=1e-8, fit_intercept=False, max_iter=5000)
    return model.fit(A.numpy(), b.numpy())


ROWS = {"softmax": softmax, "ridge": ridge}


def compared(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the ratio of the best peer's time to ours: iterative methods among themselves."""
    ours = [side["median"] for name, side in row["sides"].items() if name in ("lemmata", "lemmata, cgls")]
    theirs = [
        side["median"]
        for name, side in row["sides"].items()
        if not name.startswith("lemmata") and not name.endswith("cholesky")
    ]
    return {**row, "faster than the best peer": min(theirs) / min(ours)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=ROWS)
    only = parser.parse_args().only
    torch.set_num_threads(1)
    facts, rows = machine.facts(), []
    for name, make in ROWS.items():
        for row in make() if only in (None, name) else ():
            rows.append(compared(row.measure(lambda note: print(note, flush=True))))
            merge(RESULTS / "softmax.json", rows[-1], facts)
    show(rows)
    for row in rows:
        print(f"{row['work']}: {row['faster than the best peer']:.2f} times as fast as the best peer")


if __name__ == "__main__":
    main()
