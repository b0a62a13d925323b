"""The model of `kaplan_2020`: linear regression on a power-law spectrum, whose scaling laws have known exponents.

    x_i ~ N(0, i^-alpha),   y = sum_i theta_i x_i + N(0, noise^2),   i^-alpha theta_i^2 = i^-(1 + b),   i = 1, 2, ...

The teacher has infinitely many features; the student sees the first N of them ("parameters") on n samples and takes the
interpolator of minimum norm (least squares for N < n). The features are independent, so that those it does not see are
exactly noise of variance sum_{i > N} i^-(1 + b) = zeta(1 + b, N + 1), which is about N^-b / b, and the loss without the
noise of the labels is

    L(N, n) = zeta(1 + b, N + 1) + excess risk of N features on n samples.

Known exponents, for noise = 0:
    in samples, N -> infinity      n^-min(b, 2 alpha)  (source b; b = 2 alpha is the saturation)
    in parameters, n -> infinity   N^-b
    with noise, in samples         none: the loss tends to noise^2 (alpha - 1), for N -> infinity

Excess risks are exact given X (`_conditional_risk`).
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from scipy.special import zeta

from lemmata.studies._conditional_risk import F64, ConditionalRisk
from lemmata.studies._ridge_asymptotics import Population, ridge_risk
from lemmata.study import Config, Measurements


class PowerLaw(Config):
    """A teacher and its student on samples of one size."""

    n: int = Field(default=256, ge=2, description="samples")
    features: int = Field(default=4096, ge=1, description="N, the student's features: its parameters")
    alpha: float = Field(default=1.5, gt=1, description="decay of the variances")
    b: float = Field(default=1.0, gt=0, description="source: decay of the signal, less 1")
    noise: float = Field(default=0.0, ge=0, description="standard deviation of the labels' noise")
    ridge: float = Field(default=0.0, ge=0, description="0: interpolation")
    rows: int = Field(default=1024, ge=1, description="of samples drawn a seed, or n if that is more")

    @property
    def draws(self) -> int:
        """Samples a seed, over which the loss is averaged."""
        return max(1, self.rows // self.n)

    @property
    def unseen(self) -> float:
        """The signal beyond the student's features."""
        return float(zeta(1 + self.b, self.features + 1))

    @property
    def noise_variance(self) -> float:
        """Of what the student cannot tell from noise."""
        return self.noise**2 + self.unseen

    @property
    def variances(self) -> np.ndarray:
        """i^-alpha, (N,)."""
        return np.arange(1.0, self.features + 1) ** -self.alpha

    @property
    def truth(self) -> np.ndarray:
        """Theta, (N,)."""
        return np.arange(1.0, self.features + 1) ** ((self.alpha - 1 - self.b) / 2)

    def theory(self) -> tuple[float, float]:
        """The limiting loss of the interpolator and its stated relative error."""
        population = Population(self.variances, np.ones(self.features), self.truth**2, self.noise_variance)
        risk = ridge_risk(population, self.n)
        return self.unseen + risk.total, risk.relative_error


def measure(configs: Sequence[PowerLaw]) -> list[Measurements]:
    """Members of one seed share their samples: they differ in source and noise alone."""
    by_source = {config.b: config for config in configs}
    sources, risks = list(by_source), {}
    for config in configs:
        if config.seed not in risks:
            risks[config.seed] = bias_and_variance(config, [by_source[b].truth for b in sources])
    return [_measured(config, risks[config.seed][0][sources.index(config.b)], risks[config.seed][1])
            for config in configs]  # fmt: skip


def bias_and_variance(config: PowerLaw, truths: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """Means over a seed's samples: the bias of each truth (k,), and the variance for noise of variance 1."""
    random, v = torch.Generator().manual_seed(config.seed), torch.tensor(config.variances)
    beta = torch.tensor(np.stack(truths, axis=1))
    biases, variances = [], []
    for _ in range(config.draws):
        x = torch.randn(config.n, config.features, generator=random, dtype=F64) * v.sqrt()
        risk = ConditionalRisk(x, beta, v)
        biases.append(risk.biases(config.ridge).numpy())
        variances.append(risk.variance(config.ridge))
    return np.mean(biases, 0), float(np.mean(variances))


def _measured(config: PowerLaw, bias: float, variance: float) -> Measurements:
    loss = config.unseen + bias + config.noise_variance * variance
    predicted, error = config.theory()
    return Measurements.of(
        loss=loss, bias=bias, unseen=config.unseen, predicted=predicted, deviation=loss / predicted - 1,
        stated_error=error,
    )  # fmt: skip
