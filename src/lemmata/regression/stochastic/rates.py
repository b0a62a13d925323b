"""What is proven of stochastic gradient descent on strongly convex functions: bounds at every step, and limits.

`mean_square_bound`: for draws whose every F(.; xi) is convex with an L_each-Lipschitz gradient, f strongly convex with
mu, and s = E|grad F(theta*; xi)|^2 (divided by the batch), delta_k = E|theta_k - theta*|^2 obeys

    delta_k <= q(mu_k) delta_{k-1} + 2 mu_k^2 s,   q(m) = 1 - 2 m mu (1 - m L_each)  if m L_each <= 1,
                                                   q(m) = 1 - 2 m mu + 2 m^2 L_each^2  otherwise

(after Bach and Moulines, 2011, section 3); for a quadratic with additive noise q(m) = max{(1 - m mu)^2, (1 - m L)^2}
and mu_k^2 s take their place. It implies delta_k = O(k^-min(1, 2 c mu)) for steps c / k: the rate k^-1 wants c > 1 / (2
mu).

`harmonic_gap_bound`: Bottou, Curtis and Nocedal (2018), Theorem 4.7, for beta / (gamma + k), beta > 1 / mu and
beta / (gamma + 1) <= 1 / (L M_G), where tr Cov of the gradient is at most M + M_V |grad f|^2, M_G = M_V + 1:

    E f(theta_k) - f* <= nu / (gamma + k),  nu = max{beta^2 L M / (2 (beta mu - 1)), (gamma + 1) (f(theta_1) - f*)}

`constant_gap_bound`: their Theorem 4.6, for one step size m <= 1 / (L M_G): a floor in proportion to m.

Limits: k Cov theta_k -> `limit_covariance` for steps c / k, c > 1 / (2 mu) (Chung 1954, Sacks 1958, Fabian 1968), and
k Cov of the average -> H^-1 S H^-1 for slower steps (Ruppert 1988; Polyak and Juditsky 1992, Theorem 1), which is the
least there can be and needs no knowledge of mu. The same limit holds for the minimiser of k samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.regression.stochastic.checks import check_counts, check_point, sorted_marks
from lemmata.regression.stochastic.problem import StochasticProblem
from lemmata.regression.stochastic.step_sizes import StepSizes, as_steps


def mean_square_bound(
    problem: StochasticProblem,
    start: Tensor,
    steps: float | StepSizes,
    *,
    marks: Sequence[int],
    batch: int = 1,
) -> np.ndarray:
    """Bound E|theta_k - theta*|^2 of SGD from `start` (p,) after the steps `marks` (T,), for any step sizes.

    Raises `InvalidInput` where mu, the noise or the constants of single draws are not known.

    >>> from lemmata.regression.stochastic import noisy_quadratic
    >>> problem = noisy_quadratic(torch.ones(1).double(), 1.0)
    >>> bound = mean_square_bound(problem, torch.ones(1), StepSizes(1.0), marks=[1, 10])
    >>> bound.round(12).tolist()  # here it is exact
    [1.0, 0.1]
    """
    if not (problem.mu > 0 and math.isfinite(problem.L_each) and math.isfinite(problem.noise)):
        raise InvalidInput(
            f"{problem.name}: mu = {problem.mu:g}, L_each = {problem.L_each:g}, noise = {problem.noise:g}; the bound "
            "wants mu > 0 and the others finite: add a ridge, or use `exact_moments`"
        )
    assert problem.minimiser is not None
    marks = sorted_marks(marks)
    check_counts(batch=batch)
    check_point("start", start, problem.size)
    delta = float((start.to(problem.minimiser) - problem.minimiser).square().sum())
    noise, additive = problem.noise / batch, problem.name == "noisy quadratic"
    bounds, wanted = ([delta] if marks[0] == 0 else []), set(marks)
    for k, size in enumerate(as_steps(steps).take(marks[-1]).expand(marks[-1]).tolist(), start=1):
        shrink, kick = (_additive if additive else _multiplicative)(size, problem.mu, problem.L_each)
        delta = shrink * delta + kick * size**2 * noise
        if k in wanted:
            bounds.append(delta)
    return np.array(bounds)


def _additive(size: float, mu: float, L: float) -> tuple[float, float]:
    return max((1 - size * mu) ** 2, (1 - size * L) ** 2), 1.0


def _multiplicative(size: float, mu: float, L: float) -> tuple[float, float]:
    small = size * L <= 1
    return (1 - 2 * size * mu * (1 - size * L) if small else 1 - 2 * size * mu + 2 * size**2 * L**2), 2.0


def harmonic_gap_bound(
    steps: StepSizes,
    *,
    mu: float,
    L: float,
    variance: float,
    first_gap: float,
    marks: Sequence[int],
    growth: float = 1.0,
) -> np.ndarray:
    """Bound E f(theta_k) - f* by Theorem 4.7 for steps c / (k + k0): theta_1 is the start, so that k is a mark + 1.

    `variance` and `growth` are M and M_G. Raises `InvalidInput` unless c > 1 / mu and the first step is short enough.

    >>> harmonic_gap_bound(StepSizes(2.0, 3), mu=1.0, L=2.0, variance=1.0, first_gap=1.0, marks=[0, 12]).tolist()
    [1.0, 0.25]
    """
    _check_constants(mu, L, variance, first_gap, growth)
    beta, gamma = float(steps.c), float(steps.k0)
    if float(steps.power) != 1 or not beta * mu > 1 or steps(1) > (1 + 1e-12) / (L * growth) or gamma <= 0:
        raise InvalidInput(
            f"steps {beta:g} / (k + {gamma:g})^{float(steps.power):g}: the theorem wants power 1, k0 > 0, c > 1 / mu = "
            f"{1 / mu:g} and a first step of at most 1 / (L M_G) = {1 / (L * growth):g}"
        )
    nu = max(beta**2 * L * variance / (2 * (beta * mu - 1)), (gamma + 1) * first_gap)
    return nu / (gamma + 1 + np.asarray(marks, dtype=float))


def constant_gap_bound(
    step: float, *, mu: float, L: float, variance: float, first_gap: float, marks: Sequence[int], growth: float = 1.0
) -> np.ndarray:
    """Bound E f(theta_k) - f* by Theorem 4.6 for one step size: geometric, down to the floor m L M / (2 mu).

    >>> constant_gap_bound(0.5, mu=1.0, L=2.0, variance=1.0, first_gap=1.0, marks=[0, 100]).tolist()
    [1.0, 0.5]
    """
    _check_constants(mu, L, variance, first_gap, growth)
    if not 0 < step <= (1 + 1e-12) / (L * growth):
        raise InvalidInput(f"step = {step:g}; the theorem wants one in (0, 1 / (L M_G)] = (0, {1 / (L * growth):g}]")
    floor = step * L * variance / (2 * mu)
    return floor + (1 - step * mu) ** np.asarray(marks, dtype=float) * (first_gap - floor)


def _check_constants(mu: float, L: float, variance: float, first_gap: float, growth: float) -> None:
    for name, value in (("mu", mu), ("L", L), ("growth", growth)):
        if not 0 < value < math.inf:
            raise InvalidInput(f"{name} = {value:g}; the theorem wants it positive and finite")
    for name, value in (("variance", variance), ("first_gap", first_gap)):
        if not 0 <= value < math.inf:
            raise InvalidInput(f"{name} = {value:g}; the theorem wants it finite, and 0 or more")


def limit_covariance(problem: StochasticProblem, c: float | None = None) -> Tensor:
    """The limit (p, p) of k times the covariance: of the iterate with steps c / k, or of averages (None).

    The first solves (c H - I/2) X + X (c H - I/2) = c^2 S. Raises `InvalidInput` where c <= 1 / (2 mu), as there is
    none.

    >>> from lemmata.regression.stochastic import noisy_quadratic
    >>> problem = noisy_quadratic(torch.tensor([1.0, 4.0]).double(), 1.0)
    >>> limit_covariance(problem).diagonal().tolist(), limit_covariance(problem, c=1.0).diagonal().tolist()
    ([1.0, 0.0625], [1.0, 0.14285714285714285])
    """
    if problem.hessian is None or problem.covariance is None:
        raise InvalidInput(
            f"{problem.name}: the limit wants the Hessian and the gradient's covariance at the minimiser"
        )
    h, V = torch.linalg.eigh(problem.hessian)
    S = V.mT @ problem.covariance @ V
    if c is None:
        return V @ (S / (h[:, None] * h)) @ V.mT
    if not 2 * c * float(h[0]) > 1:
        raise InvalidInput(f"c = {c:g} is not above 1 / (2 mu) = {1 / (2 * float(h[0])):g}: k Cov has no limit there")
    return V @ (c**2 * S / (c * (h[:, None] + h) - 1)) @ V.mT


def limit_gap(problem: StochasticProblem, c: float | None = None) -> float:
    """The limit of k E(f(theta_k) - f*): half the trace of H times `limit_covariance`.

    >>> from lemmata.regression.stochastic import noisy_quadratic
    >>> limit_gap(noisy_quadratic(torch.tensor([1.0, 4.0]).double(), 1.0))
    0.625
    """
    covariance = limit_covariance(problem, c)
    assert problem.hessian is not None
    return float((problem.hessian * covariance).sum()) / 2
