"""Regularised linear models on data as functions known by samples, with their constants.

    f(theta) = (1/n) sum_i l(x_i' theta; y_i) + (ridge / 2) |theta|^2,      xi uniform on the n samples

| loss | l(z; y) | smoothness of l in z | bound of the square of dl/dz |
|---|---|---|---|
| `"mse"` | (z - y)^2 / 2 | 1 | none |
| `"logistic"` | log(1 + exp(-z)) for y = 1, log(1 + exp z) for y = 0 | 1/4 | 1 |
| `"cross_entropy"` | log sum_j exp z_j - z_y | 1/2 (Boehning, 1992) | 2 |

so that L = smoothness * lambda_max(X'X) / n + ridge, L_each = smoothness * max |x_i|^2 + ridge, and mu = ridge (plus
lambda_min(X'X) / n for least squares). The minimiser is computed, by `minimise` where there is no closed form, and
the noise, Hessian and covariance there. Cost: that, once, and a pass over the data for each evaluation of f.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional

from lemmata.errors import InvalidInput, UnknownName
from lemmata.regression.stochastic.checks import check_tensors
from lemmata.regression.stochastic.problem import Draws, StochasticProblem

Loss = Literal["mse", "logistic", "cross_entropy"]
SMOOTHNESS = {"mse": 1.0, "logistic": 0.25, "cross_entropy": 0.5}
SLOPES = {"mse": math.inf, "logistic": 1.0, "cross_entropy": 2.0}
DENSE = 200  # parameters up to which Hessian and covariance are formed
TOLERANCE = 1e-9  # of the gradient at the minimiser


def finite_sum(
    x: Tensor, y: Tensor, *, loss: Loss = "mse", ridge: float = 0.0, intercept: bool = False, minimiser: bool = True
) -> StochasticProblem:
    """The mean loss of a linear model on x (n, d) and y (n,), drawn sample by sample with replacement.

    y is floating for ``"mse"``, labels int64 in 0..classes-1 else. theta is (d,), or (d classes,) for
    ``"cross_entropy"``: a matrix (d, classes), row by row. `intercept` adds a feature of ones, penalised as the others.
    Without `minimiser` it is not computed, and nothing is measured against it. Raises `InvalidInput` for shapes or
    labels that do not fit, NaN, and a negative ridge.

    >>> x = torch.tensor([[1.0], [2.0]]).double()
    >>> problem = finite_sum(x, torch.tensor([1.0, 4.0]).double())
    >>> round(float(problem.minimiser), 9), round(problem.L, 9), problem.L_each
    (1.8, 2.5, 4.0)
    """
    _check(x, y, loss, ridge)
    x = torch.cat([x, torch.ones_like(x[:, :1])], 1) if intercept else x
    model = _Linear(x, y.to(x.dtype if loss == "mse" else torch.int64), loss, ridge)
    top = _spectrum(x)
    smooth, longest = SMOOTHNESS[loss], float(x.square().sum(1).max())
    problem = StochasticProblem(
        name={"mse": "least squares", "logistic": "logistic regression", "cross_entropy": "softmax regression"}[loss],
        size=model.size, dtype=x.dtype, device=x.device, draw=model.draw, gradient=model.gradient, loss=model.loss,
        expected=model.expected, mu=ridge + (top[0] if loss == "mse" else 0.0), L=smooth * top[1] + ridge,
        L_each=smooth * longest + ridge, variance=SLOPES[loss] * longest, solve=model.solve if loss == "mse" else None,
        whole=model,
    )  # fmt: skip
    return _with_minimum(problem, model) if minimiser else problem


class _Linear:
    """Values and gradients of the model, for S points at once."""

    def __init__(self, x: Tensor, y: Tensor, loss: Loss, ridge: float):
        self.x, self.y, self.name, self.ridge = x, y, loss, ridge
        self.classes = int(y.max()) + 1 if loss == "cross_entropy" else 1
        self.size = x.shape[1] * self.classes

    def draw(self, n: int, generator: Generator) -> Draws:
        """Indices of n samples."""
        return (torch.randint(len(self.x), (n,), generator=generator, device=generator.device).to(self.x.device),)

    def gradient(self, theta: Tensor, draws: Draws) -> Tensor:
        rows = draws[0]
        x, y = self.x[rows], self.y[rows]
        slopes = self._slopes(self._outputs(theta, x), y)
        return (x.mT @ slopes).flatten(-2) / rows.shape[-1] + self.ridge * theta

    def loss(self, theta: Tensor, draws: Draws) -> Tensor:
        x, y = self.x[draws[0]], self.y[draws[0]]
        return self._losses(self._outputs(theta, x), y).mean(-1) + self.ridge / 2 * theta.square().sum(-1)

    def expected(self, theta: Tensor) -> Tensor:
        outputs = self._outputs(theta, self.x)
        return self._losses(outputs, self.y).mean(-1) + self.ridge / 2 * theta.square().sum(-1)

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Give f and its gradient at theta (p,), in one pass over all the data."""
        z = self._outputs(theta, self.x)
        slope = (self.x.mT @ self._slopes(z, self.y)).flatten() / len(self.x)
        return self._losses(z, self.y).mean() + self.ridge / 2 * theta @ theta, slope + self.ridge * theta

    def hvp(self, v: Tensor, theta: Tensor) -> Tensor:
        """The Hessian of f at theta (p,) times v (p,)."""
        z, u = self._outputs(theta, self.x), self._outputs(v, self.x)
        if self.name == "cross_entropy":
            p = z.softmax(-1)
            u = p * (u - (p * u).sum(-1, keepdim=True))
        elif self.name == "logistic":
            u = torch.sigmoid(z) * torch.sigmoid(-z) * u
        return (self.x.mT @ u).flatten() / len(self.x) + self.ridge * v

    def solve(self, draws: Draws) -> Tensor:
        """Least squares on the samples drawn, by the augmented system."""
        x, y = self.x[draws[0]], self.y[draws[0]]
        n, d = x.shape[-2:]
        root = math.sqrt(n * self.ridge) * torch.eye(d, dtype=x.dtype, device=x.device)
        x = torch.cat([x, root.expand(*x.shape[:-2], d, d)], -2)
        y = torch.cat([y, y.new_zeros(*y.shape[:-1], d)], -1)
        return torch.linalg.lstsq(x, y[..., None], driver="gels").solution[..., 0]

    def each(self, theta: Tensor) -> Tensor:
        """The gradient of every sample at theta (p,): (n, p)."""
        slopes = self._slopes(self._outputs(theta, self.x), self.y)
        return (self.x[:, :, None] * slopes[:, None]).flatten(1) + self.ridge * theta

    def noise(self, theta: Tensor) -> float:
        """E|grad F(theta; xi)|^2, without forming the gradients."""
        slopes = self._slopes(self._outputs(theta, self.x), self.y)
        across = (self.x @ theta.unflatten(-1, (-1, self.classes)) * slopes).sum(-1)
        square = self.x.square().sum(-1) * slopes.square().sum(-1) + 2 * self.ridge * across
        return float(square.mean() + self.ridge**2 * theta.square().sum())

    def hessian(self, theta: Tensor) -> Tensor:
        """The dense Hessian of f (p, p), column by column."""
        columns = torch.eye(self.size, dtype=theta.dtype, device=theta.device)
        return torch.stack([self.hvp(v, theta) for v in columns], 1)

    def _outputs(self, theta: Tensor, x: Tensor) -> Tensor:
        return x @ theta.unflatten(-1, (-1, self.classes))

    def _slopes(self, z: Tensor, y: Tensor) -> Tensor:
        """The derivative of the loss by the outputs: (..., b, k)."""
        if self.name == "cross_entropy":
            return z.softmax(-1).scatter_add(-1, y[..., None].expand(*z.shape[:-1], 1), -torch.ones_like(z[..., :1]))
        return z - y[..., None] if self.name == "mse" else torch.sigmoid(z) - y[..., None]

    def _losses(self, z: Tensor, y: Tensor) -> Tensor:
        if self.name == "cross_entropy":
            return z.logsumexp(-1) - z.gather(-1, y[..., None].expand(*z.shape[:-1], 1))[..., 0]
        z = z[..., 0]
        return (z - y).square() / 2 if self.name == "mse" else functional.softplus(z) - y * z


