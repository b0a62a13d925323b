"""Random-features ridge regression of `mei_montanari_2022` on the sphere, and its exact risk given X and Theta.

    s(<theta_i, x> / d^(1/2)),   s(t) = max(t, 0) - c,   x and theta_i uniform on the sphere of radius d^(1/2)

c = E max(t, 0) on the sphere, so that features are centred. ReLU is homogeneous: with r = <theta_i, theta_j> / d fresh
inputs have

    E s_i s_j = ((1 - r^2)^(1/2) + r (pi - arccos r)) / (2 pi) - c^2  (the arc-cosine kernel),
    E s_i <beta, x> = <theta_i, beta> / (2 d^(1/2)),      c = (d / (2 pi))^(1/2) / E |g|,  g normal in d dimensions.

No test set is drawn, nor noise, nor beta, over whose directions the risk is averaged too. With features Phi = W s V^T
on X (n, d), the filter f = s / (s^2 + n psi1 ridge), T = W^T X, U the matrix of E s_i s_j, H = Theta^T / (2 d^(1/2))
and |beta| = 1,

    bias = 1 - 2/d sum_i f_i (T H V)_ii + 1/d sum_ij f_i f_j (V^T U V)_ij (T T^T)_ij,
    variance = noise sum_i f_i^2 (V^T U V)_ii .
"""

from collections.abc import Sequence
from math import exp, lgamma, pi

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.studies._conditional_risk import F64
from lemmata.studies._mei_montanari_2022_theory import limiting_risk, optimal_ridge
from lemmata.study import Config, Measurements

MOMENTS = {"mu1": 0.5, "mu_rest": (0.5 - 0.25 - 1 / (2 * pi)) ** 0.5, "signal": 1.0}  # of ReLU; |beta| = 1


class RandomFeatures(Config):
    """Random-features regression of one size."""

    d: int = Field(default=100, ge=2, description="dimension")
    n: int = Field(default=300, ge=2, description="samples; psi2 = n / d")
    features: int = Field(default=1000, ge=1, description="N; psi1 = N / d")
    ridge: float = Field(default=0.0, ge=0, description="lambda; 0 is the interpolator of least norm")
    tuned: bool = Field(default=False, description="the ridge that theory has as the best, instead")
    subspace: float = Field(default=1.0, gt=0, le=1, description="share of the dimensions that the thetas lie in")
    snr: float = Field(default=10.0, gt=0, description="|beta|^2 = 1 over the variance of the noise")

    @property
    def penalty(self) -> float:
        """The ridge that is used."""
        if not self.tuned:
            return self.ridge
        return optimal_ridge(self.features / self.d, self.n / self.d, **MOMENTS, noise=1 / self.snr)

    def theory(self) -> tuple[float, float]:
        """The limiting risk, and its stated relative error, 3 / (n - df2) + 3 / d."""
        risk, parts = limiting_risk(
            self.features / self.d, self.n / self.d, self.penalty, **MOMENTS, noise=1 / self.snr, d=self.d
        )  # fmt: skip
        return risk, parts.relative_error + 3 / self.d


def sphere(rows: int, d: int, random: torch.Generator) -> Tensor:
    """Uniform points (rows, d) on the sphere of radius d^(1/2)."""
    points = torch.randn(rows, d, generator=random, dtype=F64)
    return points * (d**0.5 / points.norm(dim=1, keepdim=True))


def mean_relu(d: int) -> float:
    """E max(t, 0) for t a coordinate of a uniform point on the sphere of radius d^(1/2); (2 pi)^(-1/2) for large d.

    >>> round(mean_relu(1), 12), round(mean_relu(10**6), 5)
    (0.5, 0.39894)
    """
    mean_length = 2**0.5 * exp(lgamma((d + 1) / 2) - lgamma(d / 2))
    return (d / (2 * pi)) ** 0.5 / mean_length


def activation(x: Tensor, theta: Tensor) -> Tensor:
    """Centred features of inputs x (m, d): (m, N)."""
    d = x.shape[1]
    return (x @ theta.T / d**0.5).clamp(min=0) - mean_relu(d)


def population_gram(theta: Tensor) -> Tensor:
    """E s_i s_j over fresh inputs, (N, N)."""
    d = theta.shape[1]
    r = (theta @ theta.T / d).clamp(-1, 1)
    return ((1 - r.square()).sqrt() + r * (pi - r.arccos())) / (2 * pi) - mean_relu(d) ** 2


class FeatureRisk:
    """The risk given X and Theta, as a function of the ridge; 2 N^2 min(n, N) flops, then O(min(n, N)^2) a ridge."""

    def __init__(self, x: Tensor, theta: Tensor):
        self.n, d = x.shape
        self.d, self.psi1 = d, len(theta) / d
        phi = activation(x, theta)
        wide = len(theta) >= self.n
        squares, basis = torch.linalg.eigh(phi @ phi.T if wide else phi.T @ phi)
        self.s = squares.clamp(min=0).sqrt()
        left = basis if wide else phi @ (basis / self.s)  # W, (n, m)
        right = phi.T @ (basis / self.s) if wide else basis  # V, (N, m)
        T = left.T @ x
        self.gram = right.T @ (population_gram(theta) @ right)
        self.inputs = T @ T.T
        self.cross = (T * (right.T @ theta)).sum(1) / (2 * d**0.5)

    def bias_and_variance(self, ridge: float) -> tuple[float, float]:
        """For a signal of 1, averaged over directions, and for noise of variance 1."""
        f = self.s / (self.s.square() + self.n * self.psi1 * ridge)
        quadratic = f @ ((self.gram * self.inputs) @ f)
        bias = 1 + float(quadratic - 2 * f @ self.cross) / self.d
        return bias, float(f.square() @ self.gram.diagonal())


def measure(configs: Sequence[RandomFeatures]) -> list[Measurements]:
    """Members of one seed share X and Theta: they differ in ridge and noise alone."""
    risks: dict[int, FeatureRisk] = {}
    for config in configs:
        if config.seed not in risks:
            random = torch.Generator().manual_seed(config.seed)
            x = sphere(config.n, config.d, random)
            theta = torch.zeros(config.features, config.d, dtype=F64)
            inner = max(1, round(config.subspace * config.d))
            theta[:, :inner] = sphere(config.features, inner, random) * (config.d / inner) ** 0.5
            risks[config.seed] = FeatureRisk(x, theta)
    return [_measured(config, risks[config.seed]) for config in configs]


def _measured(config: RandomFeatures, risks: FeatureRisk) -> Measurements:
    bias, variance = risks.bias_and_variance(config.penalty)
    risk = bias + variance / config.snr
    free = risks.bias_and_variance(0.0)
    predicted, error = config.theory()
    return Measurements.of(
        psi1=config.features / config.d, risk=risk, log_risk=float(np.log(risk)), bias=bias, variance=variance,
        penalty=config.penalty, predicted=predicted, deviation=risk / predicted - 1, stated_error=error,
        over_interpolator=risk / (free[0] + free[1] / config.snr),
    )  # fmt: skip
