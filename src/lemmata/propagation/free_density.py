"""The function lambda(z) of a free product: the upper end of its support, and its density.

The law of t is given by its masses, and is scaled to the mean 1, so that lambda is in units of m_1. The upper end is
the least lambda(z) before the pole of psi. For the density the solution z of lambda(z) = target is followed down to
the real line: far above it z is about 1 / target, since y is; the target is lowered in geometric steps, and log z
follows by Newton's method on log lambda. Then G = (1 + y) / lambda, and the density is -Im G / pi.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lemmata.estimate import NotConverged

if TYPE_CHECKING:
    from lemmata.propagation.expected_spectrum import ExpectedSpectrum, Weights

STEPS, NEWTON, FAR, NEAR = 60, 3, 1e3, 1e-8  # heights above the real line in units of the largest value
TOLERANCE = 1e-6
BLOCK = 64  # points that are followed at once, in a cache


def log_level(
    z: np.ndarray, t: np.ndarray, shares: np.ndarray, depth: int, weights: Weights
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log lambda(z), its derivative by z, and y = psi(z), each of the shape of z, real or complex."""
    r, steep = 1 / (1 - np.multiply.outer(z, t)), t * shares
    over = r @ steep  # y / z
    y, dy = z * over, (r * r) @ steep
    log, slope = (depth - 1) * np.log(over) - np.log(z), (depth - 1) * (dy / y - 1 / z) - 1 / z
    power = 1 if weights == "gaussian" else 1 - depth
    return log + power * np.log1p(y), slope + power * dy / (1 + y), y


def log_upper_end(t: np.ndarray, shares: np.ndarray, depth: int, weights: Weights) -> float:
    """The least log lambda(z) for 0 < z < 1 / max t, found in s, z = (1 - exp(-e^s)) / max t."""
    from scipy.optimize import minimize_scalar

    def height(s: np.ndarray) -> np.ndarray:
        return log_level(-np.expm1(-np.exp(s)) / t.max(), t, shares, depth, weights)[0]

    grid = np.linspace(-30, 3.5, 260)
    best = int(np.argmin(height(grid)))
    ends = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    found = minimize_scalar(lambda s: float(height(np.array(s))), bounds=ends, method="bounded",
                            options={"xatol": 1e-10})  # fmt: skip
    return float(found.fun)


def free_density(law: ExpectedSpectrum, squares: np.ndarray) -> np.ndarray:
    """The density (m,) at squared singular values > 0 (m,). Raises `NotConverged` where the path was lost."""
    points = np.split(squares / law.mean_square, range(BLOCK, len(squares), BLOCK))
    density, off = np.concatenate([_followed(law, part) for part in points], axis=1)
    if not off.max(initial=0.0) < TOLERANCE:
        raise NotConverged("the density of the spectrum", best=density, residual=float(off.max()), tolerance=TOLERANCE,
                           remedy="take points further from 0 and from the end of the support")  # fmt: skip
    return np.maximum(density, 0.0) / law.mean_square


def _followed(law: ExpectedSpectrum, points: np.ndarray) -> np.ndarray:
    """The density at points (m,) in units of m_1, and how far it is off: (2, m)."""
    of = law.slopes / (law.shares @ law.slopes), law.shares, law.depth, law.weights
    top = law.largest / law.mean_square
    z = 1 / (points + 1j * FAR * top)
    for height in np.geomspace(FAR, NEAR, STEPS):
        target = points + 1j * height * top
        for _ in range(NEWTON):
            value, slope, _ = log_level(z, *of)
            gap = np.log(target) - value
            gap -= 2j * np.pi * np.round(gap.imag / (2 * np.pi))  # the branch does not matter
            z = z * np.exp(gap / (slope * z))  # in log z, in which log lambda is nearly linear
    value, _, y = log_level(z, *of)
    density = -((1 + y) / target).imag / np.pi
    below = -density * points  # another branch has densities < 0
    return np.stack([density, np.maximum(np.abs(np.exp(value) / target - 1), below)])