def _with_minimum(problem: StochasticProblem, model: _Linear) -> StochasticProblem:
    """The problem with its minimiser, and what is known there."""
    if model.name == "mse":
        star = model.solve((torch.arange(len(model.x), device=model.x.device),))
    else:
        from lemmata.regression.minimise import minimise

        start = torch.zeros(model.size, dtype=model.x.dtype, device=model.x.device)
        found = minimise(model, start, method="newton-cg", tolerance=TOLERANCE)
        assert isinstance(found.x, Tensor)
        star = found.x
    dense = problem.size <= DENSE
    each = model.each(star) if dense else None
    return replace(
        problem, minimiser=star, minimum=float(model.expected(star)), noise=model.noise(star),
        hessian=model.hessian(star) if dense else None,
        covariance=None if each is None else each.mT @ each / len(each),
    )  # fmt: skip


def _spectrum(x: Tensor) -> tuple[float, float]:
    """The least and the largest eigenvalue of X'X / n."""
    singular = torch.linalg.svdvals(x)
    least = float(singular[-1]) if len(x) >= x.shape[1] else 0.0
    return least**2 / len(x), float(singular[0]) ** 2 / len(x)


def _check(x: Tensor, y: Tensor, loss: str, ridge: float) -> None:
    if loss not in SMOOTHNESS:
        raise UnknownName("loss", loss, SMOOTHNESS)
    check_tensors(x=x, y=y)
    if x.ndim != 2 or y.shape != x.shape[:1] or not x.numel() or not x.is_floating_point():
        raise InvalidInput(f"x {x.dtype} of shape {tuple(x.shape)}, y of shape {tuple(y.shape)}; expected (n, d), (n,)")
    if not (x.isfinite().all() and y.isfinite().all()):
        raise InvalidInput("the data hold NaN or infinity; remove or replace those samples")
    if not (math.isfinite(ridge) and ridge >= 0):
        raise InvalidInput(f"ridge = {ridge}; a penalty is finite and 0 or more")
    top = 1 if loss == "logistic" else len(y)
    if loss != "mse" and (y.is_floating_point() or int(y.min()) < 0 or int(y.max()) > top):
        raise InvalidInput(f"{loss} wants integer labels from 0{' to 1' if loss == 'logistic' else ''}; y is {y.dtype}")
