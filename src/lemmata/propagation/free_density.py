"""The density of a free product: the solution z of lambda(z) = target is followed down to the real line.

Far above it z is about m_1 / (target mu_1), since y is m_1 / target there; the target is lowered in geometric steps,
and log z follows by Newton's method on log lambda. Then G = (1 + y) / lambda, and the density is -Im G / pi.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lemmata.estimate import NotConverged

if TYPE_CHECKING:
    from lemmata.propagation.expected_spectrum import ExpectedSpectrum

STEPS, NEWTON, FAR, NEAR = 120, 4, 1e3, 1e-8  # heights above the real line in units of the largest value
TOLERANCE = 1e-6


def free_density(law: ExpectedSpectrum, squares: np.ndarray) -> np.ndarray:
    """The density (m,) at squared singular values > 0 (m,). Raises `NotConverged` where the path was lost."""
    points = squares / law.weight_variance**law.depth
    top = law.largest / law.weight_variance**law.depth
    first = law.mean_square / law.weight_variance**law.depth
    target = points + 1j * FAR * top
    z = first / (law.shares @ law.slopes) / target
    for height in np.geomspace(FAR, NEAR, STEPS):
        target = points + 1j * height * top
        for _ in range(NEWTON):
            value, slope, y = _log_level(z, law)
            gap = np.log(target) - value
            gap -= 2j * np.pi * np.round(gap.imag / (2 * np.pi))  # the branch does not matter
            z = z * np.exp(gap / (slope * z))  # in log z, in which log lambda is nearly linear
    value, _, y = _log_level(z, law)
    off = np.abs(np.exp(value) / target - 1).max() if len(z) else 0.0
    density = -((1 + y) / target).imag / np.pi
    below = max(0.0, -float((density * target.real).min())) if len(z) else 0.0  # another branch has densities < 0
    if not (off < TOLERANCE and below < TOLERANCE):
        raise NotConverged("the density of the spectrum", best=density, residual=max(off, below), tolerance=TOLERANCE,
                           remedy="take points further from 0 and from the end of the support")  # fmt: skip
    return np.maximum(density, 0.0) / law.weight_variance**law.depth


def _log_level(z: np.ndarray, law: ExpectedSpectrum) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log lambda(z) for sigma_w = 1, its derivative, and y."""
    tz = np.multiply.outer(z, law.slopes)
    y = (tz / (1 - tz)) @ law.shares
    dy = (law.slopes / (1 - tz) ** 2) @ law.shares
    L = law.depth
    log = (L - 1) * np.log(y) - L * np.log(z)
    slope = (L - 1) * dy / y - L / z
    if law.weights == "gaussian":
        return log + np.log(1 + y), slope + dy / (1 + y), y
    return log + (1 - L) * np.log(1 + y), slope + (1 - L) * dy / (1 + y), y
