"""Which method `varpro(method="auto")` takes, from counted operations; and the words that say why.

An iteration's operations are counted from the sizes (n samples, M features with the constant, k outputs, p inner
parameters) and from one forward pass F of the features. How many iterations each method takes to the same objective
is not known beforehand; `ITERATIONS` holds what was measured on problems of either loss, relative to Gauss-Newton.

    gradient              3 F + 4 n M k
    inner, squares        2 n M^2 + M^3 / 3 + 8 n M k
    inner, cross-entropy  an assembly 2 n (M k)^2 + (M k)^3 / 3 once a linearisation; 80 n M k an evaluation
    Gauss-Newton, matrix  Jacobian 2 k F + n k p, then 2 n k p^2 + 2 n M k p, then p^3 / 3
    Gauss-Newton, products  c (4 F + 4 n M k), c = 300 for squares, 40 for cross-entropy
    L-BFGS                1.1 evaluations, with the inner solution (reduced) or without (full)

The least product of iterations and operations wins.
"""

from __future__ import annotations

from dataclasses import dataclass

from lemmata.regression.single_layer.gauss_newton import DENSE
from lemmata.regression.single_layer.softmax_weights import LARGEST

PRODUCTS = {"mse": 300.0, "cross_entropy": 40.0}  # of a Gauss-Newton step by conjugate gradients
EVALUATIONS = 1.1  # of an iteration of L-BFGS
ITERATIONS = {
    "mse": {"gauss-newton": 1.0, "lbfgs": 15.0, "lbfgs-full": 1000.0},
    "cross_entropy": {"gauss-newton": 1.0, "lbfgs": 2.0, "lbfgs-full": 5.0},
}


@dataclass(frozen=True)
class Size:
    """What the operations are counted from."""

    n: int
    M: int
    k: int
    p: int
    forward: float  # operations of one forward pass of the features of all samples


@dataclass(frozen=True)
class Choice:
    """The method taken, why, and the operations an iteration of each costs; `matrix` if G is written down.

    `evaluation` and `model` are the shares of the method taken: of an evaluation with its gradient, and of a step's
    model; `gradient` is one of the whole network, the unit of costs.
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
    by_matrix, by_products = _model(size, PRODUCTS[loss])
    matrix = size.p <= DENSE and by_matrix <= by_products
    inner = _inner(size, loss)
    gradient = 3 * size.forward + 4 * size.n * size.M * size.k
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


def _inner(size: Size, loss: str) -> float:
    """Operations of an inner solution."""
    n, M, k = size.n, size.M, size.k
    if loss == "mse":
        return 2.0 * n * M**2 + M**3 / 3 + 8 * n * M * k
    return 2.0 * n * (M * k) ** 2 + (M * k) ** 3 / 3 + 80 * n * M * k


def _model(size: Size, products: float) -> tuple[float, float]:
    """Operations of a Gauss-Newton step by the matrix, and by so many products."""
    n, M, k, p = size.n, size.M, size.k, size.p
    matrix = 2.0 * k * size.forward + n * k * p + 2.0 * n * k * p**2 + 2.0 * n * M * k * p + p**3 / 3
    return matrix, products * (4 * size.forward + 4.0 * n * M * k)
