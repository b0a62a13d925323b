"""Softmax regression with a ridge: the mean cross-entropy of a linear classifier of K classes.

    f(W) = (1/n) sum_i [log sum_k exp(x_i'w_k) - x_i'w_{y_i}] + (ridge / 2) |W|^2,      W = (w_1, ..., w_K)

With p the class probabilities, diag(p) - p p' <= (I - 11'/K) / 2 (Boehning, 1992), so that

    ridge  <=  mu,    Hessian  <=  (1/2) (I - 11'/K) (x) X'X / n + ridge I,    L  <=  lambda_max(X'X) / (2 n) + ridge

For K = 2 the Hessian at W = 0 attains it. For K > 2 it is approached where x_i'v > 0 for all i, as with an intercept:
by w_1 = w_2 = t v, the others 0, t large. The same matrix preconditions
the Newton systems. Variables are flat, (K d,), class by class. Cost: a gradient is two products with X for K columns.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, one_hot

from lemmata.descent.problems.design import checked, largest_eigenvalue, require_tensor
from lemmata.descent.problems.logistic import accuracy
from lemmata.descent.problems.minimum import newton
from lemmata.descent.problems.problem import Problem, start_of
from lemmata.errors import InvalidInput
from lemmata.linalg.cg import cg
from lemmata.linalg.operator import LinearOperator


def softmax(
    x: Tensor, y: Tensor, ridge: float = 1e-3, *, intercept: bool = False, x0: Tensor | None = None,
    seed: int | torch.Generator = 0,
) -> Problem:  # fmt: skip
    """The problem of softmax regression on examples x (n, ...) with whole labels y (n,) from 0 to K - 1.

    Options and errors are those of `logistic`; the variables are (K d,), of which `unflatten(-1, (K, d))` makes W.

    >>> x = torch.tensor([[1.0], [2.0], [-1.0], [0.5]]).double()
    >>> found = softmax(x, torch.tensor([1, 1, 0, 2]), ridge=0.1)
    >>> found.d, round(found.L, 6), found.minimum.width < 1e-15
    (3, 0.88125, True)
    """
    X = checked(x, what="softmax regression")
    require_tensor(y, what="softmax regression: y")
    if y.shape != (len(X),) or y.is_floating_point() or y.min() < 0 or y.max() < 1:
        raise InvalidInput(
            f"softmax regression: labels {y.dtype} of shape {tuple(y.shape)} for {len(X)} examples; give whole numbers "
            "from 0 to K - 1, at least two classes"
        )
    if not 0 < ridge < float("inf"):
        raise InvalidInput(
            f"ridge = {ridge}: without a positive ridge separable data have no minimiser; take 1e-3, say"
        )
    if intercept:
        X = torch.cat([X, X.new_ones(len(X), 1)], 1)
    n, d, targets = len(X), X.shape[1], one_hot(y.long()).to(X)
    K = targets.shape[1]

    def logits(w: Tensor) -> Tensor:
        return (w.unflatten(-1, (K, d)) @ X.T).mT  # (..., n, K)

    def value(w: Tensor) -> Tensor:
        return -(log_softmax(logits(w), -1) * targets).sum((-1, -2)) / n + ridge / 2 * w.square().sum(-1)

    def gradient(w: Tensor) -> Tensor:
        return (((logits(w).softmax(-1) - targets).mT @ X) / n).flatten(-2) + ridge * w

    solve = torch.linalg.cholesky(X.T @ X / (2 * n) + ridge * torch.eye(d, dtype=X.dtype, device=X.device))

    def direction(w: Tensor, g: Tensor) -> Tensor:
        P = logits(w).softmax(-1)[..., None]

        def product(V: Tensor) -> Tensor:
            Z = (X @ V.unflatten(0, (K, d)).transpose(0, 1).flatten(1)).unflatten(1, (K, -1))  # (n, K, c)
            Z = P * (Z - (P * Z).sum(1, keepdim=True))
            return (X.T @ Z.flatten(1)).unflatten(1, (K, -1)).transpose(0, 1).flatten(0, 1) / n + ridge * V

        H = LinearOperator(product, (K * d, K * d), symmetric=True, dtype=g.dtype, device=g.device)
        tolerance = min(0.1, float(g.norm()) ** 0.5)
        return -cg(
            H, g, tolerance=max(tolerance, 1e-5), max_iterations=K * d + 1000,
            preconditioner=lambda r: torch.cholesky_solve(r.view(K, d).T, solve).T.reshape(-1),
        ).x  # fmt: skip

    L = largest_eigenvalue(X, seed=seed) / 2 + ridge
    found = newton(value, gradient, direction, X.new_zeros(K * d), tolerance=accuracy(X, L, ridge))
    return Problem(
        name=f"softmax regression, {n} examples, {K} classes", value=value, gradient=gradient,
        x0=start_of(x0, X.new_zeros(K * d), what="softmax regression"), L=L, mu=ridge, minimum=found.bracket(ridge),
        nearest=found.x.expand_as, radius=found.radius(ridge), L_kind="bound", mu_kind="bound",
        minimum_kind="bound", per_point=3 * n * K,
    )  # fmt: skip
