"""The limiting risk of random-features ridge regression, from the limit for ridge regression applied twice.

    f(x) = sum_{i <= N} a_i s(<theta_i, x> / d^(1/2)),   x and theta_i uniform on the sphere of radius d^(1/2),
    y = <beta, x> + noise,   a = argmin |y - f|^2 / n + psi1 ridge |a|^2,   psi1 = N / d,  psi2 = n / d,

with a centred s, mu1 = E s(g) g and mu*^2 = E s(g)^2 - mu1^2 for a normal g. To leading order a feature is

    mu1 <theta_i, x> / d^(1/2) + mu* w_i,   w_i independent normal numbers (the linear part, and the rest as noise),

so that, given the thetas, this is ridge regression on Gaussian features of covariance S = mu1^2 Theta Theta^T / d +
mu*^2. Their best linear predictor leaves |beta|^2 - h.S^-1 h unexplained, h the covariance of features and target. What
is left is independent of the features, and joins the noise. `_ridge_asymptotics` gives the risk from the spectrum of S,
and that of Theta Theta^T / d is the law of Marchenko and Pastur of ratio d / N, each of its directions with the same
share of |beta|^2. With e its eigenvalues, S has the eigenvalues v = mu1^2 e + mu*^2, with the signal mu1^2 e |beta|^2 /
v^2, which explains |beta|^2 mu1^2 e / v of the target; mu*^2 is the eigenvalue of the other N - d.

This is the risk of Mei and Montanari (2022), arXiv:1908.05355, which they give by two coupled fixed points and
polynomials of their solution; the two agree to 12 digits (the study's tests). A part of the target that is not linear
would join the noise, too. Cost: one root of a sum over `NODES` terms.

The law's integrals are sums over equidistant angles, e = middle + half cos(angle): the integrand is smooth and
periodic, so that they converge geometrically, at N = d, where the law reaches 0, as well.
"""

from functools import cache

import numpy as np
from scipy.optimize import minimize_scalar

from lemmata.studies._ridge_asymptotics import Population, Risk, ridge_risk

NODES = 400


def marchenko_pastur(ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes s and weights w of the law's continuous part, of mass min(1, 1 / ratio), for X^T X / m of X (m, ratio m).

    >>> s, w = marchenko_pastur(0.5)
    >>> round(float(w.sum()), 12), round(float(w @ s), 12)
    (1.0, 1.0)
    """
    low, high = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2
    middle, half = (low + high) / 2, (high - low) / 2
    angles = (np.arange(NODES) + 0.5) * np.pi / NODES
    s = middle + half * np.cos(angles)
    return s, (half * np.sin(angles)) ** 2 / (2 * np.pi * ratio * s) * np.pi / NODES


def population(
    psi1: float, d: float, mu1: float, mu_rest: float, *, signal: float, noise: float
) -> tuple[Population, float]:
    """The spectrum of S for dimension d, with the signal in it, and what of the target no linear predictor explains."""
    s, share = marchenko_pastur(1 / psi1)
    s = psi1 * s  # eigenvalues of Theta^T Theta / d, where the law is that of Theta^T Theta / N
    v = mu1**2 * s + mu_rest**2
    unexplained = signal * (1 - float((share * mu1**2 * s / v).sum()))
    variances, counts, energy = v, share * d, share * signal * mu1**2 * s / v**2
    others = d * (psi1 - float(share.sum()))
    if others > 1e-9 * d:
        variances, counts, energy = np.append(v, mu_rest**2), np.append(counts, others), np.append(energy, 0.0)
    return Population(variances, counts, energy, noise + unexplained), unexplained


def limiting_risk(
    psi1: float, psi2: float, ridge: float, *, mu1: float, mu_rest: float, signal: float, noise: float, d: float = 1.0
) -> tuple[float, Risk]:
    """The risk E (f(x) - <beta, x>)^2 for n = psi2 d samples, and that of the equivalent ridge regression in parts.

    `signal` is |beta|^2 and `noise` the variance of the labels' noise.

    >>> round(limiting_risk(2.0, 3.0, 0.01, mu1=0.5, mu_rest=0.3, signal=1.0, noise=0.2)[0], 6)
    0.559963
    """
    spectrum, unexplained = population(psi1, d, mu1, mu_rest, signal=signal, noise=noise)
    found = ridge_risk(spectrum, psi2 * d, psi1 * ridge)
    return unexplained + found.total, found


@cache
def optimal_ridge(psi1: float, psi2: float, *, mu1: float, mu_rest: float, signal: float, noise: float) -> float:
    """The ridge of the least limiting risk, between 1e-6 and 100."""

    def risk(log_ridge: float) -> float:
        ridge = float(np.exp(log_ridge))
        return limiting_risk(psi1, psi2, ridge, mu1=mu1, mu_rest=mu_rest, signal=signal, noise=noise)[0]

    found = minimize_scalar(risk, bounds=(np.log(1e-6), np.log(100.0)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))  # type: ignore[attr-defined]
