"""Convex functions with gradients of Lipschitz constant 1 and minimum 0 at 0, to hold guarantees against.

Quadratics, Huber functions of many thresholds, lopsided ones, and log-cosh; for mu-strongly convex classes each is
mixed with a quadratic: mu |x|^2/2 + (1 - mu) f. Among the thresholds are those at which the run of a method with the
matrix H stays just on the slope, 1/(S + 1) and 1/(2S + 1) with S the sum of H's last row: the worst functions of most
methods in the literature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lemmata.descent.method import Guarantee


@dataclass(frozen=True, eq=False)
class Convex:
    """A function, and where to start; `radius` gives R of the level set {f <= f(x0)} about 0."""

    name: str
    value: Callable[[np.ndarray], np.ndarray]
    gradient: Callable[[np.ndarray], np.ndarray]
    x0: np.ndarray
    radius: Callable[[], float]

    def scale(self, guarantee: Guarantee) -> float:
        """What the bound is multiplied by: D^2, R^2, or the gap at the start (L = 1)."""
        if guarantee.given == "gap":
            return float(self.value(self.x0))
        return self.radius() ** 2 if guarantee.given == "level" else float((self.x0**2).sum())


def functions(guarantee: Guarantee, matrix: Callable[[int], np.ndarray] | None, lengths: Sequence[int]) -> list[Convex]:
    """Give the functions that a guarantee speaks of, the likely worst ones for n in `lengths` among them."""
    mu = guarantee.mu
    curvatures = mu + (1 - mu) * np.array([0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0])
    found = [quadratic(np.array([c])) for c in curvatures if c > 0]
    found += [quadratic(np.array([1.0, max(mu, 0.01)])), quadratic(np.linspace(max(mu, 1e-3), 1.0, 7))]
    if guarantee.on == "quadratic":
        return found
    sums = [float(matrix(n)[-1].sum()) for n in lengths] if matrix is not None else []
    worst = [1 / (k * S + 1) for S in sums for k in (1, 2) if S > 0]
    thresholds = [*np.geomspace(1e-3, 1.0, 13).tolist(), *worst]
    found += [clipped(t, t, mu) for t in thresholds]
    found += [clipped(t, np.inf, mu) for t in thresholds[::2]] + [clipped(np.inf, t, mu) for t in thresholds[::2]]
    found += [log_cosh(scale, mu) for scale in (0.05, 0.3, 1.0)]
    return found


def quadratic(curvatures: np.ndarray) -> Convex:
    """Sum c_i x_i^2 / 2, from (1, ..., 1)/sqrt(d)."""
    x0 = np.ones(len(curvatures)) / np.sqrt(len(curvatures))
    start = float((curvatures * x0**2).sum() / 2)
    name = f"a quadratic with curvature {curvatures.min():.3g} to {curvatures.max():.3g}"
    radius = float(np.sqrt(2 * start / curvatures.min()))
    return Convex(name, lambda x: (curvatures * x**2).sum() / 2, lambda x: curvatures * x, x0, lambda: radius)


def clipped(left: float, right: float, mu: float = 0.0) -> Convex:
    """The function with gradient mu x + (1 - mu) clip(x, -left, right), from 1: a Huber function if left = right."""

    def gradient(x: np.ndarray) -> np.ndarray:
        return mu * x + (1 - mu) * np.clip(x, -left, right)

    def value(x: np.ndarray) -> np.ndarray:
        g = np.clip(x, -left, right)
        return (mu * x**2 / 2 + (1 - mu) * (g * x - g**2 / 2)).sum()

    name = f"the function with gradient clip(x, -{left:.4g}, {right:.4g})" + (f", mu = {mu:g}" if mu else "")
    return Convex(name, value, gradient, np.ones(1), lambda: _radius(value))


def log_cosh(scale: float, mu: float = 0.0) -> Convex:
    """scale^2 log cosh(x/scale), whose curvature 1/cosh^2(x/scale) is at most 1; from 1."""

    def gradient(x: np.ndarray) -> np.ndarray:
        return mu * x + (1 - mu) * scale * np.tanh(x / scale)

    def value(x: np.ndarray) -> np.ndarray:
        z = np.abs(x) / scale
        return (mu * x**2 / 2 + (1 - mu) * scale**2 * (z + np.log1p(np.exp(-2 * z)) - np.log(2))).sum()

    return Convex(
        f"log-cosh of scale {scale:g}" + (f", mu = {mu:g}" if mu else ""), value, gradient, np.ones(1), lambda: 1.0
    )


def _radius(value: Callable[[np.ndarray], np.ndarray]) -> float:
    """How far the level set of f(1) reaches to the left, by bisection (to the right it reaches 1)."""
    wanted, far = float(value(np.ones(1))), 1.0
    while float(value(np.array([-far]))) < wanted:
        far *= 2
    low, high = 0.0, far
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if float(value(np.array([-middle]))) < wanted else (low, middle)
    return max(1.0, high)
