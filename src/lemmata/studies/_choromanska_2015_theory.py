"""The theory in `choromanska_2015`: critical points of the spherical p-spin glass, at infinite and at finite size.

On the sphere |w|^2 = N the Hamiltonian H(w) = N^(-(p-1)/2) sum J_(i_1..i_p) w_(i_1) ... w_(i_p), J standard Gaussian,
has energies u = H / N. With C_k(B) its expected number of critical points of index k and energy in B (Auffinger, Ben
Arous and Cerny, 2013), and lambda_0 <= ... <= lambda_(N-1) the eigenvalues of the Gaussian orthogonal ensemble with
entries of variance (1 + [i = j]) / (2 N),

    finite N     C_k(B) = 2 sqrt(2/p) (p-1)^(N/2) E[exp(-N (p-2) lambda_k^2 / (2p)) [sqrt(2(p-1)/p) lambda_k in B]]
    N -> inf     log C_k / N  ->  Theta_k(u) = log(p-1)/2 - (p-2) u^2 / (4(p-1)) - (k+1) I(u)    for u <= -E_inf
                 I(u) = (|u| sqrt(u^2 - E_inf^2)) / E_inf^2 - log((|u| + sqrt(u^2 - E_inf^2)) / E_inf)
                 E_inf = 2 sqrt((p-1)/p)

The finite-size formula is exact. Its sum over k is an integral of the ensemble's level density, done here to rounding;
the parts of it are means over random matrices. Where Theta_0 vanishes is minus the ground state's energy per unit.

Cost: N^3 flops a dense matrix; N^2 the smallest eigenvalue of a tridiagonal one (Dumitriu and Edelman, 2002).
"""

from dataclasses import dataclass
from math import log, pi, sqrt

import numpy as np

FRESH = 10_000  # added to every seed of the study: what was chosen was chosen on streams without it


def threshold(p: int) -> float:
    """E_inf: critical points of any finite index have energies -E_inf N or below, as N grows.

    >>> round(threshold(3), 4), round(threshold(4), 4)
    (1.633, 1.7321)
    """
    return 2 * sqrt((p - 1) / p)


def complexity(u: np.ndarray, p: int, k: int = 0) -> np.ndarray:
    """Theta_k at energies u <= -E_inf: the exponential rate of the number of critical points of index k.

    >>> float(complexity(np.array([-threshold(3)]), 3).round(4)[0])
    0.0132
    """
    edge = threshold(p)
    root = np.sqrt(np.maximum(u**2 - edge**2, 0.0))
    rate = np.abs(u) * root / edge**2 - np.log((np.abs(u) + root) / edge)
    return 0.5 * log(p - 1) - (p - 2) / (4 * (p - 1)) * u**2 - (k + 1) * rate


def layer(p: int, k: int = 0) -> float:
    """E_k: below the energy -E_k N there are no critical points of index k, as N grows. E_0 is the ground state's.

    >>> round(layer(3), 4)
    1.657
    """
    from scipy.optimize import brentq

    edge = threshold(p)
    return float(brentq(lambda e: complexity(np.array([-e]), p, k)[0], edge, 2 * edge))  # type: ignore[arg-type]


def total(N: int, p: int) -> float:
    """The expected number of all critical points at size N, by quadrature of the level density.

    >>> round(total(2, 3) / (2 * sqrt(7)), 9)
    1.0
    """
    x = np.linspace(-1, 1, 8001) * (sqrt(2 * N) + 8)
    density = level_density(N, x)
    return 2 * sqrt(2 / p) * (p - 1) ** (N / 2) * float(np.trapezoid(density * np.exp(-(p - 2) / (2 * p) * x**2), x))


def level_density(N: int, x: np.ndarray) -> np.ndarray:
    """The density of all N eigenvalues, times sqrt(N), at increasing x (T,); it integrates to N (Mehta, 2004).

    With phi_j the Hermite functions: sum of phi_j^2 for j < N, plus sqrt(N/2) phi_(N-1) times the integral of
    sign(x - t) phi_N(t) / 2, plus phi_(N-1) over its integral where N is odd. Quadratures are on the points, which
    should be dense and reach beyond sqrt(2 N) + 6.
    """
    from scipy.integrate import cumulative_simpson

    phi = np.zeros((N + 1, len(x)))
    phi[0] = pi**-0.25 * np.exp(-(x**2) / 2)
    phi[1] = sqrt(2.0) * x * phi[0]
    for j in range(1, N):
        phi[j + 1] = sqrt(2 / (j + 1)) * x * phi[j] - sqrt(j / (j + 1)) * phi[j - 1]
    running = cumulative_simpson(phi[N], x=x, initial=0.0)
    density = (phi[:N] ** 2).sum(0) + sqrt(N / 2) * phi[N - 1] * (running - running[-1] / 2)
    return density + (phi[N - 1] / np.trapezoid(phi[N - 1], x) if N % 2 else 0.0)


@dataclass(frozen=True)
class Layers:
    """Expected critical points at size N, for the indices k = 0 .. N - 1: how many, and their mean energy per unit."""

    count: np.ndarray
    energy: np.ndarray


def layers(N: int, p: int, *, matrices: int, random: np.random.Generator) -> Layers:
    """Means over dense random matrices: `count` and `energy`, (N,) each."""
    entries = random.standard_normal((matrices, N, N))
    eigenvalues = np.linalg.eigvalsh((entries + entries.transpose(0, 2, 1)) / sqrt(4 * N))
    weight = np.exp(-N * (p - 2) / (2 * p) * eigenvalues**2)
    count = weight.mean(0)
    energy = sqrt(2 * (p - 1) / p) * (weight * eigenvalues).mean(0) / count
    return Layers(2 * sqrt(2 / p) * (p - 1) ** (N / 2) * count, energy)


def minima(N: int, p: int, *, matrices: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Energies (matrices,) and weights of minima at size N: in the mean over all minima, an energy counts so much."""
    lowest = np.array([smallest_eigenvalue(N, random) for _ in range(matrices)])
    logs = -N * (p - 2) / (2 * p) * lowest**2
    weights = np.exp(logs - logs.max())
    return sqrt(2 * (p - 1) / p) * lowest, weights / weights.sum()


def smallest_eigenvalue(N: int, random: np.random.Generator) -> float:
    """The smallest eigenvalue of a matrix of the ensemble, from its tridiagonal form; near -sqrt(2) for large N."""
    from scipy.linalg import eigh_tridiagonal

    diagonal = random.standard_normal(N) / sqrt(N)
    beside = np.sqrt(random.chisquare(np.arange(N - 1, 0, -1)) / (2 * N))
    return float(eigh_tridiagonal(diagonal, beside, eigvals_only=True, select="i", select_range=(0, 0))[0])
