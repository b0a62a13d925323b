"""What whole cycles do to the worst function, in `grimmer-2023`: from a small gap, from anywhere, on Huber's function.

From a small gap: the largest f_t - f* over all convex functions with f_0 - f* <= delta L D^2 and |x_0 - x*| <= D, a
semidefinite program over Gram matrices of (x_0 - x*, g_0, ..., g_t). It is the problem to which the certificates are
the dual, and knows nothing of them. With gradients and values in units of delta its numbers are near 1.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import numpy as np
from pydantic import Field
from scipy import sparse

from lemmata.descent.certificate import published
from lemmata.descent.certificate.program import flow, forms
from lemmata.descent.certificate.solver import minimise
from lemmata.descent.worst_case import worst_case
from lemmata.study import Config, Measurements


class Cycle(Config):
    """One cycle of a pattern from a gap."""

    t: Literal[3, 7, 15] = Field(default=3, description="steps of the pattern")
    gap: float = Field(default=1.0, gt=0, description="(f_0 - f*) / (L D^2), in units of the published Delta")

    @property
    def delta(self) -> float:
        """The gap in units of L D^2."""
        return self.gap * float(published(self.t).Delta)


def one_cycle(configs: Sequence[Cycle]) -> list[Measurements]:
    """Find the worst gap after one cycle, and how much of S delta^2 the cycle gains at least."""
    result = []
    for config in configs:
        steps = np.array(published(config.t).steps, dtype=float)
        left = worst_from(steps, config.delta)
        result.append(Measurements.of(left=left, gained=(1 - left) / (steps.sum() * config.delta)))
    return result


def worst_from(steps: np.ndarray, delta: float) -> float:
    """The largest (f_t - f*) / (f_0 - f*) with f_0 - f* <= delta, |x_0 - x*| <= 1, to about 1e-9."""
    n, t = len(steps) + 2, len(steps)
    i, j = np.indices((n, n)).reshape(2, -1)
    pairs = np.stack([i, j], axis=1)[i != j]
    size = n * (n + 1) // 2
    row = np.concatenate([np.arange(k + 1) for k in range(n)])
    units = np.where(row == 0, 1.0, delta)  # the Gram matrix of gradients in units of delta, by delta
    scaled = sparse.diags_array(units) @ forms(steps, pairs)
    pairwise = sparse.hstack([sparse.csr_matrix(scaled.T), sparse.csr_matrix(flow(n, pairs).T)])
    bounded = sparse.csr_matrix((np.ones(2), ([0, 1], [0, size])), shape=(2, size + t + 1))  # |x_0|^2 and f_0
    gram = sparse.hstack([-sparse.identity(size), sparse.csr_matrix((size, t + 1))])
    A = sparse.vstack([pairwise, bounded, gram]).tocsc()
    b = np.concatenate([np.zeros(len(pairs)), [1.0, 1.0], np.zeros(size)])
    q = np.zeros(size + t + 1)
    q[-1] = -1.0
    x, _ = minimise(q, A, b, positive=len(pairs) + 2, semidefinite=[n], iterations=100, tolerance=1e-9)
    return float(x[-1])


class Anywhere(Config):
    """Some cycles of a pattern, from a start of which nothing is known but its distance."""

    t: Literal[3, 7, 15, 31, 63, 127] = Field(default=3, description="steps of the pattern")
    cycles: int = Field(default=1, ge=1)
    steps: Literal["pattern", "constant"] = Field(default="pattern", description="constant: as many steps of 1/L")
    stretch: float = Field(default=1.0, gt=0, description="every step times this, for Huber's function")
    searched: bool = Field(default=True, description="the worst function of all is wanted, by a program")

    def schedule(self) -> list[Fraction]:
        """The steps, exactly."""
        cycle = published(self.t).steps if self.steps == "pattern" else (Fraction(1),) * self.t
        return [step * Fraction(self.stretch) for step in cycle] * self.cycles


def from_anywhere(configs: Sequence[Anywhere]) -> list[Measurements]:
    """Compare the exact worst case with the quadratic x^2 / 2 and with Huber's function, the last in fractions."""
    result = []
    for config in configs:
        steps = config.schedule()
        floats = np.array(steps, dtype=float)
        total = sum(published(config.t).steps, Fraction(0)) * config.cycles
        huber = 1 / (2 * (2 * total + 1))
        with np.errstate(over="ignore"):  # stretched steps diverge on the quadratic: infinity is meant
            quadratic = float(np.prod(1 - floats) ** 2 / 2)
        measured = {"steps_taken": len(steps), "quadratic": quadratic, "huber": float(huber)}
        measured["off_huber"] = float(abs(on_huber(steps, 1 / (2 * total + 1)) - huber))
        if config.searched:
            measured["worst"] = float(worst_case(floats).bound)
            measured["share_of_quadratic"] = quadratic / measured["worst"]
        result.append(Measurements.of(**measured))
    return result


def on_huber(steps: Sequence[Fraction], threshold: Fraction) -> Fraction:
    """f_T - f* of x^2 / 2 for |x| <= threshold, continued linearly, from x_0 = 1, exactly."""
    x = Fraction(1)
    for h in steps:
        x -= h * max(-threshold, min(x, threshold))
    return x**2 / 2 if abs(x) <= threshold else threshold * abs(x) - threshold**2 / 2
