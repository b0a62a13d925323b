"""Samples of `hastie_2022` and the conditional risk of least squares and ridge regression on them, exactly.

    x = S^(1/2) z,   y = <x, beta> + N(0, 1),   |beta|^2 = snr;   S = I, or half of the variances `weak`

The risk |S^(1/2) (estimate - beta)|^2 given X and beta is exact over the noise (`_conditional_risk`). It is averaged
over `directions` truths, uniform on their sphere, and over `draws` samples a seed: nothing else is left to chance.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from lemmata.studies._conditional_risk import ConditionalRisk
from lemmata.studies._ridge_asymptotics import Population, Risk, ridge_risk
from lemmata.study import Config, Measurements

F64 = torch.float64
RADII = (0.1, 1.9)  # squared, of mean 1: the radial law has one of them for all features of a sample
RIDGES = torch.logspace(-5, 5, 201, base=2.0, dtype=F64)  # in units of the optimum: where the best ridge is looked for


class Regression(Config):
    """Samples of one size and the risk of ridge regression on them."""

    n: int = Field(default=200, ge=2, description="samples")
    features: int = Field(default=400, ge=1, description="p; the aspect ratio is gamma = p / n")
    snr: float = Field(default=5.0, gt=0, description="|beta|^2, in units of the noise")
    ridge: float = Field(default=0.0, ge=0, description="in units of gamma / snr; 0 is least squares of minimum norm")
    law: Literal["gaussian", "rademacher", "radial"] = Field(default="gaussian", description="of z")
    weak: float = Field(default=1.0, gt=0, description="variance of every second half of the features")
    signal: Literal["all", "strong", "weak"] = Field(default="all", description="the features that carry beta")
    reference: float = Field(default=1.0, ge=0, description="the ridge compared with, in units of gamma / snr")
    draws: int = Field(default=3, ge=1, description="samples a seed")
    directions: int = Field(default=16, ge=1, description="truths a sample")

    @property
    def strong_features(self) -> int:
        """How many features have variance 1."""
        return (self.features + 1) // 2

    @property
    def unit(self) -> float:
        """The optimal ridge in theory, gamma / snr."""
        return self.features / self.n / self.snr

    @property
    def variances(self) -> Tensor:
        """The diagonal of S, (p,)."""
        v = torch.ones(self.features, dtype=F64)
        v[self.strong_features :] = self.weak
        return v

    @property
    def support(self) -> slice:
        """The features that carry beta."""
        middle = self.strong_features
        return {"all": slice(None), "strong": slice(middle), "weak": slice(middle, None)}[self.signal]

    def population(self) -> Population:
        """The spectrum, with beta as uniform directions make it."""
        strong, weak = self.strong_features, self.features - self.strong_features
        share = {"all": strong / self.features, "strong": 1.0, "weak": 0.0}[self.signal]
        signal = [self.snr * share, self.snr * (1 - share)]
        kept = slice(2 if weak else 1)
        values, counts = np.array([1.0, self.weak]), np.array([strong, weak])
        return Population(values[kept], counts[kept], np.array(signal)[kept], noise=1.0)

    def theory(self) -> Risk:
        """The limiting risk, of the general fixed point."""
        return ridge_risk(self.population(), self.n, self.ridge * self.unit)


def isotropic_risk(gamma: float, snr: float) -> float:
    """The limit for S = I without a ridge, in units of the noise; infinite at gamma = 1.

    >>> isotropic_risk(0.5, 5.0), isotropic_risk(2.0, 5.0)
    (1.0, 3.5)
    """
    if gamma == 1:
        return float("inf")
    return gamma / (1 - gamma) if gamma < 1 else snr * (1 - 1 / gamma) + 1 / (gamma - 1)


def sample(config: Regression, random: torch.Generator) -> Tensor:
    """X, (n, p), float64."""
    shape = config.n, config.features
    if config.law == "rademacher":
        z = 2.0 * torch.randint(2, shape, generator=random, dtype=torch.int8).to(F64) - 1
    else:
        z = torch.randn(shape, generator=random, dtype=F64)
    if config.law == "radial":
        squared = torch.tensor(RADII, dtype=F64)
        z = z * squared[torch.randint(2, (config.n, 1), generator=random)].sqrt()
    return z * config.variances.sqrt()


def truths(config: Regression, random: torch.Generator) -> Tensor:
    """Betas, (p, directions), uniform on the sphere of their support."""
    beta = torch.zeros(config.features, config.directions, dtype=F64)
    inner = beta[config.support]
    inner.normal_(generator=random)
    inner.mul_(config.snr**0.5 / inner.norm(dim=0))
    return beta


def measure(configs: Sequence[Regression]) -> list[Measurements]:
    """Each seed's samples are drawn and decomposed once for all ridges; members differ in seed and ridges alone."""
    risks: dict[int, list[ConditionalRisk]] = {}
    for config in configs:
        if config.seed not in risks:
            risks[config.seed] = drawn(config)
    return [measured(config, risks[config.seed]) for config in configs]


def drawn(config: Regression) -> list[ConditionalRisk]:
    """The samples of a seed, decomposed."""
    random = torch.Generator().manual_seed(config.seed)
    v = config.variances
    return [ConditionalRisk(sample(config, random), truths(config, random), v) for _ in range(config.draws)]


def measured(config: Regression, risks: Sequence[ConditionalRisk]) -> Measurements:
    """Risks, their deviation from theory and where the best ridge is."""
    ridge = config.ridge * config.unit
    bias = float(np.mean([one.bias(ridge) for one in risks]))
    variance = float(np.mean([one.variance(ridge) for one in risks]))
    reference = float(np.mean([one.total(config.reference * config.unit) for one in risks]))
    theory, risk = config.theory(), bias + variance
    gamma = config.features / config.n
    isotropic = isotropic_risk(gamma, config.snr)
    plain = config.weak == 1 and config.ridge == 0  # it is the same at every ridge
    best: dict[str, Any] = {"log2_best_ridge": float(np.log2(best_ridge(risks, config.unit)))} if plain else {}
    return Measurements.of(
        gamma=gamma, risk=risk, log_risk=float(np.log(risk)), bias=bias, variance=variance,
        predicted=theory.total, deviation=risk / theory.total - 1, stated_error=theory.relative_error,
        from_isotropic=risk / isotropic - 1, above_reference=risk / reference - 1, **best,
    )  # fmt: skip


def best_ridge(risks: Sequence[ConditionalRisk], unit: float) -> float:
    """The ridge of least mean risk, on a grid of ratio 1.035 from 1/32 to 32 times the optimum of theory; S = I."""
    ridges = unit * RIDGES
    return float(ridges[sum(one.over_ridges(ridges) for one in risks).argmin()])  # type: ignore[union-attr]
