"""Risk of the iterates of gradient descent in linear regression, in closed form: bias, variance, every step at once.

Data t = X theta + z, x ~ N(0, diag(s^2)), z ~ N(0, noise^2), n examples. Gradient descent on |X w - t|^2 / (2n) from
w = 0, with a step size eta_i for each feature, E = diag(eta), G = X'X / n:

    w_{k+1} = w_k - E (G w_k - X't / n),        R(k) = sum_i s_i^2 (w_{k,i} - theta_i)^2      (excess risk)

Two answers, which differ by what is known of X:

    approximate_risk   G replaced by diag(s^2): each feature makes its own bias-variance trade-off in time, and the risk
                       is their superposition,
                       sum_i s_i^2 theta_i^2 (1 - eta_i s_i^2)^{2k} + (noise^2 / n) sum_i (1 - (1 - eta_i s_i^2)^k)^2;
                       good while d / n is small
    DescentRisk        exact for the X at hand: with E^{1/2} G E^{1/2} = V diag(l) V' the error of the k-th iterate is
                       E^{1/2} V [-(1 - l)^k V' E^{-1/2} theta + (1 - (1 - l)^k) / l  V' E^{1/2} X'z / n],
                       either as it came out (`realised`) or in expectation over z (`expected`)

Two features of different scale are learned at different times, and the risk can fall, rise and fall again. Step sizes
that bring all minima to one step (`matching_step_sizes`) end that, and reach the least risk that a choice of step sizes
and of one stopping time can reach under the approximation (`least_risk`).

Reference: Heckel, Yilmaz (2021), Early stopping in deep networks: double descent and how to eliminate it, ICLR,
arXiv:2007.10099, Theorem 1 and section 2. Cost: one eigendecomposition O(n d^2 + d^3), then O(T d^2) for T steps.
Fails: the approximation is off by a relative O(d / n), 5 % at d / n = 0.05; the limit of many steps is exactly
noise^2 d / (n - d - 1) in expectation over X (`least_squares_risk`), where the approximation says noise^2 d / n.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Figure, Panel, Series


@dataclass(frozen=True)
class RiskCurve:
    """Excess risk at each step in its two parts, each of shape (..., T); `total` is their sum.

    >>> RiskCurve(torch.tensor([0.4, 0.1]), torch.tensor([0.0, 0.2])).total
    tensor([0.4000, 0.3000])
    """

    bias: Tensor
    variance: Tensor

    @property
    def total(self) -> Tensor:
        """Bias plus variance, (..., T)."""
        return self.bias + self.variance

    def plot(self, steps: Tensor) -> Figure:
        """Draw the risk after each number of `steps` (T,) and its two parts, summed over features."""
        parts = {"risk": self.total, "bias": self.bias, "variance": self.variance}
        series = [
            Series(
                label=name, x=steps.cpu().numpy(), y=part.reshape(-1, len(steps)).sum(0).cpu().numpy(), role="theory"
            )
            for name, part in parts.items()
        ]
        panel = Panel(x=Axis(label="steps of gradient descent", log=True), y=Axis(label="excess risk"), series=series)
        return Figure(name="risk", title="Excess risk", caption="The risk and its two parts.", panels=[panel])


def approximate_risk(
    steps: Tensor, theta: Tensor, scales: Tensor, *, step_size: float | Tensor, noise: float, n: int
) -> RiskCurve:
    """Theorem 1: the contribution of each feature to the excess risk after each number of `steps`.

    `steps` is (T,), `theta` and `scales` are (d,), `step_size` is a number or (d,). Returns parts of shape (d, T): sum
    over the first axis for the risk. Nothing is random. Computed in float64.

    >>> theta, scales = torch.tensor([0.45, 3.0]), torch.tensor([1.0, 0.15])
    >>> parts = approximate_risk(torch.tensor([12, 30, 491]), theta, scales, step_size=0.1, noise=1.0, n=10)
    >>> [round(float(r), 4) for r in parts.total.sum(0)]
    [0.2596, 0.2694, 0.1669]
    """
    theta, scales, eta = _features(theta, scales, step_size)
    rate, k = (eta * scales**2)[:, None], _steps(steps)
    left = (1 - rate) ** k
    return RiskCurve((scales * theta)[:, None] ** 2 * left**2, noise**2 / n * (1 - left) ** 2)


class DescentRisk:
    """Excess risk of gradient descent on the designs `X` (..., n, d), at any steps, without iterating.

    `theta` and `scales` are (d,), `step_size` a number or (d,). Members are batched in front. Float64. Raises
    `InvalidInput` for shapes that do not fit and step sizes that are not positive.

    >>> X = torch.randn(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> exact = DescentRisk(X, torch.ones(2), torch.ones(2), step_size=0.1)
    >>> round(float(exact.expected(torch.tensor([0]), noise=1.0).total), 9)
    2.0
    """

    def __init__(self, X: Tensor, theta: Tensor, scales: Tensor, *, step_size: float | Tensor):
        self.theta, self.scales, eta = _features(theta, scales, step_size)
        if X.ndim < 2 or X.shape[-1] != len(self.theta):
            raise InvalidInput(f"X of shape {tuple(X.shape)} does not fit {len(self.theta)} features; give (..., n, d)")
        self.X, self.n = X.double(), X.shape[-2]
        self.root = eta.sqrt()
        W = self.X * self.root
        self.rates, V = torch.linalg.eigh(W.mT @ W / self.n)
        self.rates = self.rates.clamp(min=0)
        self._V = V
        self._weights = V.mT @ (eta * self.scales**2 * V.mT).mT  # the population covariance in the eigenbasis
        self._start = (V.mT @ (self.theta / self.root)[:, None])[..., 0]

    @property
    def stable(self) -> Tensor:
        """Whether descent converges, (...): the largest rate is below 2, and then the training loss never rises."""
        return self.rates[..., -1] < 2

    def expected(self, steps: Tensor, *, noise: float) -> RiskCurve:
        """Expectation over the label noise, given X: bias and variance, (..., T)."""
        left, gained = self._filters(_steps(steps))
        bias = self._start[..., None, :] * left
        spread = torch.diagonal(self._weights, dim1=-2, dim2=-1) * self.rates
        variance = noise**2 / self.n * (gained**2 @ spread[..., None])[..., 0]
        return RiskCurve(self._norm(bias), variance)

    def realised(self, steps: Tensor, t: Tensor) -> Tensor:
        """The risk that descent on the targets `t` (..., n) has after each number of steps, (..., T)."""
        left, gained = self._filters(_steps(steps))
        z = t.double() - self.X @ self.theta
        pull = self.root * (self.X.mT @ z[..., None])[..., 0] / self.n
        pull = (self._V.mT @ pull[..., None])[..., 0]
        return self._norm(gained * pull[..., None, :] - left * self._start[..., None, :])

    def _filters(self, k: Tensor) -> tuple[Tensor, Tensor]:
        """(1 - l)^k and (1 - (1 - l)^k) / l, each (..., T, d); the second is k at l = 0, free of cancellation."""
        rates, k = self.rates[..., None, :], k[:, None]
        left = (1 - rates) ** k
        small = rates.clamp(max=0.5)
        gained = torch.where(rates < 0.5, -torch.expm1(k * torch.log1p(-small)), 1 - left)
        return left, torch.where(rates > 0, gained / rates.clamp(min=torch.finfo(rates.dtype).tiny), k)

    def _norm(self, error: Tensor) -> Tensor:
        return ((error @ self._weights) * error).sum(-1)


def least_squares_risk(d: int, n: int, *, noise: float) -> float:
    """Expected excess risk of the least-squares fit over Gaussian designs, whatever their covariance: exact.

    noise^2 d / (n - d - 1), from the mean of the inverse Wishart law. Infinite for n = d, d + 1; for n < d there is
    no such fit and `InvalidInput` is raised.

    >>> round(least_squares_risk(2, 10, noise=1.0), 4)
    0.2857
    """
    if n < d:
        raise InvalidInput(f"n = {n} examples do not determine d = {d} coefficients; give n >= d")
    return noise**2 * d / (n - d - 1) if n > d + 1 else float("inf")


def least_risk(theta: Tensor, scales: Tensor, *, noise: float, n: int) -> float:
    """The least value that Theorem 1's risk takes over all step sizes and stopping times.

    With v = noise^2 / n, feature i has its minimum s_i^2 theta_i^2 v / (s_i^2 theta_i^2 + v); they add up when all are
    reached at one step.

    >>> round(least_risk(torch.tensor([0.45, 3.0]), torch.tensor([1.0, 0.15]), noise=1.0, n=10), 4)
    0.1339
    """
    theta, scales, _ = _features(theta, scales, 1.0)
    signal, v = (scales * theta) ** 2, noise**2 / n
    return float((signal * v / (signal + v)).sum())


def matching_step_sizes(theta: Tensor, scales: Tensor, *, noise: float, n: int, at: int) -> Tensor:
    """Step sizes (d,) that put the minimum of every feature's trade-off at step `at`, and so reach `least_risk`.

    (1 - eta_i s_i^2)^at = v / (s_i^2 theta_i^2 + v). Features of equal signal s_i |theta_i| get eta_i in proportion to
    1 / s_i^2.

    >>> theta, scales = torch.tensor([0.45, 3.0]), torch.tensor([1.0, 0.15])
    >>> eta = matching_step_sizes(theta, scales, noise=1.0, n=10, at=11)
    >>> round(float(eta[1] / eta[0]), 2), round(1 / 0.15**2, 2)
    (44.44, 44.44)
    """
    theta, scales, _ = _features(theta, scales, 1.0)
    if at < 1:
        raise InvalidInput(f"at = {at} is not a step of the descent; it must be 1 or more")
    if not noise > 0 or (scales <= 0).any():
        raise InvalidInput("without noise, or for a feature of scale 0, no step is best; give both positive")
    signal, v = (scales * theta) ** 2, noise**2 / n
    return (1 - (v / (signal + v)) ** (1 / at)) / scales**2


class Extremum(NamedTuple):
    """A turning point of a curve: at `index`, of `value`."""

    kind: Literal["min", "max"]
    index: int
    value: float


def extrema(values: np.ndarray | Tensor, *, tolerance: float = 0.01) -> list[Extremum]:
    """The turning points of a curve (T,), without those that are shallower than `tolerance` times its range.

    The curve is taken to come down to its first minimum; the last turning point may lie at its end. O(T).

    >>> [(e.kind, e.index) for e in extrema(np.array([3.0, 1.0, 2.0, 0.5, 0.501]))]
    [('min', 1), ('max', 2), ('min', 3)]
    """
    y = np.asarray(values, dtype=float)
    if y.ndim != 1 or not len(y) or not np.isfinite(y).all():
        raise InvalidInput(f"extrema of a curve of shape {y.shape}: it must be (T,), not empty, and finite")
    step, found = tolerance * np.ptp(y), []
    sign, best = 1, 0  # sign 1: looking for a minimum, -1: for a maximum
    for i, value in enumerate(y):
        if sign * value < sign * y[best]:
            best = i
        elif sign * (value - y[best]) > step:
            found.append(Extremum("min" if sign > 0 else "max", best, float(y[best])))
            sign, best = -sign, i
    return [*found, Extremum("min" if sign > 0 else "max", best, float(y[best]))]


def bump(values: np.ndarray | Tensor) -> float:
    """Height of a curve's highest peak above the higher of the lowest points before and after it; 0 if there is none.

    It is positive for a curve (T,) that falls, rises and falls again: a double descent in time. O(T).

    >>> bump(np.array([3.0, 1.0, 2.0, 0.5, 4.0])), bump(np.array([3.0, 1.0, 2.0]))
    (1.0, 0.0)
    """
    y = np.asarray(values, dtype=float)
    before, after = np.minimum.accumulate(y), np.minimum.accumulate(y[::-1])[::-1]
    return float((y - np.maximum(before, after)).max())


def _features(theta: Tensor, scales: Tensor, step_size: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    theta, scales = theta.double(), scales.double()
    if theta.ndim != 1 or theta.shape != scales.shape:
        raise InvalidInput(f"theta {tuple(theta.shape)} and scales {tuple(scales.shape)} must both be of shape (d,)")
    eta = torch.as_tensor(step_size, dtype=torch.float64, device=theta.device)
    if eta.ndim > 1 or (eta.ndim == 1 and len(eta) != len(theta)):
        raise InvalidInput(f"step_size of shape {tuple(eta.shape)}: give one number, or one for each feature")
    if not (torch.isfinite(eta) & (eta > 0)).all():
        raise InvalidInput(f"step_size = {step_size}: every step size must be positive and finite")
    return theta, scales, eta.expand(theta.shape)


def _steps(steps: Tensor) -> Tensor:
    if steps.ndim != 1 or (steps < 0).any():
        raise InvalidInput(f"steps of shape {tuple(steps.shape)}: give numbers of steps, 0 or more, as (T,)")
    return steps.double()
