"""Refutations: a convex function with 1-Lipschitz gradient on which a cycle of the steps gains nothing, proven exactly.

A function is given by what matters of it: its minimiser 0 with value 0, and values and gradients at the iterates. By
the interpolation theorem (Taylor, Hendrickx and Glineur, 2017, theorem 4) some convex function with 1-Lipschitz
gradient has them if and only if f_i >= f_j + <g_j, x_i - x_j> + |g_i - g_j|^2 / 2 for every pair, a finite number of
inequalities that are checked in rational arithmetic.

With f_t >= f_0 > 0 the pattern is straightforward for no Delta and no rate c > 0: s^2 f(x / s) has the same ratio of
f_0 to |x_0|^2 for every s, so that with D >= |x_0 - x*| free, every gap delta small enough is met, and
f_t >= f_0 = delta > delta - t c delta^2.

Two ways to find one: quadratics f = c x^2 / 2, 0 < c <= 1, on which f_t / f_0 = prod (1 - h_k c)^2, whatever the order
of the steps; and the semidefinite program of the largest f_t - f_0 given |x_0| <= 1, whose solution is made exact
by adding a little of strictly convex functions in new dimensions, which gives every inequality some slack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from lemmata.descent.certificate.program import flow, forms
from lemmata.descent.certificate.solver import minimise
from lemmata.figures import Axis, Figure, Panel, Reference, Series
from lemmata.linalg.definite import rational_matrix

if TYPE_CHECKING:
    from flint import fmpq_mat

CURVATURES = (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))  # of the quadratics that give slack


@dataclass(frozen=True)
class Refutation:
    """A function that `steps` (t,) do not lower: `start` (d,), `gradients` (t + 1, d), `values` (t + 1,), all exact.

    The minimiser is 0 with value 0; x_{k+1} = x_k - steps[k] gradients[k]. It `holds` if the values and gradients are
    those of a convex function with 1-Lipschitz gradient and f_t >= f_0 > 0.

    >>> Refutation((Fraction(2),), (Fraction(1),), ((Fraction(1),), (Fraction(-1),)), (Fraction(1, 2),) * 2).holds
    True
    """

    steps: tuple[Fraction, ...]
    start: tuple[Fraction, ...]
    gradients: tuple[tuple[Fraction, ...], ...]
    values: tuple[Fraction, ...]

    @cached_property
    def holds(self) -> bool:
        """Whether every interpolation inequality does, and f_t >= f_0 > 0, in exact arithmetic."""
        return self.values[-1] >= self.values[0] > 0 and self.slack >= 0

    @cached_property
    def slack(self) -> Fraction:
        """The least of f_i - f_j - <g_j, x_i - x_j> - |g_i - g_j|^2 / 2 over the pairs, x* among them."""
        import flint

        n, d = len(self.values) + 1, len(self.start)
        zero = [Fraction(0)] * d
        x, g = self._points(), rational_matrix([zero, *self.gradients])
        f = [flint.fmpq(0), *rational_matrix([self.values]).entries()]
        gx, gg = g * x.transpose(), g * g.transpose()
        least = min(
            f[i] - f[j] - (gx[j, i] - gx[j, j]) - (gg[i, i] + gg[j, j] - 2 * gg[i, j]) / 2
            for i in range(n)
            for j in range(n)
            if i != j
        )
        return Fraction(int(least.p), int(least.q))

    def _points(self) -> fmpq_mat:
        x = [[Fraction(0)] * len(self.start), list(self.start)]
        for h, g in zip(self.steps, self.gradients, strict=False):
            x.append([a - h * b for a, b in zip(x[-1], g, strict=True)])
        return rational_matrix(x)

    def __str__(self) -> str:
        ratio = float(self.values[-1] / self.values[0])
        return f"a convex smooth function in {len(self.start)} dimensions on which f_t / f_0 = {ratio:.6g}"

    def plot(self) -> Figure:
        """Draw the values at the iterates, relative to the first."""
        relative = [float(value / self.values[0]) for value in self.values]
        run = Series(label="f at the iterates", x=range(len(relative)), y=relative)
        start = Reference(label="f at the start", value=1.0, role="control")
        panel = Panel(x=Axis(label="step"), y=Axis(label="(f - f*) / (f_0 - f*)"), series=[run], references=[start])
        caption = f"One cycle of {len(self.steps)} steps on {self}; every inequality is checked exactly."
        return Figure(name="refutation", title="A pattern that does not descend", caption=caption, panels=[panel])


def quadratic(steps: Sequence[Fraction], curvature: Fraction) -> Refutation:
    """The run on f = c x^2 / 2 from x_0 = 1; whether it refutes the steps is for `Refutation.holds` to say."""
    x = [Fraction(1)]
    for h in steps:
        x.append(x[-1] * (1 - h * curvature))
    gradients = tuple((curvature * point,) for point in x)
    return Refutation(tuple(steps), (Fraction(1),), gradients, tuple(curvature * point**2 / 2 for point in x))


def quadratic_refutation(steps: Sequence[Fraction], *, points: int = 2001) -> Refutation | None:
    """A quadratic that the steps do not lower, or None if none was met; its curvature is tried on a grid of (0, 1]."""
    curvatures = np.arange(1, points) / (points - 1)
    factors = np.abs(np.prod(1 - np.outer(curvatures, np.array(steps, dtype=float)), axis=1))
    for k in {int(factors.argmax()), points - 2}:
        found = quadratic(steps, Fraction(k + 1, points - 1))
        if found.holds:
            return found
    return None


def growth(steps: Sequence[Fraction], *, tolerance: float = 1e-9) -> Refutation | None:
    """A function that the steps raise, from the semidefinite program of max f_t - f_0; None if none could be proven."""
    solved = _largest_growth(np.array(steps, dtype=float), tolerance)
    if solved is None:
        return None
    vectors, values = solved
    for exponent in range(-7, 0):
        found = _with_slack(steps, vectors, values, 10.0**exponent)
        if found.holds:
            return found
    return None


def _largest_growth(steps: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Vectors (t + 2, d), in rows, of the Gram matrix of (x_0, g_0, ..., g_t), and f (t + 1,) of largest f_t - f_0."""
    t, n = len(steps), len(steps) + 2
    i, j = np.indices((n, n)).reshape(2, -1)
    pairs = np.stack([i, j], axis=1)[i != j]
    inequality = sparse.hstack([forms(steps, pairs).T, flow(n, pairs).T])  # of each pair, on (svec G, f)
    size = n * (n + 1) // 2
    length = sparse.csr_matrix(([1.0], ([0], [0])), shape=(1, size + t + 1))
    gram = sparse.hstack([-sparse.identity(size), sparse.csr_matrix((size, t + 1))])
    A = sparse.vstack([inequality, length, gram]).tocsc()
    b = np.concatenate([np.zeros(len(pairs)), [1.0], np.zeros(size)])
    q = np.zeros(size + t + 1)
    q[size], q[-1] = 1.0, -1.0
    cones = {"positive": len(pairs) + 1, "semidefinite": [n]}
    x, _ = minimise(q, A, b, **cones, iterations=100, tolerance=tolerance)
    if q @ x > -tolerance:
        return None
    G = np.zeros((n, n))
    column = np.repeat(np.arange(n), np.arange(1, n + 1))
    row = np.concatenate([np.arange(k + 1) for k in range(n)])
    G[row, column] = G[column, row] = np.where(row == column, x[:size], x[:size] / np.sqrt(2))
    eigenvalues, basis = np.linalg.eigh(G)
    kept = eigenvalues > 1e-12 * eigenvalues[-1]
    return basis[:, kept] * np.sqrt(eigenvalues[kept]), x[size:]


def _with_slack(steps: Sequence[Fraction], vectors: np.ndarray, values: np.ndarray, size: float) -> Refutation:
    """The floating-point function at its binary value, plus quadratics in new dimensions, from x_0 = `size` in each."""
    parts = [quadratic(steps, curvature) for curvature in CURVATURES]
    scale = Fraction(size)
    start = [Fraction(x) for x in vectors[0].tolist()] + [scale] * len(parts)
    gradients = [
        [Fraction(x) for x in g] + [scale * part.gradients[k][0] for part in parts]
        for k, g in enumerate(vectors[1:].tolist())
    ]
    raised = [Fraction(f) + scale**2 * sum(part.values[k] for part in parts) for k, f in enumerate(values.tolist())]
    return Refutation(tuple(steps), tuple(start), tuple(tuple(g) for g in gradients), tuple(raised))


def as_floats(refutation: Refutation) -> dict[str, Any]:
    """The points, gradients and values in float64, for drawing and for trying the steps in other software."""
    x = np.array([[float(int(e.p) / int(e.q)) for e in row] for row in refutation._points().tolist()])
    return {
        "points": x[1:],
        "gradients": np.array(refutation.gradients, dtype=float),
        "values": np.array(refutation.values, dtype=float),
    }
