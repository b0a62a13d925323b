"""Least squares of minimum norm and its denoised surrogate in `negrea_2020`: risks, gaps and bounds, all exact.

    x ~ N(0, S),  S = diag(1, ..., 1, s^2, ..., s^2):  10 spiked and 4,000 weak dimensions,   y = x.theta + N(0, 1/4)

theta is (1, ..., 1) / 10^(1/2) on the spiked dimensions, so that the signal has variance 1. With labels y = f + e the
interpolator is h = X^+ y, its surrogate s = X^+ f. Risks are known, R = |S^(1/2) (w - theta)|^2 + noise^2. The sample
S' = (X, f - e) has the law of S, and h has the error 4 |e|^2 / n on it. Over all theta of norm at most 1 the
surrogate's excess risk is at most the largest eigenvalue of (I - P) S (I - P), P the projection on the rows of X; its
difference from the noise on the sample is that excess but for |e|^2 / n - noise^2, which knows nothing of X.

Theory, for n and d -> infinity: `predicted`.
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from scipy.optimize import brentq
from torch import Tensor

from lemmata.bounds import least_squares_surrogate, surrogate_decomposition
from lemmata.study import Config, Measurements


class Regression(Config):
    """One sample and the interpolator of minimum norm."""

    n: int = Field(default=200, ge=2, description="samples")
    spiked: int = Field(default=10, ge=0, description="dimensions of variance 1, which carry the signal")
    weak: int = Field(default=4000, ge=0, description="dimensions of small variance")
    scale: float = Field(default=0.1, gt=0, description="standard deviation of the weak dimensions")
    noise: float = Field(default=0.5, ge=0, description="standard deviation of the labels' noise")
    everywhere: bool = Field(default=False, description="the signal lies in the weak dimensions instead")

    @property
    def variances(self) -> np.ndarray:
        """The diagonal of S, (d,)."""
        return np.concatenate([np.ones(self.spiked), np.full(self.weak, self.scale**2)])

    @property
    def truth(self) -> np.ndarray:
        """Theta, (d,): the signal has variance 1."""
        theta = np.zeros(self.spiked + self.weak)
        part = slice(self.spiked, None) if self.everywhere else slice(self.spiked)
        theta[part] = 1.0
        return theta / np.sqrt(self.variances @ theta**2)


def predicted(config: Regression) -> tuple[float, float]:
    """The surrogate's excess risk, and what the answer to the noise adds, as n and d go to infinity together.

    Hastie, Montanari, Rosset, Tibshirani (2022): with kappa the root of sum v / (v + kappa) = n, v the variances, and
    gamma = sum (v / (v + kappa))^2 / n, they are sum v (kappa theta / (v + kappa))^2 / (1 - gamma) and noise^2 gamma /
    (1 - gamma). Fewer dimensions than samples: 0, and the classical noise^2 d / (n - d - 1).
    """
    v, theta = config.variances, config.truth
    if len(v) <= config.n:
        return 0.0, config.noise**2 * len(v) / max(config.n - len(v) - 1, 1e-12)
    kappa = float(brentq(lambda k: float((v / (v + k)).sum()) - config.n, 1e-12, 1e6))  # type: ignore[arg-type]
    gamma = float(((v / (v + kappa)) ** 2).sum()) / config.n
    bias = float((v * (kappa * theta / (v + kappa)) ** 2).sum()) / (1 - gamma)
    return bias, config.noise**2 * gamma / (1 - gamma)


def measure_regressions(configs: Sequence[Regression]) -> list[Measurements]:
    """Draw each sample and solve for both predictors; members share nothing."""
    return [measured(config) for config in configs]


def measured(config: Regression) -> Measurements:
    """Excess risks of h and s, errors on S and S', their gaps and the surrogate's uniform bound."""
    random = torch.Generator().manual_seed(config.seed)
    v, theta = torch.tensor(config.variances), torch.tensor(config.truth)
    x = torch.randn(config.n, len(v), generator=random, dtype=torch.float64) * v.sqrt()
    f, e = x @ theta, config.noise * torch.randn(config.n, generator=random, dtype=torch.float64)
    found = least_squares_surrogate(x, f + e, f)
    h, s = found.model.weight[0], found.surrogate.weight[0]
    excess, of_surrogate = (float(v @ (w - theta) ** 2) for w in (h, s))
    noise = config.noise**2
    parts = surrogate_decomposition(
        found.model, found.surrogate, (x, f + e), risks=(excess + noise, of_surrogate + noise), loss="squared"
    )
    turned = float((x @ h - (f - e)).square().mean())
    bias, variance = predicted(config)
    uniform = uniform_bound(x, v)
    return Measurements.of(
        train_error=parts.empirical, excess=excess, surrogate_excess=of_surrogate,
        surrogate_train=parts.surrogate_empirical, noise_part=float(v @ found.noise_part**2),
        turned_error=turned, gap=abs(turned - excess - noise), surrogate_gap=abs(parts.generalisation.value),
        transfer=parts.transfer.value, misfit=parts.misfit, uniform=uniform,
        slack=uniform * float(theta @ theta) - of_surrogate,
        predicted_surrogate=bias, predicted_noise=variance, predicted_excess=bias + variance,
    )  # fmt: skip


def uniform_bound(x: Tensor, v: Tensor) -> float:
    """The largest eigenvalue of (I - P) S (I - P): the excess risk of the surrogate of the worst truth of norm 1.

    x (n, d), v (d,) the diagonal of S, of which k exceed the least, s^2. Where P is not all, it is s^2 plus the largest
    eigenvalue of B^T (I - P) B with B^2 = S - s^2 I, which has k rows. Products of n^2 d and k^2 n, not one of d^2.
    """
    squares, left = torch.linalg.eigh(x @ x.T)
    kept = squares > len(x) * torch.finfo(x.dtype).eps * squares[-1]
    if int(kept.sum()) == len(v):
        return 0.0
    least = v.min()
    above = v > least
    rows = (left[:, kept].T @ x[:, above]) / squares[kept, None].sqrt()  # a basis of what P projects on, these columns
    B = (v[above] - least).sqrt()
    inside = torch.diag(B.square()) - (rows * B).T @ (rows * B)
    return float(least + torch.linalg.eigvalsh(inside)[-1].clamp(min=0)) if len(B) else float(least)
