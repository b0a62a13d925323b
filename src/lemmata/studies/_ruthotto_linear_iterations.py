"""CGLS and Landweber on ill-posed problems, error and residual along the iteration: a part of `ruthotto_linear`."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.phantoms.ill_posed import IllPosed, ill_posed
from lemmata.regression.regularisation import StandardForm, iterative, ridge_path
from lemmata.study import Config, Curve, Measurements

Problem = Literal["heat", "phillips", "gravity", "deriv2", "shaw", "foxgood", "blur"]
ROUNDING = 1e-9  # a rise of the residual, relative to |b|, that float64 could make


class Iteration(Config):
    """One draw of noise on one problem, and the iterates from zero."""

    problem: Problem = "heat"
    n: int = Field(default=128, ge=8, description="points of the discretised integral equation")
    noise: float = Field(default=0.01, ge=0, description="standard deviation of the noise, as a share of the data's")
    method: Literal["cgls", "landweber", "wrong weight"] = "cgls"
    iterations: int = Field(default=40, ge=2)
    stated: float = Field(default=1.0, gt=0, description="noise told to the stopping rule, over the true one")


def run(configs: Sequence[Iteration]) -> list[Measurements]:
    """Iterate all draws at once."""
    first = configs[0]
    problem = ill_posed(first.problem, first.n)
    b = torch.cat([problem.noisy(first.noise, seed=config.seed) for config in configs], 1)
    x = iterates(first, problem.A, b)
    errors = ((x - problem.x[:, None]).norm(dim=1) / problem.x.norm()).numpy()
    norms = (b - problem.A @ x).norm(dim=1)
    residuals = (norms / b.norm(dim=0)).numpy()
    least = least_tikhonov(problem, b)
    noise = first.stated * (b - problem.b[:, None]).norm(dim=0)
    stopped = stopped_errors(errors, norms.numpy(), noise.numpy())
    return [
        Measurements.of(
            fall=errors[0, i] / errors[:, i].min(),
            rise=errors[-1, i] / errors[:, i].min(),
            best_step=int(errors[:, i].argmin()),
            residual_rises=int((np.diff(residuals[:, i]) > ROUNDING).sum()),
            over_tikhonov=errors[:, i].min() / least[i],
            stopped_over_best=stopped[i] / errors[:, i].min(),
            error=Curve(np.arange(len(errors)), errors[:, i]),
            residual=Curve(np.arange(len(errors)), residuals[:, i]),
            tikhonov=least[i],
        )
        for i in range(len(configs))
    ]


def least_tikhonov(problem: IllPosed, b: Tensor) -> np.ndarray:
    """The least relative error of 200 Tikhonov solutions for each right-hand side, (k,)."""
    form = StandardForm.of(problem.A)
    paths = torch.stack([ridge_path(form, column).solutions() for column in b.T])
    errors = (paths - problem.x[:, None]).norm(dim=1) / problem.x.norm()
    return errors.min(1).values.numpy()


def stopped_errors(errors: np.ndarray, norms: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """The error where the residual's norm first is at most the noise's, (k,); infinite where it never is.

    >>> stopped_errors(np.array([[1.0], [0.5], [0.7]]), np.array([[3.0], [2.0], [1.0]]), np.array([2.5]))
    array([0.5])
    """
    below = norms <= noise
    at = np.take_along_axis(errors, below.argmax(0)[None], 0)[0]
    return np.where(below.any(0), at, np.inf)


def iterates(config: Iteration, A: Tensor, b: Tensor) -> Tensor:
    """The iterates (steps + 1, n, k) from zero."""
    if config.method == "wrong weight":
        return wrong_weight(A, b, config.iterations)
    return iterative(A, b, method=config.method, iterations=config.iterations, reorthogonalise=True).x


def wrong_weight(A: Tensor, b: Tensor, iterations: int) -> Tensor:
    """CGLS with a slip that is easily made: the squared norm of the direction in the place of the gradient's."""
    x, r = b.new_zeros(A.shape[1], b.shape[1]), b
    p = A.T @ r
    gamma, every = p.square().sum(0), [x]
    for _ in range(iterations):
        q = A @ p
        alpha = gamma / q.square().sum(0)
        x, r = x + alpha * p, r - alpha * q
        before, gamma = gamma, p.square().sum(0)
        p = A.T @ r + gamma / before * p
        every.append(x)
    return torch.stack(every)
