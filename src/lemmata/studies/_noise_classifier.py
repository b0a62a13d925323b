"""The linear classifier of Nagarajan and Kolter (2019), with a signal and much noise, and its surrogate, exactly.

    x = (x1, x2),   x1 = 2 y u, |u|^2 = 1/m,   x2 = (P/D)^(1/2) g,   w = sum of y_i x_i,   P = 32

g is normal (Nagarajan and Kolter) or a corner of the hypercube {-1, 1}^D. Since w1.x1 = 4 y, all that is asked of a
sample is the pair (4 y, w2.x2), and the classifier is the sum of the two: a linear model in two dimensions, to which
`lemmata.bounds` is applied as it would be in 1 + D. With A_ij = y_i g_ij and k_j = sum_i A_ij, sample i has
y_i w2.x2_i = (P/D) A_i.k, and a fresh one w2.x2 = (P/D) k.g:

    normal       N(0, (P/D)^2 |k|^2), so that the risk is Phi(-4 D / (P |k|)), about Phi(-(D/m)^(1/2) / 8) for P = 32
    hypercube    a sum of whole numbers with fair signs, whose law is found by one Fourier transform

The surrogate keeps the weights of the signal and forgets those of the noise: sign of w1.x1. The randomised one draws
the latter anew: k from its own law.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from scipy.stats import norm
from torch import Tensor, nn

from lemmata.bounds import (
    linear_conditioning_surrogate,
    surrogate_bound,
    surrogate_decomposition,
    uniform_convergence_gap,
)
from lemmata.study import Config, Measurements

CHUNK = 20_000  # dimensions drawn at once
LEAST = 1e-300  # a risk of 0, for its quantile; a factor of 0 in a spectrum
SIGNAL = 4.0  # w1.x1 = 2 |u|^2 m 2
SPAN = 12.0  # standard deviations of a sum of signs that its lattice covers to either side


class NoiseClassifier(Config):
    """One sample, the classifier that a step of gradient descent makes of it, and a sample of the same law."""

    m: int = Field(default=200, ge=2, description="training samples")
    ratio: float = Field(default=500.0, gt=0, description="dimensions of noise for each sample, D / m")
    noise: Literal["hypercube", "gaussian"] = "hypercube"
    power: float = Field(default=32.0, ge=0, description="mean squared length P of the noise")
    fixed_size: bool = Field(default=False, description="P grows with D, from its value at 5 dimensions a sample")
    turned: Literal["noise", "signal"] = Field(default="noise", description="what has its sign changed in S'")
    kept: Literal["signal", "noise"] = Field(default="signal", description="weights that the surrogate knows")
    redrawn_power: float = Field(default=1.0, gt=0, description="P of the redrawn noise, in units of P")
    redraws: int = Field(default=5, ge=1, description="draws of the randomised surrogate")
    unlabelled: int = Field(default=2000, ge=1, description="fresh samples without labels, for the bound")

    @property
    def D(self) -> int:  # noqa: N802  (the literature's symbol)
        """Dimensions of noise."""
        return max(1, round(self.ratio * self.m))

    @property
    def P(self) -> float:  # noqa: N802
        """Mean squared length of the noise."""
        return self.power * (self.ratio / 5 if self.fixed_size else 1.0)


@dataclass(frozen=True)
class Draw:
    """What of a sample decides all errors: k (D,) and A k (m,), for labels y (m,) in -1, 1."""

    y: Tensor
    k: Tensor
    own: Tensor


def predicted_risk(ratio: float, power: float = 32.0) -> float:
    """The risk for D -> infinity at a fixed D / m: Phi(-4 (D/m)^(1/2) / P).

    >>> round(predicted_risk(128.0), 4)
    0.0786
    """
    return float(norm.sf(SIGNAL * ratio**0.5 / power)) if power else 0.0


def measure_classifiers(configs: Sequence[NoiseClassifier]) -> list[Measurements]:
    """Draw each sample and measure its classifier; members share nothing."""
    return [measured(config) for config in configs]


def measured(config: NoiseClassifier) -> Measurements:
    """Errors on the sample, of fresh samples and on S', the gap, the surrogate's errors and bound."""
    random = torch.Generator().manual_seed(config.seed)
    draw = drawn(config, random)
    risk = exact_risk(config, draw.k)
    x = torch.stack([SIGNAL * draw.y, config.P / config.D * draw.y * draw.own], 1)
    data = x, (draw.y > 0).long()
    model = nn.Linear(2, 1, bias=False, dtype=x.dtype).requires_grad_(False)
    model.weight.fill_(1.0)
    surrogate = linear_conditioning_surrogate(model, torch.tensor([config.kept == "signal", config.kept == "noise"]))
    signs = torch.tensor([1.0, -1.0] if config.turned == "noise" else [-1.0, 1.0], dtype=x.dtype)
    gap = uniform_convergence_gap(model, data, lambda x, y: (x * signs, y), risk=risk)
    of_surrogate = 0.0 if config.kept == "signal" else 0.5  # exactly: the sign of the label, or a symmetric noise
    parts = surrogate_decomposition(model, surrogate, data, risks=(risk, of_surrogate))
    fresh = torch.where(torch.rand(config.unlabelled, generator=random) < 0.5, -1.0, 1.0).double()
    noise = projections(config, draw.k, config.unlabelled, random)
    bound = surrogate_bound(model, surrogate, data, unlabelled=torch.stack([SIGNAL * fresh, noise], 1), log_prior=0.0)
    redrawn = config.model_copy(update={"power": config.power * config.redrawn_power})
    others = [exact_risk(redrawn, redrawn_sum(redrawn, random)) for _ in range(config.redraws)]
    return Measurements.of(
        train_error=gap.train_error, test_error=risk, turned_error=gap.transformed_error, gap=gap.value,
        z=-norm.ppf(max(risk, LEAST)), predicted=predicted_risk(config.ratio, config.P),
        surrogate_train=parts.surrogate_empirical, surrogate_test=of_surrogate,
        surrogate_gap=abs(parts.generalisation.value), misfit=parts.misfit, transfer=parts.transfer.value,
        bound=bound.value, randomised_risk=float(np.mean(others)), randomised_transfer=risk - float(np.mean(others)),
    )  # fmt: skip


def drawn(config: NoiseClassifier, random: torch.Generator) -> Draw:
    """A sample by chunks of its dimensions, in float64; memory is that of a chunk."""
    y = torch.where(torch.rand(config.m, generator=random) < 0.5, -1.0, 1.0).double()
    sums, own = [], torch.zeros(config.m, dtype=torch.float64)
    for start in range(0, config.D, CHUNK):
        shape = config.m, min(CHUNK, config.D - start)
        if config.noise == "gaussian":
            g = torch.randn(shape, generator=random)
        else:
            g = torch.randint(2, shape, generator=random, dtype=torch.int8).float().mul_(2).sub_(1)
        k = y.float() @ g
        own += y * (g @ k).double()
        sums.append(k.double())
    return Draw(y, torch.cat(sums), own)


def redrawn_sum(config: NoiseClassifier, random: torch.Generator) -> Tensor:
    """The sums k (D,) of another sample, by its law: N(0, m), or a binomial number of signs."""
    if config.noise == "gaussian":
        return config.m**0.5 * torch.randn(config.D, generator=random, dtype=torch.float64)
    half = torch.full((config.D,), 0.5, dtype=torch.float64)
    return 2 * torch.binomial(torch.full_like(half, config.m), half, generator=random) - config.m


def projections(config: NoiseClassifier, k: Tensor, n: int, random: torch.Generator) -> Tensor:
    """w2.x2 of n fresh samples, (n,)."""
    if config.noise == "gaussian":
        return config.P / config.D * float(k.norm()) * torch.randn(n, generator=random, dtype=torch.float64)
    values, counts = torch.unique(k.abs(), return_counts=True)
    tosses = counts.double().expand(n, -1)
    heads = torch.binomial(tosses, torch.full_like(tosses, 0.5), generator=random)
    return config.P / config.D * ((2 * heads - tosses) @ values)


def exact_risk(config: NoiseClassifier, k: Tensor) -> float:
    """The probability that the noise of a fresh sample outweighs its signal, given the weights."""
    if not config.P or not bool(k.any()):
        return 0.0
    least = SIGNAL * config.D / config.P
    if config.noise == "gaussian":
        return float(norm.sf(least / float(k.norm())))
    above, at = sum_of_signs(k.abs().round().long().numpy(), least)
    return above + at / 2  # where they are equal, class 0 is said


def sum_of_signs(k: np.ndarray, least: float) -> tuple[float, float]:
    """P(X > least) and P(X = least) for X = sum of k_j with fair signs, k (D,) whole and not negative.

    With T the sum of k, Z = (X + T mod 2) / 2 is whole and has the characteristic function prod of cos(k_j t / 2), up
    to a phase; its law on a circle of L points, on which X runs `SPAN` standard deviations to either
    side or as far as it goes, comes by one transform. What wraps round has a probability below 2 exp(-SPAN^2/2)
    (Hoeffding). Costs L / 2 cosines for one distinct k_j, and for each other as many as the factors before have not
    made 0; of many terms they leave few.

    >>> [round(p, 12) for p in sum_of_signs(np.array([1, 1, 2]), 2.0)]              # of 8 sums one is 4, two are 2
    [0.125, 0.25]
    """
    k = k[k > 0]
    step = int(np.gcd.reduce(k))
    values, counts = np.unique(k // step, return_counts=True)
    total, deviation = int(values @ counts), float(np.sqrt(values.astype(float) ** 2 @ counts))
    L = 1 << (min(total, math.ceil(SPAN * deviation)) + 2).bit_length()
    t = 2 * np.pi * np.arange(L // 2 + 1) / L
    phi, places = np.ones(1), np.arange(L // 2 + 1)
    for i in np.argsort(-(values**2) * counts):  # those first that leave the fewest frequencies
        phi = phi * np.cos(values[i] / 2 * t[places]) ** counts[i]
        left = np.abs(phi) > LEAST
        phi, places = phi[left], places[left]
    spectrum = np.zeros(len(t), dtype=complex)
    spectrum[places] = phi * np.exp(-0.5j * (total % 2) * t[places])  # irfft wants the conjugate
    law = np.fft.irfft(spectrum, L)
    X = step * (2.0 * np.fft.fftfreq(L, 1 / L) - total % 2)
    at = np.abs(X - least) < 1e-9 * max(1.0, abs(least))
    return float(law[(least < X) & ~at].sum()), float(law[at].sum())
