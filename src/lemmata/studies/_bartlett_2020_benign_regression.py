"""Samples of `bartlett_2020_benign`: the exact risk given X of the interpolator of minimum norm, and effective ranks.

    x = S^(1/2) z, z ~ N(0, I),   y = <x, theta> + N(0, noise^2),   theta = `signal` times the first eigenvector of S

    spike      eigenvalues 1 and p - 1 times 1/p, p = 500 (n / 50)^growth
    power      eigenvalues i^-alpha, i = 1, ..., 20 n
    isotropic  eigenvalues 1, p = aspect n

The risk is a function of the two n x n matrices G = X X^T and H = X S X^T and of u = X theta: with K = (G + n ridge)^-1

    bias = l theta^2 - 2 l u.K u + u.K H K u,      variance = noise^2 tr K H K,      l the first eigenvalue.

Of a block of m >= n equal eigenvalues only Z Z^T matters, which has Wishart's law and is drawn by its triangular factor
(Bartlett, 1933): n^2 / 2 numbers instead of n m, without approximation.

Effective ranks of the eigenvalues l_1 >= l_2 >= ...: r_k = sum_{i>k} l_i / l_{k+1}, R_k = (sum_{i>k} l_i)^2 /
sum_{i>k} l_i^2, and k* = min {k : r_k >= b n}, here with b = 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field
from scipy.linalg import cho_factor, cho_solve

from lemmata.studies._ridge_asymptotics import Population, Risk, ridge_risk
from lemmata.study import Config, Measurements

RADII = np.array([0.1, 1.9])  # squared, of mean 1


class Interpolation(Config):
    """One sample and its interpolator."""

    n: int = Field(default=400, ge=2, description="samples")
    spectrum: Literal["spike", "power", "isotropic"] = Field(default="spike", description="eigenvalues of S")
    growth: float = Field(default=2.0, ge=1, description="exponent of p in n (spike)")
    alpha: float = Field(default=2.0, gt=0, description="decay of the eigenvalues (power)")
    aspect: float = Field(default=1.2, gt=1, description="p / n (isotropic)")
    noise: float = Field(default=1.0, gt=0, description="standard deviation of the labels' noise")
    signal: float = Field(default=1.0, ge=0, description="norm of theta")
    ridge: float = Field(default=0.0, ge=0, description="0: interpolation")
    draws: int = Field(default=8, ge=1, description="samples a seed")
    radial: bool = Field(default=False, description="each sample has a random length: features are not independent")

    @property
    def blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues in falling order, the first of them simple, and how many there are of each."""
        if self.spectrum == "power":
            i = np.arange(1, 20 * self.n + 1)
            return i**-self.alpha, np.ones(len(i))
        if self.spectrum == "isotropic":
            return np.array([1.0, 1.0]), np.array([1, round(self.aspect * self.n) - 1])
        p = round(500 * (self.n / 50) ** self.growth)
        return np.array([1.0, 1.0 / p]), np.array([1, p - 1])

    def theory(self) -> Risk:
        """The limiting risk, of the fixed point."""
        values, counts = self.blocks
        signal = np.zeros(len(values))
        signal[0] = self.signal**2
        return ridge_risk(Population(values, counts, signal, self.noise**2), self.n, self.ridge)


@dataclass(frozen=True)
class EffectiveRanks:
    """r_0, k* and R_k*, of which the bound is made; k* is infinite and R_k* NaN where no k has r_k >= n."""

    r0: float
    k_star: float
    R: float

    def terms(self, n: int) -> tuple[float, float, float]:
        """r_0 / n, k* / n and n / R_k*: overfitting is benign if and only if all vanish with n."""
        return self.r0 / n, self.k_star / n, n / self.R


def effective_ranks(values: np.ndarray, counts: np.ndarray, n: int) -> EffectiveRanks:
    """Of eigenvalues in falling order with their multiplicities, (m,) each; O(p) memory.

    >>> effective_ranks(np.array([1.0, 0.01]), np.array([1, 1000]), 50)
    EffectiveRanks(r0=11.0, k_star=1.0, R=1000.0)
    """
    every = np.repeat(values, counts.astype(int))
    tails, squares = (np.cumsum(powers[::-1])[::-1] for powers in (every, every**2))
    ranks = tails / every
    large = np.flatnonzero(ranks >= n * (1 - 1e-12))
    r0 = float(round(ranks[0], 9))
    if not len(large):
        return EffectiveRanks(r0, np.inf, np.nan)
    k = int(large[0])
    return EffectiveRanks(r0, float(k), float(round(tails[k] ** 2 / squares[k], 6)))


def wishart(n: int, m: int, random: np.random.Generator) -> np.ndarray:
    """Z Z^T, (n, n), for Z (n, m) of independent normal numbers, m >= n."""
    factor = np.tril(random.standard_normal((n, n)), -1)
    factor[np.diag_indices(n)] = np.sqrt(random.chisquare(m - np.arange(n)))
    return factor @ factor.T


def products(config: Interpolation, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """G (n, n), H (n, n) and u (n,) of one sample."""
    values, counts = config.blocks
    single, blocks = counts < config.n, np.flatnonzero(counts >= config.n)
    z = random.standard_normal((config.n, int(counts[single].sum())))
    G, H = ((z * values[single] ** power) @ z.T for power in (1, 2))
    for block in blocks:
        W = wishart(config.n, int(counts[block]), random)
        G, H = G + values[block] * W, H + values[block] ** 2 * W
    u = config.signal * values[0] ** 0.5 * z[:, 0]
    if config.radial:
        length = np.sqrt(random.choice(RADII, config.n))
        G, H, u = length[:, None] * G * length, length[:, None] * H * length, length * u
    return G, H, u


def measure(configs: Sequence[Interpolation]) -> list[Measurements]:
    """Members share nothing."""
    return [measured(config) for config in configs]


def measured(config: Interpolation) -> Measurements:
    """Means over a seed's samples of bias and variance, the largest residual, effective ranks and theory."""
    random = np.random.default_rng(config.seed)
    bias, variance, residual = np.array([drawn(config, random) for _ in range(config.draws)]).T
    excess, theory = float((bias + variance).mean()), config.theory()
    r0, k_star, R = effective_ranks(*config.blocks, config.n).terms(config.n)
    return Measurements.of(
        excess=excess, bias=bias.mean(), variance=variance.mean(), residual=residual.max(),
        predicted=theory.total, deviation=excess / theory.total - 1, stated_error=theory.relative_error,
        r0_over_n=r0, k_over_n=k_star, n_over_R=R, largest_term=max(r0, k_star, R),
        of_terms=excess / (config.noise**2 * (k_star + R)),
    )  # fmt: skip


def drawn(config: Interpolation, random: np.random.Generator) -> tuple[float, float, float]:
    """Bias and variance of one sample, and the largest residual of the fit to one draw of the noise, relative to y."""
    G, H, u = products(config, random)
    y = u + config.noise * random.standard_normal(config.n)
    factor = cho_factor(G + config.n * config.ridge * np.eye(config.n))
    inner, weights = cho_solve(factor, u), cho_solve(factor, y)
    first = float(config.blocks[0][0])
    bias = first * config.signal**2 - 2 * first * float(u @ inner) + float(inner @ H @ inner)
    variance = config.noise**2 * float(np.trace(cho_solve(factor, cho_solve(factor, H).T)))
    return bias, variance, float(np.abs(G @ weights - y).max() / np.abs(y).max())
