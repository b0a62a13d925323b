"""The squared singular values of J = D_L W_L ... D_1 W_1 that free probability expects of wide square layers.

D_l = diag(phi'(u)), u ~ N(0, q), and W_l, of independent Gaussian entries of variance sigma_w^2 / n or sigma_w times a
random orthogonal matrix, are free of each other. With t = phi'(u)^2 and psi(z) = E t z / (1 - t z), S-transforms

    S_D(y) = (1 + y) z / y at y = psi(z),      S_W(y) = 1 / (1 + y) Gaussian, 1 orthogonal,

multiply, so that the squared singular values lambda and their M(1 / lambda) = y = psi(z) are tied, for complex z, by

    lambda(z) = sigma_w^(2L) (1 + y) / y  (y / z)^L                     Gaussian
    lambda(z) = sigma_w^(2L) (1 + y) / y  (y / (z (1 + y)))^L           orthogonal

The moments are the coefficients of the inverse series; the first are, with mu_k = E phi'^(2k),

    m_1 = (sigma_w^2 mu_1)^L,       m_2 / m_1^2 - 1 = L (mu_2 / mu_1^2 - 1 - s),     s = -1 Gaussian, 0 orthogonal,

the largest value is the least lambda(z) on 0 < z < 1 / max t, and the density is -Im G / pi, G = (1 + y) / lambda. For
phi(u) = u and Gaussian weights that is Fuss-Catalan: (L + 1)^(L + 1) / L^L. For ReLU and hard tanh t is 0 or 1 and phi
enters by mu_1 alone. Isometry at growing depth wants orthogonal weights and mu_2 / mu_1^2 - 1 of order 1 / L, which
tanh has at small q, and ReLU never. All is computed for t of mean 1, and multiplied by m_1 by way of logarithms, for
sigma_w^(2L) and mu_1^L may be beyond float64 where their product is 1. Source: Pennington, Schoenholz, Ganguli (2017,
2018). Cost: milliseconds; the density a second. Where it fails: at widths n that are not large against L.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import Figure
from lemmata.given import require_number, require_whole
from lemmata.propagation.activations import Elementwise, Nonlinearity, nonlinearity
from lemmata.propagation.free_density import free_density, log_upper_end
from lemmata.propagation.gaussian import gaussian_rule
from lemmata.propagation.mean_field import mean_field
from lemmata.short_repr import short_repr

Weights = Literal["gaussian", "orthogonal"]
HEAVY = 0.1  # no node of the quadrature of a smooth law has such a share
FEW = 32  # values of phi'^2: each is a mass then


@dataclass(frozen=True, eq=False)
class ExpectedSpectrum:
    """The law of the squared singular values of a product of `depth` layers, in the limit of infinite width.

    `q` is the variance of the pre-activations, `slopes` and `shares` the law of phi'(u)^2, ascending, as masses (for
    smooth phi the nodes and weights of a quadrature), `moments` (K,) those of lambda, `largest` the upper end of the
    support. What is beyond float64 is infinite, or 0.
    """

    activation: Nonlinearity = field(repr=False)
    depth: int
    weight_variance: float
    weights: Weights
    q: float
    slopes: np.ndarray
    shares: np.ndarray
    moments: np.ndarray
    largest: float

    __repr__ = short_repr

    @property
    def mean_square(self) -> float:
        """m_1 = (sigma_w^2 mu_1)^L, the mean squared singular value."""
        return float(self.moments[0])

    @property
    def variance(self) -> float:
        """m_2 - m_1^2, of the squared singular values."""
        return float(self.moments[1] - self.moments[0] ** 2)

    @property
    def rank(self) -> float:
        """The share of singular values above 0: the least that a layer lets pass."""
        return float(self.shares[self.slopes > 0].sum())

    @property
    def unharmed(self) -> float:
        """The share of singular values exactly at the upper end: orthogonal weights, and units none of which is cut.

        Each layer of slopes 0 or 1 takes away the share 1 - mu_1 of the directions, no two free layers the same ones,
        so that 1 - L (1 - mu_1) are left.
        """
        top = float(self.shares[-1])
        exact = self.weights == "orthogonal" and (top > HEAVY or len(self.slopes) <= FEW)
        return max(0.0, 1 - self.depth * (1 - top)) if exact else 0.0

    def density(self, squares: np.ndarray) -> np.ndarray:
        """The density of the squared singular values at points > 0, without the masses at 0 and at the upper end.

        Each point is reached from far above the real line, where y is about m_1 / lambda, by Newton steps in z. Cost:
        180 evaluations of psi a point. Right to 1e-6 as a rule; for one Gaussian layer most of whose slopes are all but
        0 (tanh at q = 50), at points below a hundredth of the largest value, to 2 %, for want of masses.

        Raises `InvalidInput` for other points, for one orthogonal layer unless its slopes are 0 or alike, and where m_1
        is beyond float64; `NotConverged` where the path is lost.
        """
        try:
            points = np.atleast_1d(np.asarray(squares, dtype=float))
        except (TypeError, ValueError, OverflowError):
            raise InvalidInput(f"squares = {squares!r}; give points above 0, an array of real numbers") from None
        if points.ndim != 1 or not (np.isfinite(points) & (points > 0)).all():
            raise InvalidInput("the density is at points above 0: give finite numbers along one axis")
        if self.depth == 1 and self.weights == "orthogonal" and (self.slopes > 0).sum() > 1:
            raise InvalidInput(
                "depth = 1: the squared singular values of one orthogonal layer are sigma_w^2 phi'(u)^2 themselves, "
                "with poles where phi'' = 0; take their law from `slopes` and `shares`"
            )
        if not 0 < self.mean_square < math.inf:
            raise InvalidInput(
                f"the mean square of {self.depth} layers is {self.mean_square}, beyond float64; take fewer, or another "
                f"weight_variance than {self.weight_variance}"
            )
        return free_density(self, points)

    def plot(self) -> Figure:
        """Draw the distribution function of the singular values."""
        from lemmata.propagation.jacobian_figures import expected_spectrum_figure

        return expected_spectrum_figure(self)


def expected_spectrum(
    depth: int,
    activation: str | Elementwise | Nonlinearity,
    weight_variance: float,
    bias_variance: float = 0.0,
    *,
    weights: Weights = "gaussian",
    q: float | None = None,
    count: int = 4,
) -> ExpectedSpectrum:
    """The squared singular values of the Jacobian of `depth` wide layers a = phi(W a + b), sigma_w^2 as everywhere.

    `q` is the variance of the pre-activations, taken the same in all layers; by default the fixed point of
    `mean_field`. `count` moments are computed, at least 2. Raises `InvalidInput` for a depth below 1, a q that is not
    positive (at a fixed point 0 phi is linear: give q), and variances as `mean_field`; `UnknownName` for names.

    >>> found = expected_spectrum(3, "linear", 1.0)
    >>> found.moments.round(9).tolist(), round(found.largest, 6) == round(4**4 / 3**3, 6)
    ([1.0, 4.0, 22.0, 140.0], True)
    """
    layers, terms = require_whole(depth, "depth"), require_whole(count, "count", least=2)
    if not isinstance(weights, str) or weights not in ("gaussian", "orthogonal"):
        raise UnknownName("law of the weights", weights, ("gaussian", "orthogonal"))
    phi = nonlinearity(activation)
    if q is None:
        found = mean_field(phi, weight_variance, bias_variance)
        variance = 1.0 if phi.closed_form in ("identity", "relu") else found.q  # any q: their slopes have one law
    else:
        variance = require_number(q, "q")
        if not 0 <= require_number(bias_variance, "bias_variance") < math.inf:
            raise InvalidInput(f"bias_variance = {bias_variance}; a variance is finite and at least 0")
    if not 0 < variance < math.inf:
        raise InvalidInput(f"q = {variance}; give the variance of the pre-activations as a positive number, q=")
    sw = require_number(weight_variance, "weight_variance")
    if not 0 < sw < math.inf:
        raise InvalidInput(f"weight_variance = {sw}; give a positive number")
    slopes, shares = _law(phi, variance)
    if not slopes.max() > 0:
        raise InvalidInput(f"{phi.name} has slope 0, and with it every singular value; there is no spectrum")
    mean = float(shares @ slopes)
    t, log_mean = slopes / mean, layers * (math.log(sw) + math.log(mean))  # log m_1
    powers = np.array([shares @ t**k for k in range(1, terms + 1)])
    logs = log_mean * np.arange(1, terms + 1) + np.log(_moments(powers, layers, weights))
    with np.errstate(over="ignore"):
        moments, largest = np.exp(logs), float(np.exp(log_mean + log_upper_end(t, shares, layers, weights)))
    return ExpectedSpectrum(phi, layers, sw, weights, variance, slopes, shares, moments, largest)


def _law(phi: Nonlinearity, q: float) -> tuple[np.ndarray, np.ndarray]:
    """The law of phi'(u)^2 as masses, equal values put together."""
    u, weights = gaussian_rule(q, phi.kinks)
    slopes, place = np.unique(phi.slope(u).square().numpy(), return_inverse=True)
    shares = np.bincount(place, weights.numpy())
    return slopes, shares / shares.sum()


