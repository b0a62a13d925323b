"""Data sets of the study of Soudry and others (2018), and their hard-margin support vector machines in closed form.

Rows of z are y_n x_n, so that w separates if z w > 0. The machine is the w of least norm with z w >= 1; by the active
set of Lawson and Hanson (1974, least distance programming) it comes out of one non-negative least-squares problem,

    minimise | (z^T; 1 ... 1) u - (0, ..., 0, 1) |  over u >= 0,    residual r,    w = -r_{1..d} / r_{d+1},

with the dual variables alpha = -u / r_{d+1}: w = sum alpha_n z_n, exact up to rounding. r = 0 says that no w separates.

The limit of gradient descent on exponential tails is w log t + rho. On the support vectors z_n rho = -log alpha_n,
which is all that enters in

    |w(t)|                          |w log t + rho|
    the loss                        |w|^2 / t
    1 - (margin of w(t)) |w|        (log alpha_max - sum alpha log alpha / sum alpha) / log t
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field
from scipy.optimize import nnls

from lemmata.errors import InvalidInput
from lemmata.study import Config


class Sample(Config):
    """A data set of two classes, seen from the side of its labels."""

    law: Literal["separable", "overlapping", "degenerate"] = "separable"
    d: int = Field(default=5, ge=2, description="dimensions")
    n: int = Field(default=60, ge=4, description="examples")
    gap: float = Field(
        default=0.3, ge=0, description="how far each class is moved away from the plane that divides them"
    )
    scale: float = Field(default=1.0, gt=0, description="factor of all inputs")


@dataclass(frozen=True)
class Machine:
    """The hard-margin support vector machine of a data set.

    `w` (d,) has z w >= 1; `alpha` (n,) are its dual variables; `rho` (d,) is the limit of w(t) - w log t that the
    support vectors determine (its part outside of their span, if they do not span the space, is 0).
    """

    w: np.ndarray
    alpha: np.ndarray
    rho: np.ndarray

    @property
    def margin(self) -> float:
        """The largest margin, 1 / |w|."""
        return 1 / float(np.linalg.norm(self.w))

    @property
    def support(self) -> np.ndarray:
        """Which examples are support vectors, (n,) bool."""
        return self.alpha > 0

    @property
    def spanning(self) -> bool:
        """Whether the support vectors span the space, so that `rho` is all of the limit."""
        return int(self.support.sum()) == len(self.w)

    @property
    def gap_constant(self) -> float:
        """The limit of log t times the relative gap of the margin."""
        alpha = self.alpha[self.support]
        return float(np.log(alpha.max()) - alpha @ np.log(alpha) / alpha.sum())


def machine(z: np.ndarray) -> Machine:
    """The support vector machine of rows z (n, d); raises `InvalidInput` if no plane through 0 separates them.

    >>> bool(np.allclose(machine(np.array([[2.0, 1.0], [2.0, -1.0]])).w, [0.5, 0], atol=1e-12))
    True
    """
    n, d = z.shape
    design = np.vstack([z.T, np.ones(n)])
    target = np.append(np.zeros(d), 1.0)
    u = nnls(design, target, maxiter=100 * n)[0]
    residual = design @ u - target
    if -residual[-1] < 1e-12:
        raise InvalidInput(f"{n} examples in {d} dimensions that no plane through 0 separates; move the classes apart")
    alpha = u / -residual[-1]
    alpha = np.where(alpha > 1e-9 * alpha.max(), alpha, 0)  # what rounding leaves of a zero
    on = alpha > 0
    rho = np.linalg.lstsq(z[on], -np.log(alpha[on]), rcond=None)[0]
    return Machine(residual[:d] / -residual[-1], alpha, rho)


def examples(config: Sample) -> tuple[np.ndarray, Machine]:
    """The data set (n, d) of a configuration, times its scale, and the machine that it is held against.

    Classes that overlap have the machine of the same examples before a tenth of the labels was turned.
    """
    random = np.random.default_rng(config.seed)
    u = _direction(random, config.d)
    if config.law == "degenerate":
        alpha = np.append(1.0, np.zeros(config.n - 1)) / config.scale**2
        return config.scale * _degenerate(random, u, config.n), Machine(u / config.scale, alpha, np.zeros(config.d))
    z = config.scale * _classes(random, u, config.n, config.gap)
    held_against = machine(z)
    if config.law == "overlapping":
        z[: max(1, config.n // 10)] *= -1
    return z, held_against


def fresh(config: Sample, n: int) -> np.ndarray:
    """Further examples (n, d) of the law that a separable data set was drawn from."""
    u = _direction(np.random.default_rng(config.seed), config.d)
    return config.scale * _classes(np.random.default_rng([config.seed, 1]), u, n, config.gap)


def _direction(random: np.random.Generator, d: int) -> np.ndarray:
    u = random.standard_normal(d)
    return u / np.linalg.norm(u)


def _classes(random: np.random.Generator, u: np.ndarray, n: int, gap: float) -> np.ndarray:
    """Gaussian inputs times their labels sign(x u), each class moved by the gap."""
    x = random.standard_normal((n, len(u)))
    return x * np.sign(x @ u)[:, None] + gap * u


def _degenerate(random: np.random.Generator, u: np.ndarray, n: int) -> np.ndarray:
    """One support vector, u, and n - 1 examples on its margin, all on one side of u: their dual variables are 0."""
    offsets = random.standard_normal((n, len(u)))
    offsets -= (offsets @ u)[:, None] * u
    side = offsets[0] / np.linalg.norm(offsets[0])
    offsets *= np.sign(offsets @ side)[:, None]
    offsets[0] = 0
    return u + offsets
