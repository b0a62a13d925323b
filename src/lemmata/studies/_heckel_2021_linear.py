"""Linear regression on features of two scales, by gradient descent: the first experiment of `heckel_2021`.

Half of the d features have scale 1 and half `slow_scale`, every feature the same signal. Every step of descent is
taken; the closed forms are there for comparison only.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.data.synthetic import scaled_features
from lemmata.regression.early_stopping import DescentRisk, approximate_risk, bump
from lemmata.regression.early_stopping_finite_n import finite_n_risk
from lemmata.study import Config, Curve, Measurements

SIGNAL = 0.45  # root of the signal of each half of the features: s = 1 with |theta| = 0.45, s = 0.15 with |theta| = 3
# the step size of the slow half, as a multiple of the fast half's, that matches them; Figure 2 (right) has 43
MATCHED = round(1 / 0.15**2, 4)
NUMBERS = {"features": 10, "n": 500}  # where Theorem 1 is a few percent off, for its numbers
LEFT_OUT, LEFT_OUT_THEN = 0.04, 0.0004  # there, 2 d / n and (d / n)^2: what the theorem and its 1/n term leave out
OWN = {"features": 2, "n": 10}  # Figure 2's own
TURNS = {"first_minimum": 12, "peak": 30, "second_minimum": 491}  # steps where the curve of Figure 2 turns


class Linear(Config):
    """Features of two scales, and gradient descent on them."""

    features: int = Field(default=100, ge=2, multiple_of=2, description="d; one half fast, one half slow")
    n: int = Field(default=2000, ge=2, description="examples")
    draws: int = Field(default=1, ge=1, description="independent data sets that one seed averages")
    slow_scale: float = Field(default=0.15, gt=0, description="s of the slow half; the fast half has 1")
    noise_risk: float = Field(default=0.2, gt=0, description="noise^2 d / n, the risk after many steps")
    step_size: float = Field(default=0.1, gt=0, description="eta of the fast half")
    slow_step: float = Field(default=1.0, gt=0, description="eta of the slow half, as a multiple of the fast half's")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="share of the last step that is taken again")
    steps: int = Field(default=3000, ge=max(TURNS.values()), description="of descent; Figure 2's last turn is one")

    @property
    def theta(self) -> Tensor:
        """Coefficients: the same signal s_i^2 theta_i^2 in every feature."""
        return SIGNAL / math.sqrt(self.features // 2) / self.scales

    @property
    def scales(self) -> Tensor:
        """Standard deviations of the features."""
        half = self.features // 2
        return torch.tensor([1.0] * half + [self.slow_scale] * half, dtype=torch.float64)

    @property
    def rates(self) -> Tensor:
        """Step sizes of the features."""
        half = self.features // 2
        return self.step_size * torch.tensor([1.0] * half + [self.slow_step] * half, dtype=torch.float64)

    @property
    def noise(self) -> float:
        """Standard deviation of the label noise."""
        return math.sqrt(self.noise_risk * self.n / self.features)

    @property
    def marks(self) -> list[int]:
        """The recorded steps: 300, evenly spaced in their logarithm, and those of Figure 2's turning points."""
        spaced = np.geomspace(1, self.steps, 300).astype(int).tolist()
        return sorted({0, *spaced, *(k for k in TURNS.values() if k <= self.steps)})

    def theory(self) -> dict[str, np.ndarray]:
        """What formulas say at the marks: Theorem 1, in all and by half, and the expectation to order 1/n."""
        k, theta, scales, eta, noise = torch.tensor(self.marks), self.theta, self.scales, self.rates, self.noise
        parts = approximate_risk(k, theta, scales, step_size=eta, noise=noise, n=self.n).total
        halves = parts.unflatten(0, (2, -1)).sum(1)
        expected = finite_n_risk(k, theta, scales, step_size=eta, noise=noise, n=self.n).total
        curves = {"theorem": parts.sum(0), "fast": halves[0], "slow": halves[1], "expected": expected}
        return {name: curve.numpy() for name, curve in curves.items()}


