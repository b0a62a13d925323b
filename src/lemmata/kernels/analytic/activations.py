"""Dual activations in closed form: what one layer of nonlinearities does to a Gaussian kernel.

With (u, v) normal, of covariance [[a, c], [c, b]], an activation phi turns the kernel of the pre-activations into

    K(a, b, c) = E phi(u) phi(v)         K'(a, b, c) = E phi'(u) phi'(v) = dK/dc

Each activation here gives both, for blocks of pairs and for the diagonals (c = a = b). The rectifiers (ReLU, leaky
ReLU, absolute value, identity) work on deficits 1 - cos, everything else on covariances.

Sources: Cho, Saul (2009), equations 3 to 6 (ReLU); Williams (1997), equation 11 (erf); Daniely, Frostig, Singer (2016)
(dual activations, Hermite); Pearce, Tsuchida, Zaki, Brintrup, Neely (2020) (sine, cosine); GELU by Stein's lemma, as
the derivation page has it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput
from lemmata.kernels.analytic.hermite import HermiteExpansion
from lemmata.kernels.analytic.pairs import Covariance, Pairs
from lemmata.kernels.analytic.rectifier import Rectifier


class Activation(Protocol):
    """A nonlinearity by its dual: `form` says which form of a kernel `dual` takes and gives."""

    @property
    def form(self) -> type[Pairs]:
        """The form of `Pairs` that the dual is written for."""
        ...

    def dual(self, kernel: Pairs) -> tuple[Pairs, Pairs]:
        """(K, K') of the kernel of the pre-activations."""
        ...


class _OnCovariances(ABC):
    """An activation that gives K and K' from a, b and c."""

    form: type[Pairs] = Covariance

    @abstractmethod
    def moments(self, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """E phi(u) phi(v) and E phi'(u) phi'(v), tensors that broadcast."""

    def dual(self, kernel: Pairs) -> tuple[Covariance, Covariance]:
        """(K, K') of the kernel of the pre-activations."""
        a, b = kernel.left, kernel.right
        left, right, entries = self.moments(a, a, a), self.moments(b, b, b), self.moments(a, b, kernel.values)
        return Covariance(left[0], right[0], entries[0]), Covariance(left[1], right[1], entries[1])


@dataclass(frozen=True)
class Erf(_OnCovariances):
    """phi(u) = amplitude erf(frequency u) + offset: the arcsine kernel."""

    amplitude: float = 1.0
    frequency: float = 1.0
    offset: float = 0.0

    def moments(self, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """K = (2 / pi) asin(2 c / sqrt((1 + 2a) (1 + 2b))), K' = (4 / pi) / sqrt((1 + 2a) (1 + 2b) - 4 c^2) for erf."""
        w, size = 2 * self.frequency**2, self.amplitude**2 * 2 / math.pi
        product = (1 + w * a) * (1 + w * b)
        values = (w * c / product.sqrt()).clamp(-1, 1).asin().mul(size) + self.offset**2
        return values, (product - (w * c).square()).rsqrt().mul(size * w)


@dataclass(frozen=True)
class Gaussian(_OnCovariances):
    """phi(u) = exp(-u^2)."""

    def moments(self, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """K = D^(-1/2), K' = 4 c D^(-3/2), with D = (1 + 2a) (1 + 2b) - 4 c^2."""
        inverse = ((1 + 2 * a) * (1 + 2 * b) - 4 * c.square()).reciprocal()
        return inverse.sqrt(), 4 * c * inverse * inverse.sqrt()


@dataclass(frozen=True)
class Gelu(_OnCovariances):
    """phi(u) = u F(u), F the normal distribution function (the exact GELU)."""

    def moments(self, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """K = c F + P (ab - c^2 + c^2 h), with F = E F(u) F(v), P = E F'(u) F'(v), h = 1/(1+a) + 1/(1+b)."""
        product, h = (1 + a) * (1 + b), 1 / (1 + a) + 1 / (1 + b)
        determinant = product - c.square()
        both = 0.25 + (c / product.sqrt()).clamp(-1, 1).asin() / (2 * math.pi)
        density = determinant.rsqrt() / (2 * math.pi)
        rest = a * b - c.square() * (1 - h)
        slope = both + density * c * (rest / determinant + 2 * h - 1)
        return c * both + density * rest, slope


@dataclass(frozen=True)
class Sine(_OnCovariances):
    """phi(u) = sin(frequency u + phase); cos is the phase pi / 2."""

    frequency: float = 1.0
    phase: float = 0.0

    def moments(self, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """E sin sin = (E cos(u - v) - E cos(u + v + 2 phase)) / 2, each the exponential of a variance."""
        w = self.frequency**2
        apart, together = (w * (c - (a + b) / 2)).exp(), (-w * (c + (a + b) / 2)).exp().mul(math.cos(2 * self.phase))
        return (apart - together) / 2, (apart + together) * (w / 2)


@dataclass(frozen=True)
class Rbf(_OnCovariances):
    """phi(u) = sqrt(2) sin(sqrt(2 gamma) u + pi / 4), whose kernel is exp(-gamma E(u - v)^2)."""

    gamma: float = 1.0

    def moments(self, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """K = exp(-gamma (a + b - 2c)), K' = 2 gamma K."""
        values = (self.gamma * (2 * c - a - b)).exp()
        return values, 2 * self.gamma * values


@dataclass(frozen=True)
class Monomial(_OnCovariances):
    """phi(u) = u^degree."""

    degree: int = 2

    def __post_init__(self) -> None:
        _check_degree("monomial", self.degree)

    def moments(self, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """The coefficients of exp((a t^2 + b s^2) / 2 + c t s)."""
        return _generated(self.degree, a, b, c), self.degree**2 * _generated(self.degree - 1, a, b, c)


@dataclass(frozen=True)
class Hermite(_OnCovariances):
    """phi(u) = He_degree(u) / sqrt(degree!), orthonormal for u of variance 1, where K = c^degree."""

    degree: int = 2

    def __post_init__(self) -> None:
        _check_degree("Hermite polynomial", self.degree)

    def moments(self, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """As a monomial's with a - 1 and b - 1 for a and b; the derivative of He_n is n He_(n-1)."""
        n, size = self.degree, math.factorial(self.degree)
        return _generated(n, a - 1, b - 1, c) / size, n**2 * _generated(n - 1, a - 1, b - 1, c) / size


NAMED: dict[str, Activation] = {
    "relu": Rectifier(0.0),
    "leaky_relu": Rectifier(0.01),
    "abs": Rectifier(-1.0),
    "identity": Rectifier(1.0),
    "erf": Erf(),
    "gaussian": Gaussian(),
    "gelu": Gelu(),
    "sin": Sine(),
    "cos": Sine(phase=math.pi / 2),
    "rbf": Rbf(),
    "tanh": HermiteExpansion(torch.tanh),
    "sigmoid": HermiteExpansion(torch.sigmoid),
    "silu": HermiteExpansion(nn.functional.silu),
    "softplus": HermiteExpansion(nn.functional.softplus),
}


def _check_degree(what: str, degree: int) -> None:
    if degree != int(degree) or not 1 <= degree <= 20:
        raise InvalidInput(f"a {what} of degree {degree}; take an integer from 1 to 20")


def _generated(n: int, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """n!^2 times the coefficient of (t s)^n in exp(a t^2 / 2 + b s^2 / 2 + c t s)."""
    total = torch.zeros_like(a * b * c)
    for j in range(n % 2, n + 1, 2):
        m = (n - j) // 2
        factor = math.factorial(n) ** 2 / (math.factorial(j) * (2**m * math.factorial(m)) ** 2)
        total += factor * c**j * (a * b) ** m
    return total
