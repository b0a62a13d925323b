"""A function on which the method does as badly as it can: one that can be evaluated anywhere, and run on.

Two kinds, both mu-strongly convex with L-Lipschitz gradient whatever the data they are made of, so that the run on one
is a lower bound on the worst case in its own right:

    on a line   mu x^2/2 + (L - mu) huber(x; d),    huber = x^2/2 for |x| <= d, d |x| - d^2/2 beyond
    envelope    mu |x|^2/2 + min over a in the simplex of (M/2) |x - sum_i a_i z_i|^2 + sum_i a_i c_i,
                M = L - mu,  z_i = x_i - g_i/M,  c_i = f_i - |g_i|^2/(2M)

The envelope is the Moreau envelope of a polyhedral function, hence convex and M-smooth; it takes the values f_i and
gradients g_i at the points x_i exactly if the interpolation conditions hold: with a = e_i the inner problem's
optimality conditions are those of (1) in `program` (Drori and Taylor, 2022). Its minimum is such a problem too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from lemmata.descent.method import Given, Measure
from lemmata.descent.worst_case.simplex import nearest_mixture
from lemmata.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Run:
    """A run of N steps: `points` (N + 1, r), `gradients` (N + 1, r) and `gaps` (N + 1,), f - f*."""

    points: np.ndarray
    gradients: np.ndarray
    gaps: np.ndarray


@dataclass(frozen=True, eq=False)
class WorstFunction(ABC):
    """f on R^r, mu-strongly convex with L-Lipschitz gradient, with the start `x0` (r,) of the worst run.

    `minimiser` (r,) and `minimum` are exact but for rounding. Call it for values, `gradient` for gradients; both take
    one point (r,) or many (m, r), float64.
    """

    name: str
    L: float
    mu: float
    x0: np.ndarray
    minimiser: np.ndarray
    minimum: float

    @property
    def dimension(self) -> int:
        """R."""
        return len(self.x0)

    def __call__(self, x: np.ndarray) -> np.ndarray | float:
        """The value at x."""
        return self.value_and_gradient(x)[0]

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """The gradient at x, of its shape."""
        return self.value_and_gradient(x)[1]

    def value_and_gradient(self, x: np.ndarray) -> tuple[np.ndarray | float, np.ndarray]:
        """Both at once. Raises `InvalidInput` for points of another dimension, or not finite."""
        points = np.asarray(x, dtype=float)
        if points.ndim not in (1, 2) or points.shape[-1] != self.dimension or not np.isfinite(points).all():
            raise InvalidInput(
                f"x of shape {points.shape}; {self.name} wants finite points of shape ({self.dimension},) "
                f"or (m, {self.dimension})"
            )
        values, gradients = self._at(np.atleast_2d(points))
        return (float(values[0]), gradients[0]) if points.ndim == 1 else (values, gradients)

    def run(self, H: np.ndarray) -> Run:
        """Run the method of matrix H (N, N) from x0: x_{k+1} = x_0 - (1/L) sum_j H[k, j] g_j."""
        points, gradients, values = [self.x0], [], []
        for k in range(len(H) + 1):
            value, gradient = self.value_and_gradient(points[k])
            values.append(value)
            gradients.append(gradient)
            if k < len(H):
                points.append(self.x0 - H[k, : k + 1] @ np.array(gradients) / self.L)
        return Run(np.array(points), np.array(gradients), np.array(values) - self.minimum)

    def ratio(self, H: np.ndarray, of: Measure, given: Given) -> float:
        """What the run reaches over what is given: a lower bound on the worst case; NaN if nothing is given."""
        run = self.run(H)
        asked = run.gaps[-1] if of == "gap" else float(np.sum(run.gradients[-1] ** 2))
        granted = float(np.sum((self.x0 - self.minimiser) ** 2)) if given == "distance" else run.gaps[0]
        return float(asked / granted) if granted > 0 else np.nan

    @abstractmethod
    def _at(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


@dataclass(frozen=True, eq=False)
class OnALine(WorstFunction):
    """mu x^2/2 + (L - mu) huber(x; `bend`): quadratic about 0, of slope growing as mu beyond; all quadratic at inf.

    >>> f = OnALine.of(bend=1 / 3, L=1.0, mu=0.0)            # the worst for one step h = 1: f_1 - f* = L D^2 / 6
    >>> round(f.ratio(np.array([[1.0]]), "gap", "distance"), 12)
    0.166666666667
    """

    bend: float

    @classmethod
    def of(cls, *, bend: float, L: float, mu: float) -> OnALine:
        """The member of the family with this bend, started at 1."""
        name = "the quadratic" if bend >= 1e3 else f"the Huber function of bend {bend:.6g}"
        return cls(name, L, mu, np.ones(1), np.zeros(1), 0.0, bend)

    def _at(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inner = np.clip(x, -self.bend, self.bend)
        value = self.mu * x**2 / 2 + (self.L - self.mu) * (inner * x - inner**2 / 2)
        return value[:, 0], self.mu * x + (self.L - self.mu) * inner


@dataclass(frozen=True, eq=False)
class Envelope(WorstFunction):
    """The envelope of the points `z` (m, r) with the values `c` (m,)."""

    z: np.ndarray
    c: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, g: np.ndarray, f: np.ndarray, *, start: int, L: float, mu: float) -> Envelope:
        """Interpolate points x (m, r), gradients g (m, r), values f (m,) of f - mu/2 |x|^2; a run starts at x[start].

        The minimum is taken where it is, so that data which are not quite consistent give a function all the same.
        """
        M = L - mu
        z, c = x - g / M, f - np.sum(g**2, 1) / (2 * M)
        if mu > 0:
            weight = nearest_mixture(np.zeros(x.shape[1]), z, c / (M * mu / L))
            minimiser = M / L * (weight @ z)
            minimum = M * mu / (2 * L) * float(np.sum((weight @ z) ** 2)) + float(weight @ c)
        else:
            minimiser, minimum = z[np.argmin(c)], float(np.min(c))
        return cls(f"the envelope of {len(z)} points", L, mu, x[start], minimiser, minimum, z, c)

    def _at(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        M = self.L - self.mu
        weights = np.array([nearest_mixture(point, self.z, self.c / M) for point in x])
        apart = x - weights @ self.z
        value = self.mu / 2 * np.sum(x**2, 1) + M / 2 * np.sum(apart**2, 1) + weights @ self.c
        return value, self.mu * x + M * apart


def worst_on_a_line(H: np.ndarray, kappa: float, of: Measure, given: Given) -> tuple[float, float]:
    """The largest ratio within the family on a line at L = 1, mu = kappa, and its bend; cost: 4,000 scalar runs."""
    bends = np.concatenate([[0.0] if kappa > 0 else [], np.geomspace(1e-12, 10, 2500), [np.inf]])
    ratios = _ratios_on_a_line(H, kappa, of, given, bends)
    peaks = [k for k in np.argsort(ratios)[::-1][:40] if ratios[k] >= np.max(ratios[max(k - 1, 0) : k + 2])][:4]
    found = [(float(ratios[k]), float(bends[k])) for k in peaks]
    for k in peaks:
        low, high = bends[max(k - 1, 0)], bends[min(k + 1, len(bends) - 1)]
        while np.isfinite(high) and high - low > 1e-15 * high:
            finer = np.linspace(low, high, 60)
            values = _ratios_on_a_line(H, kappa, of, given, finer)
            best = int(np.argmax(values))
            found.append((float(values[best]), float(finer[best])))
            if best in (0, 59) and (high - low) < 1e-12 * high:
                break
            low, high = finer[max(best - 1, 0)], finer[min(best + 1, 59)]
    best = max(found)
    return (float(ratios[-1]), np.inf) if ratios[-1] >= best[0] * (1 - 1e-12) else best


def _ratios_on_a_line(H: np.ndarray, kappa: float, of: Measure, given: Given, bends: np.ndarray) -> np.ndarray:
    x, gradients = np.ones(len(bends)), np.empty((len(H), len(bends)))
    for k in range(len(H)):
        gradients[k] = kappa * x + (1 - kappa) * np.clip(x, -bends, bends)
        x = 1 - H[k, : k + 1] @ gradients[: k + 1]
    at_start, at_end = _gap(np.ones(len(bends)), bends, kappa), _gap(x, bends, kappa)
    slope = kappa * x + (1 - kappa) * np.clip(x, -bends, bends)
    asked = at_end if of == "gap" else slope**2
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = asked if given == "distance" else asked / at_start
    return np.where(np.isfinite(ratios), ratios, -np.inf)


def _gap(x: np.ndarray, bends: np.ndarray, kappa: float) -> np.ndarray:
    inner = np.clip(x, -bends, bends)
    return kappa * x**2 / 2 + (1 - kappa) * (inner * x - inner**2 / 2)
