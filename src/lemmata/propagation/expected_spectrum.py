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
tanh has at small q, and ReLU never. Source: Pennington, Schoenholz, Ganguli (2017, 2018). Cost: milliseconds;
the density a second. Where it fails: at widths n that are not large against L.
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
from lemmata.propagation.gaussian import gaussian_rule
from lemmata.propagation.mean_field import mean_field
from lemmata.short_repr import short_repr

Weights = Literal["gaussian", "orthogonal"]
ATOMS = 48  # of the law of phi'^2


@dataclass(frozen=True, eq=False)
class ExpectedSpectrum:
    """The law of the squared singular values of a product of `depth` layers, in the limit of infinite width.

    `q` is the variance of the pre-activations, `slopes` and `shares` the law of t = phi'(u)^2 as atoms (a
    Gauss rule for smooth phi), `moments` (K,) those of lambda, `largest` the upper end of the support.
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
        exact = len(self.slopes) < ATOMS and self.weights == "orthogonal"
        return max(0.0, 1 - self.depth * (1 - float(self.shares[-1]))) if exact else 0.0

    def density(self, squares: np.ndarray) -> np.ndarray:
        """The density of the squared singular values at points > 0, without the masses at 0 and at the upper end.

        Each point is reached from far above the real line, where y is about m_1 / lambda, by Newton steps in z. Cost:
        500 evaluations of psi a point.
        """
        from lemmata.propagation.free_density import free_density

        try:
            points = np.atleast_1d(np.asarray(squares, dtype=float))
        except (TypeError, ValueError, OverflowError):
            raise InvalidInput(f"squares = {squares!r}; give points above 0, an array of real numbers") from None
        if points.ndim != 1 or not (np.isfinite(points) & (points > 0)).all():
            raise InvalidInput("the density is at points above 0: give finite numbers along one axis")
        return free_density(self, points)

    def plot(self) -> Figure:
        """Draw the density of the singular values."""
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
        variance = 1.0 if phi.name in ("linear", "relu") else found.q
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
    mu = np.array([shares @ slopes**k for k in range(1, terms + 1)])
    moments = sw ** (layers * np.arange(1, terms + 1)) * _moments(mu, layers, weights)
    largest = sw**layers * _largest(slopes, shares, layers, weights)
    return ExpectedSpectrum(phi, layers, sw, weights, variance, slopes, shares, moments, largest)


def levels(z: np.ndarray, slopes: np.ndarray, shares: np.ndarray, depth: int, weights: Weights) -> np.ndarray:
    """lambda(z) for sigma_w = 1, of the shape of z."""
    y = psi(z, slopes, shares)
    ratio = y / z if weights == "gaussian" else y / (z * (1 + y))
    return (1 + y) / y * ratio**depth


def psi(z: np.ndarray, slopes: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """E t z / (1 - t z)."""
    tz = np.multiply.outer(z, slopes)
    return (tz / (1 - tz)) @ shares


def _law(phi: Nonlinearity, q: float) -> tuple[np.ndarray, np.ndarray]:
    """The law of phi'(u)^2 as atoms, equal ones put together."""
    u, weights = gaussian_rule(q, phi.kinks, halvings=1)
    slopes, place = np.unique(phi.slope(u).square().numpy(), return_inverse=True)
    shares = np.bincount(place, weights.numpy())
    shares = shares / shares.sum()
    return (slopes, shares) if len(slopes) <= ATOMS else _gauss(slopes, shares)


def _gauss(points: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Gauss rule of `ATOMS` nodes of a discrete law, by Lanczos' recurrence; exact for 2 `ATOMS` - 1 powers."""
    basis = [np.sqrt(shares)]
    diagonal, beside = [], []
    for _ in range(ATOMS):
        v = points * basis[-1]
        diagonal.append(basis[-1] @ v)
        for _ in range(2):
            v = v - np.array(basis).T @ (np.array(basis) @ v)
        length = np.linalg.norm(v)
        if length < 1e-13:
            break
        beside.append(length)
        basis.append(v / length)
    size = len(diagonal)
    matrix = np.diag(diagonal) + np.diag(beside[: size - 1], 1) + np.diag(beside[: size - 1], -1)
    nodes, vectors = np.linalg.eigh(matrix)
    return nodes, vectors[0] ** 2


def _moments(mu: np.ndarray, depth: int, weights: Weights) -> np.ndarray:
    """Moments for sigma_w = 1: powers series in z of y = psi(z), and of 1 / lambda, which is then inverted."""
    terms = len(mu)
    shifted = _Series(np.concatenate([mu, np.zeros(1)]))  # psi / z
    one_plus = _Series(np.concatenate([[1.0], mu]))
    ratio = shifted if weights == "gaussian" else shifted.times(one_plus.power(-1))
    # 1 / lambda = z (psi / z) / (1 + psi) / ratio^L, without its factor z:
    inverse = shifted.times(one_plus.power(-1)).times(ratio.power(-depth))
    # m_k is the coefficient of w^k in psi(z(w)), w = z h(z): Lagrange, (1/k) [z^(k-1)] psi'(z) h(z)^(-k)
    derivative = np.concatenate([mu * np.arange(1, terms + 1), np.zeros(1)])
    powers = [_Series(derivative).times(inverse.power(-k)).coefficients[k - 1] / k for k in range(1, terms + 1)]
    return np.array(powers)


class _Series:
    """A power series cut off after its coefficients, with the first not 0."""

    def __init__(self, coefficients: np.ndarray):
        self.coefficients = coefficients

    def times(self, other: _Series) -> _Series:
        size = len(self.coefficients)
        return _Series(np.convolve(self.coefficients, other.coefficients)[:size])

    def power(self, exponent: float) -> _Series:
        """By Miller's recurrence."""
        a = self.coefficients
        b = np.zeros_like(a)
        b[0] = a[0] ** exponent
        for k in range(1, len(a)):
            j = np.arange(1, k + 1)
            b[k] = ((j * exponent - (k - j)) * a[j] * b[k - j]).sum() / (k * a[0])
        return _Series(b)


def _largest(slopes: np.ndarray, shares: np.ndarray, depth: int, weights: Weights) -> float:
    """The least lambda(z) for 0 < z < 1 / max t, found in s, z = (1 - e^-s) / max t."""
    from scipy.optimize import minimize_scalar

    top = float(slopes.max())

    def height(s: float) -> float:
        z = np.array([-math.expm1(-math.exp(s)) / top])
        return float(np.log(levels(z, slopes, shares, depth, weights))[0])

    grid = np.linspace(-12, 3.5, 120)
    best = int(np.argmin([height(s) for s in grid]))
    ends = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    return math.exp(float(minimize_scalar(height, bounds=ends, method="bounded", options={"xatol": 1e-10}).fun))
