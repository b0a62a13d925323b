"""Logistic regression with a ridge: the mean log loss of a linear classifier of two classes.

    f(w) = (1/n) sum_i log(1 + exp(-s_i x_i'w)) + (ridge / 2) |w|^2,      s_i = -1, 1

The Hessian is X' diag(p (1 - p)) X / n + ridge I with p (1 - p) <= 1/4, hence

    ridge  <=  mu,        L  <=  lambda_max(X'X) / (4 n) + ridge

and at w = 0, where all p = 1/2, the bound of L is attained: it is the Lipschitz constant. Cost: a gradient is two
products with X. Fails without a ridge on separable data, which have no minimiser: refused.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lemmata.descent.problems.design import DENSE, checked, largest_eigenvalue, require_tensor
from lemmata.descent.problems.minimum import newton
from lemmata.descent.problems.problem import Problem, start_of
from lemmata.errors import InvalidInput
from lemmata.linalg.cg import cg
from lemmata.linalg.operator import LinearOperator


def logistic(
    x: Tensor, y: Tensor, ridge: float = 1e-3, *, intercept: bool = False, x0: Tensor | None = None,
    seed: int | torch.Generator = 0,
) -> Problem:  # fmt: skip
    """The problem of logistic regression on examples x (n, ...) with labels y (n,), booleans, 0 and 1, or -1 and 1.

    `ridge` must be positive. `intercept` appends a feature that is 1 and is penalised as the others. `x0` (d,) or
    (S, d) is where to start, 0 by default. Random is only the start of the iteration that finds lambda_max, which is
    then proven. Float64 unless x is of another floating type. Raises `InvalidInput`, and `NotConverged` where the
    minimum is not found to full accuracy (float32).

    >>> x = torch.tensor([[1.0], [2.0], [-1.0]]).double()
    >>> found = logistic(x, torch.tensor([1, 1, 0]), ridge=0.1)
    >>> found.L, found.mu, found.minimum.width < 1e-15
    (0.6000000005, 0.1, True)
    """
    X, s = checked(x, what="logistic regression"), signs(y)
    if len(s) != len(X):
        raise InvalidInput(f"logistic regression: {len(X)} examples with {len(s)} labels; give one label each")
    if not 0 < ridge < float("inf"):
        raise InvalidInput(
            f"ridge = {ridge}: without a positive ridge separable data have no minimiser; take 1e-3, say"
        )
    if intercept:
        X = torch.cat([X, X.new_ones(len(X), 1)], 1)
    A, n = X * s.to(X)[:, None], len(X)

    def value(w: Tensor) -> Tensor:
        return -logsigmoid(w @ A.T).mean(-1) + ridge / 2 * w.square().sum(-1)

    def gradient(w: Tensor) -> Tensor:
        return torch.sigmoid(-(w @ A.T)) @ A / -n + ridge * w

    def direction(w: Tensor, g: Tensor) -> Tensor:
        p = torch.sigmoid(A @ w)
        weights = p * (1 - p) / n
        if A.shape[1] <= DENSE:
            H = (A.T * weights) @ A
            H.diagonal().add_(ridge)
            return -torch.cholesky_solve(g[:, None], torch.linalg.cholesky(H))[:, 0]
        H = LinearOperator(
            lambda V: A.T @ (weights[:, None] * (A @ V)) + ridge * V, (len(g), len(g)), symmetric=True, dtype=g.dtype,
            device=g.device,
        )  # fmt: skip
        return -cg(H, g, tolerance=min(0.1, float(g.norm()) ** 0.5)).x

    L = largest_eigenvalue(A, seed=seed) / 4 + ridge
    found = newton(value, gradient, direction, X.new_zeros(X.shape[1]), tolerance=accuracy(X, L, ridge))
    return Problem(
        name=f"logistic regression, {n} examples", value=value, gradient=gradient,
        x0=start_of(x0, X.new_zeros(X.shape[1]), what="logistic regression"), L=L, mu=ridge,
        minimum=found.bracket(ridge), nearest=found.x.expand_as, radius=found.radius(ridge),
        L_kind="bound", mu_kind="bound", minimum_kind="bound", per_point=2 * n,
    )  # fmt: skip


def signs(y: Tensor) -> Tensor:
    """Labels of two classes as -1 and 1.

    >>> signs(torch.tensor([0, 1, 1]))
    tensor([-1,  1,  1])
    """
    require_tensor(y, what="the labels")
    if y.ndim != 1:
        raise InvalidInput(f"labels of shape {tuple(y.shape)}; give one each, (n,)")
    y = y.long() if y.dtype == torch.bool else y
    found = set(y.unique().tolist())
    if not (found <= {0, 1} or found <= {-1, 1}):
        shown = ", ".join(map(str, sorted(found)[:6]))
        raise InvalidInput(f"labels take the values {shown}; two classes are 0 and 1, or -1 and 1, say by y < 5")
    return torch.where(y > 0, 1, -1)


def accuracy(X: Tensor, L: float, mu: float) -> float:
    """The gradient norm to ask for: one that puts x* within 1e-9 in float64, but no less than the rounding of g."""
    eps = torch.finfo(X.dtype).eps
    return max(1e-9 * mu, 32 * eps * max(L**0.5, mu))
