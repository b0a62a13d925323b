"""Which method `varpro(method="auto")` takes, by count; and the words that say why.

The work of an iteration is counted from the sizes (n samples, M features with the constant, k outputs, p inner
parameters) and from the operations F of one forward pass of the features: floating-point operations of all products
and factorisations, and `TRAFFIC` operations for each number written, since functions of an entry are bound by memory.

    evaluation and gradient   3 F + 4 n M k                                numbers 12 n M + 10 n k
    inner, squares            2 n M^2 + M^3 / 3 + 8 n M k
    inner, cross-entropy      8 (2 n (M k)^2 + (M k)^3 / 3)                eight assemblies a solution
    Gauss-Newton, matrix      2 k F + 2 n k p^2 + 2 n M k p + p^3 / 3      numbers 2 n k p
    Gauss-Newton, products    c (4 F + 4 n M k)                            numbers 4 c n M, c = 300 or 40
    L-BFGS                    1.1 evaluations, with the inner solution (reduced) or without (full)

How many iterations each method takes to the same objective cannot be known beforehand. `ITERATIONS` holds the middle
of what was measured on ten problems (docs/derivations/variable-projection.md), in units of Gauss-Newton's; there they
spread by a factor of about four to either side. The least product of iterations and work is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

from lemmata.regression.single_layer.gauss_newton import DENSE
from lemmata.regression.single_layer.softmax_weights import LARGEST

TRAFFIC = 50.0  # operations in the time that a number takes to be written: 1 MB in 0.1 ms at 70 GFLOP/s
PRODUCTS = {"mse": 300.0, "cross_entropy": 40.0}  # of a Gauss-Newton step by conjugate gradients
ASSEMBLIES = 8.0  # of the inner Hessian in a solution under cross-entropy
EVALUATIONS = 1.1  # of an iteration of L-BFGS
ITERATIONS = {
    "mse": {"gauss-newton": 1.0, "lbfgs": 25.0, "lbfgs-full": 1000.0},
    "cross_entropy": {"gauss-newton": 1.0, "lbfgs": 2.0, "lbfgs-full": 20.0},
}


@dataclass(frozen=True)
class Size:
    """What the work is counted from."""

    n: int
    M: int
    k: int
    p: int
    forward: float  # operations of one forward pass of the features of all samples


@dataclass(frozen=True)
class Choice:
    """The method taken, why, and the work of an iteration of each; `matrix` if G is written down.

    `evaluation` and `model` are the shares of the method taken: of an evaluation with its gradient, and of a step's
    model; `gradient` is one of the whole network, the unit of costs. All are in operations.
    """

    method: str
    why: str
    operations: dict[str, float]
    matrix: bool
    evaluation: float
    model: float
    gradient: float


def choose(size: Size, loss: str, method: str = "auto") -> Choice:
    """Take the method asked for, or by count; in either case whether Gauss-Newton writes its matrix down.

    >>> choose(Size(n=2000, M=65, k=1, p=192, forward=768_000), "mse").method
    'gauss-newton'
    >>> choose(Size(n=4000, M=65, k=10, p=50_240, forward=4e8), "cross_entropy").method
    'lbfgs-full'
    """
    by_matrix, by_products = _matrix(size), _products(size, PRODUCTS[loss])
    matrix = size.p <= DENSE and by_matrix <= by_products
    inner, gradient = _inner(size, loss), _gradient(size)
    operations = {
        "gauss-newton": inner + gradient + (by_matrix if matrix else by_products),
        "lbfgs": EVALUATIONS * (inner + gradient),
        "lbfgs-full": EVALUATIONS * gradient,
    }
    why = "as asked"
    if method == "auto":
        fits = loss == "mse" or size.M * size.k <= LARGEST
        work = {
            name: cost * ITERATIONS[loss][name] for name, cost in operations.items() if fits or name == "lbfgs-full"
        }
        method = min(work, key=lambda name: work[name])
        why = _why(method, operations, ITERATIONS[loss], fits, size)
    evaluation = gradient if method == "lbfgs-full" else gradient + inner
    model = operations[method] - evaluation if method == "gauss-newton" else 0.0
    return Choice(method, why, operations, matrix, evaluation, model, gradient)


def _why(best: str, operations: dict[str, float], counts: dict[str, float], fits: bool, size: Size) -> str:
    told = ", ".join(f"{name} {counts[name]:g} x {operations[name] / 1e6:,.0f}" for name in operations)
    why = f"least work: {best} (relative iterations x Mflop an iteration: {told})"
    return why if fits else f"{why}; the Hessian by {size.M} x {size.k} output weights is too large to project with"


def _gradient(size: Size) -> float:
    """An evaluation of the whole network with its gradient."""
    n, M, k = size.n, size.M, size.k
    return 3 * size.forward + 4 * n * M * k + TRAFFIC * (12 * n * M + 10 * n * k)


def _inner(size: Size, loss: str) -> float:
    n, M, k = size.n, size.M, size.k
    if loss == "mse":
        return 2.0 * n * M**2 + M**3 / 3 + 8 * n * M * k
    return ASSEMBLIES * (2.0 * n * (M * k) ** 2 + (M * k) ** 3 / 3)


def _matrix(size: Size) -> float:
    n, M, k, p = size.n, size.M, size.k, size.p
    products = 2.0 * n * k * p**2 + 2.0 * n * M * k * p + p**3 / 3
    return 2.0 * k * size.forward + products + TRAFFIC * 2 * n * k * p


def _products(size: Size, count: float) -> float:
    n, M, k = size.n, size.M, size.k
    return count * (4 * size.forward + 4.0 * n * M * k + TRAFFIC * 4 * n * M)
