"""The exact first and second moments of stochastic gradient descent on a quadratic.

In the basis of the Hessian's eigenvectors, h its eigenvalues, e = theta - theta*, one step with a batch of b samples is

    e <- (1 - mu h) e - mu noise,        noise of covariance S / b            (`noisy_quadratic`)
    e <- e - mu (1/b) sum x (x'e - z),   x ~ N(0, H), z ~ N(0, sigma^2)       (`linear_regression`)

so that the means and the second moments follow linear recursions. Of the second ones the diagonal M_i = E e_i^2 is
closed, since E x x' M x x' = 2 H M H + tr(H M) H for Gaussian x:

    M_i <- (1 - mu h_i)^2 M_i + mu^2 S_ii / b
    M_i <- (1 - mu h_i)^2 M_i + (mu^2 / b) (h_i^2 M_i + h_i sum_j h_j M_j + sigma^2 h_i)

For the average of the first n iterates, s_n = e_1 + ... + e_n, the diagonals of C_n = E e_n s_n' and T_n = E s_n s_n':

    C_{n+1} = (1 - mu h) C_n + M_{n+1},      T_{n+1} = T_n + 2 (1 - mu h) C_n + M_{n+1}

Nothing is random and nothing approximate. Cost: O(p) a step. Wanted are problems of the two names above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.regression.stochastic.checks import check_counts, check_point, sorted_marks
from lemmata.regression.stochastic.problem import StochasticProblem
from lemmata.regression.stochastic.step_sizes import StepSizes, as_steps


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments after the steps `marks` (T,), in float64.

    `distance` (T,) is E|theta - theta*|^2, `gap` E f(theta) - f*, `averaged_distance` and `averaged_gap` the same of
    the average of the iterates 1 to k. `mean` (T, p) is E theta; `second` (T, p) the diagonal of E e e' in the basis of
    the Hessian's eigenvectors, in the order of its increasing eigenvalues, `averaged_second` that of the average.
    """

    marks: np.ndarray
    mean: Tensor
    second: np.ndarray
    averaged_second: np.ndarray
    distance: np.ndarray
    gap: np.ndarray
    averaged_distance: np.ndarray
    averaged_gap: np.ndarray


def exact_moments(
    problem: StochasticProblem,
    start: Tensor,
    steps: float | StepSizes,
    *,
    marks: Sequence[int],
    batch: int = 1,
) -> Moments:
    """Give the moments of SGD from `start` (p,) after the steps `marks`; nothing is random.

    Raises `InvalidInput` for a problem whose moments have no closed form.

    >>> from lemmata.regression.stochastic import noisy_quadratic
    >>> problem = noisy_quadratic(torch.ones(1).double(), 1.0)
    >>> found = exact_moments(problem, torch.ones(1), StepSizes(1.0), marks=[1, 10])
    >>> found.distance.round(12).tolist()  # with steps 1/k the iterate is minus the mean of k draws
    [1.0, 0.1]
    """
    if problem.name not in ("noisy quadratic", "linear regression") or problem.hessian is None:
        raise InvalidInput(f"no closed form for the moments on {problem.name!r}; take a quadratic or a linear stream")
    assert problem.minimiser is not None
    assert problem.covariance is not None
    marks = sorted_marks(marks)
    check_counts(batch=batch)
    check_point("start", start, problem.size)
    values, V = torch.linalg.eigh(problem.hessian.double().cpu())
    star = problem.minimiser.double().cpu()
    noise = torch.einsum("pi,pq,qi->i", V, problem.covariance.double().cpu(), V).numpy()
    e = (V.mT @ (start.double().cpu() - star)).numpy()
    sizes = np.broadcast_to(as_steps(steps).take(marks[-1]).numpy(), (marks[-1],))
    feature_noise = 1 / batch if problem.name == "linear regression" else 0.0
    means, second, averaged = _followed(marks, sizes, e, _Law(values.numpy(), noise / batch, feature_noise))
    h = values.numpy()
    with np.errstate(invalid="ignore"):
        return Moments(
            np.asarray(marks), star + torch.from_numpy(means) @ V.mT, second, averaged, second.sum(1), second @ h / 2,
            averaged.sum(1), averaged @ h / 2,
        )  # fmt: skip


class _Law(NamedTuple):
    """Eigenvalues h (p,), variances S_ii / b (p,), and 1/b where the features are random too."""

    h: np.ndarray
    noise: np.ndarray
    features: float


def _followed(marks: list[int], sizes: np.ndarray, e: np.ndarray, law: _Law) -> tuple[np.ndarray, ...]:
    """Follow the recursions: the mean of e, and the second moments of iterate and average, at the marks (T, p)."""
    (h, noise, features), wanted = law, set(marks)
    M, C, T = e**2, np.zeros_like(e), np.zeros_like(e)
    kept: list[tuple[np.ndarray, ...]] = [(e, M, M)] if marks[0] == 0 else []
    with np.errstate(over="ignore", invalid="ignore"):  # steps too large diverge, to infinity
        for k, size in enumerate(sizes, start=1):
            shrunk = 1 - size * h
            M = shrunk**2 * M + size**2 * (noise + features * h * (h * M + h @ M))
            e, T, C = shrunk * e, T + 2 * shrunk * C + M, shrunk * C + M
            if k in wanted:
                kept.append((e, M, T / k**2))
    means, second, averaged = (np.array(part) for part in zip(*kept, strict=True))
    return means, np.nan_to_num(second, nan=np.inf, posinf=np.inf), np.nan_to_num(averaged, nan=np.inf, posinf=np.inf)