def _moments(mu: np.ndarray, depth: int, weights: Weights) -> np.ndarray:
    """Moments (K,) of lambda for those of t (K,), mu_1 = 1: the series w = 1 / lambda(z) is inverted, as psi is wanted.

    By Lagrange's formula the coefficient of w^k in psi(z(w)) is (1/k) [z^(k-1)] psi'(z) (z lambda(z))^k.
    """
    slope = mu * np.arange(1, len(mu) + 1)  # psi'
    one_plus = np.concatenate([[1.0], mu[:-1]])  # 1 + psi; mu itself is psi / z
    ratio = mu if weights == "gaussian" else _times(mu, _power(one_plus, -1))
    found = []
    for k in range(1, len(mu) + 1):
        level = _power(ratio, k * (depth - 1))  # (z lambda)^k
        if weights == "gaussian":
            level = _times(level, _power(one_plus, k))
        found.append(_times(slope, level)[k - 1] / k)
    return np.array(found)


def _times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The product of two power series, of as many coefficients."""
    return np.convolve(a, b)[: len(a)]


def _power(a: np.ndarray, exponent: int) -> np.ndarray:
    """A power of a power series of first coefficient 1, by Miller's recurrence."""
    b = np.zeros_like(a)
    b[0] = 1.0
    for k in range(1, len(a)):
        j = np.arange(1, k + 1)
        b[k] = ((j * exponent - (k - j)) * a[j] * b[k - j]).sum() / k
    return b