def run_linear(configs: Sequence[Linear]) -> list[Measurements]:
    """Take every step of gradient descent on all draws of all seeds at once, and record the risk at the marks."""
    first, k = configs[0], torch.tensor(configs[0].marks)
    theta, scales, eta = first.theta, first.scales, first.rates
    seeds = [_data(config) for config in configs]
    G, b, power = (torch.cat(part) for part in zip(*(seed[:3] for seed in seeds), strict=True))
    w, moved, risks, losses = torch.zeros_like(b), torch.zeros_like(b), [], []
    for step in range(first.steps + 1):
        Gw = G @ w
        if step == first.marks[len(risks)]:
            risks.append(((w[..., 0] - theta) * scales).square().unflatten(-1, (2, -1)).sum(-1))
            losses.append(power + (w * (Gw - 2 * b)).sum((1, 2)))
        moved = first.momentum * moved - eta[:, None] * (Gw - b)
        w = w + moved
    by_half = torch.stack(risks, dim=1).unflatten(0, (len(configs), -1))  # (seed, draw, mark, half)
    X, t = (torch.stack(part) for part in zip(*(seed[3:] for seed in seeds), strict=True))
    closed = DescentRisk(X, theta, scales, step_size=eta).realised(k, t)
    loss = torch.stack(losses, dim=1).unflatten(0, (len(configs), -1)).mean(1)
    return [_linear_member(first, by_half[i], loss[i], closed[i]) for i in range(len(configs))]


def _data(config: Linear) -> tuple[Tensor, ...]:
    """X'X / n (draws, d, d), X't / n (draws, d, 1) and |t|^2 / n (draws,) of a seed; and its first draw of X and t."""
    generator = torch.Generator().manual_seed(config.seed)
    n = (config.draws, config.n)
    X, t = scaled_features(n, config.theta, config.scales, noise=config.noise, generator=generator)
    return X.mT @ X / config.n, X.mT @ t[..., None] / config.n, t.square().mean(-1), X[0], t[0]


def _linear_member(config: Linear, by_half: Tensor, loss: Tensor, closed: Tensor) -> Measurements:
    """Measure one seed: `by_half` (draws, T, 2) is the risk of each half, `loss` (T,), `closed` (T,)."""
    marks, halves = np.asarray(config.marks), by_half.mean(0).numpy()
    risk, theory = halves.sum(1), config.theory()
    theorem, expected = theory["theorem"], theory["expected"]
    at = {name: config.marks.index(k) for name, k in TURNS.items()}
    one = by_half[0].sum(-1)

    compared = _errors_of_mean(
        by_half.sum(-1), risk, {"theorem": (theorem, LEFT_OUT), "expected": (expected, LEFT_OUT_THEN)}
    )
    at_turns: dict[str, Any] = {f"risk_at_{name}": risk[i] for name, i in at.items()}
    return Measurements.of(
        risk=Curve(marks, risk),
        risk_fast=Curve(marks, halves[:, 0]),
        risk_slow=Curve(marks, halves[:, 1]),
        train_loss=Curve(marks, loss.numpy()),
        best_risk=risk.min(),
        log10_best_step=math.log10(max(marks[risk.argmin()], 1)),  # where no step is better than none, as of the first
        identity=(one - closed).abs().max() / one.max(),
        off_expected=np.mean([risk[i] / expected[i] - 1 for i in at.values()]),
        off_theorem=np.abs(risk / theorem - 1).max(),
        bump_of_halves=max(bump(half) for half in halves.T),
        **at_turns,
        **compared,
    )


def _errors_of_mean(draws: Tensor, risk: np.ndarray, theories: dict[str, tuple[np.ndarray, float]]) -> dict[str, Any]:
    """How many standard errors, at most over all steps, the mean risk is beyond what each theory allows itself.

    `draws` (draws, T) are what `risk` (T,) is the mean of; a theory is a curve (T,) and its own relative error.
    """
    if len(draws) < 2:
        return {}
    error = draws.std(0).numpy() / math.sqrt(len(draws))
    moved = error > 0  # before the first step the risk is known
    beyond = {name: np.abs(risk - curve) - own * curve for name, (curve, own) in theories.items()}
    return {f"errors_off_{name}": (excess[moved] / error[moved]).max() for name, excess in beyond.items()}
