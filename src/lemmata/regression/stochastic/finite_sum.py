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
from scipy.sparse import csr_array
from torch import Generator, Tensor
from torch.nn import functional

from lemmata.errors import InvalidInput, UnknownName
from lemmata.regression.stochastic.checks import check_tensors
from lemmata.regression.stochastic.problem import Draws, StochasticProblem

Loss = Literal["mse", "logistic", "cross_entropy"]
SMOOTHNESS = {"mse": 1.0, "logistic": 0.25, "cross_entropy": 0.5}
SLOPES = {"mse": math.inf, "logistic": 1.0, "cross_entropy": 2.0}
DENSE = 200  # parameters up to which Hessian and covariance are formed
SPARSE = 0.3  # share of entries that are not zero below which products with all the data skip the zeros
OUTPUTS = 2**22  # held at once
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
    top = _spectrum(x, least=loss == "mse")
    smooth, longest = SMOOTHNESS[loss], float(x.square().sum(1).max())
    problem = StochasticProblem(
        name={"mse": "least squares", "logistic": "logistic regression", "cross_entropy": "softmax regression"}[loss],
        size=model.size, dtype=x.dtype, device=x.device, draw=model.draw, gradient=model.gradient, loss=model.loss,
        expected=model.expected, mu=ridge + (top[0] if loss == "mse" else 0.0), L=smooth * top[1] + ridge,
        L_each=smooth * longest + ridge, variance=SLOPES[loss] * longest, solve=model.solve if loss == "mse" else None,
        whole=model, plain_steps=model.plain_steps,
    )  # fmt: skip
    return _with_minimum(problem, model) if minimiser else problem


class _Linear:
    """Values and gradients of the model, for S points at once."""

    def __init__(self, x: Tensor, y: Tensor, loss: Loss, ridge: float):
        self.x, self.y, self.name, self.ridge = x, y, loss, ridge
        self.classes = int(y.max()) + 1 if loss == "cross_entropy" else 1
        self.size = x.shape[1] * self.classes
        sparse = x.device.type == "cpu" and int(x.count_nonzero()) < SPARSE * x.numel()
        self._rows, self._columns = (csr_array(x.numpy()), csr_array(x.numpy().T)) if sparse else (None, None)
        self._seen: tuple[Tensor, Tensor] | None = None

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
        few = theta.reshape(-1, self.size).split(max(1, OUTPUTS // (len(self.x) * self.classes)))
        losses = torch.cat([self._losses(self._outputs(part), self.y).mean(-1) for part in few])
        return losses.reshape(theta.shape[:-1]) + self.ridge / 2 * theta.square().sum(-1)

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Give f and its gradient at theta (p,), in one pass over all the data."""
        z = self._outputs(theta)
        slope = self._pulled(self._slopes(z, self.y)) / len(self.x)
        return self._losses(z, self.y).mean() + self.ridge / 2 * theta @ theta, slope + self.ridge * theta

    def hvp(self, v: Tensor, theta: Tensor) -> Tensor:
        """The Hessian of f at theta (p,) times v (p,)."""
        u = self._outputs(v)
        if self.name == "cross_entropy":
            p = self._probabilities(theta)
            u = p * (u - (p * u).sum(-1, keepdim=True))
        elif self.name == "logistic":
            p = self._probabilities(theta)
            u = p * (1 - p) * u
        return self._pulled(u) / len(self.x) + self.ridge * v

    def _probabilities(self, theta: Tensor) -> Tensor:
        """Those of all samples at theta (p,), kept until another point is asked for."""
        if self._seen is None or not torch.equal(self._seen[0], theta):
            z = self._outputs(theta)
            self._seen = theta.clone(), z.softmax(-1) if self.name == "cross_entropy" else z.sigmoid()
        return self._seen[1]

    def _pulled(self, slopes: Tensor) -> Tensor:
        """X' times slopes (n, k), flat: the slopes stand to the left, where a product of few rows is fast."""
        if self._columns is not None:
            return torch.from_numpy(self._columns @ slopes.numpy()).flatten()
        return (slopes.mT @ self.x).mT.flatten()

    def plain_steps(self, theta, total, draws, *rules) -> None:
        """Many steps of many runs, compiled."""
        from lemmata.regression.stochastic import compiled  # numba takes half a second to import

        theta, total = (part.reshape(len(part), -1, self.classes) for part in (theta, total))
        x, y = self.x.numpy(), self.y.numpy()
        compiled.finite_sum(theta, total, *draws, *rules, x, y, compiled.LOSSES[self.name], self.ridge)

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
        slopes = self._slopes(self._outputs(theta), self.y)
        return (self.x[:, :, None] * slopes[:, None]).flatten(1) + self.ridge * theta

    def noise(self, theta: Tensor) -> float:
        """E|grad F(theta; xi)|^2, without forming the gradients."""
        slopes = self._slopes(self._outputs(theta), self.y)
        across = (self.x @ theta.unflatten(-1, (-1, self.classes)) * slopes).sum(-1)
        square = self.x.square().sum(-1) * slopes.square().sum(-1) + 2 * self.ridge * across
        return float(square.mean() + self.ridge**2 * theta.square().sum())

    def hessian(self, theta: Tensor) -> Tensor:
        """The dense Hessian of f (p, p), column by column."""
        columns = torch.eye(self.size, dtype=theta.dtype, device=theta.device)
        return torch.stack([self.hvp(v, theta) for v in columns], 1)

    def _outputs(self, theta: Tensor, x: Tensor | None = None) -> Tensor:
        """Of each point (..., p) on the samples x, or on all samples: (..., n, classes)."""
        weights = theta.unflatten(-1, (-1, self.classes))
        if x is not None:
            return x @ weights
        side_by_side = weights.movedim(-2, 0).flatten(1)
        if self._rows is None:
            z = self.x @ side_by_side
        else:
            z = torch.from_numpy(self._rows @ side_by_side.detach().numpy())
        return z.unflatten(1, weights.shape[:-2] + weights.shape[-1:]).movedim(0, -2)

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


def _spectrum(x: Tensor, *, least: bool) -> tuple[float, float]:
    """The least and the largest eigenvalue of X'X / n; the least, which squaring would blur, only where it is asked."""
    if not least:
        gram = x.mT @ x if len(x) > x.shape[1] else x @ x.mT
        return 0.0, float(torch.linalg.eigvalsh(gram)[-1]) / len(x)
    singular = torch.linalg.svdvals(x)
    smallest = float(singular[-1]) if len(x) >= x.shape[1] else 0.0
    return smallest**2 / len(x), float(singular[0]) ** 2 / len(x)


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
