"""A certificate that a pattern of steps is straightforward: exact multipliers, and what they prove.

A pattern h = (h_0, ..., h_{t-1}) of steps in units of 1/L is *straightforward* with parameters Delta and c (Grimmer,
2024) if for every convex function with L-Lipschitz gradient

    f_0 - f* = delta L D^2,  |x_0 - x*| <= D,  delta <= Delta    implies    f_t - f* <= (delta - t c delta^2) L D^2.

The proof is a set of multipliers lam + delta gam of the inequalities that convex smooth functions satisfy between the
minimiser and the t + 1 iterates. They are rational, so a machine checks them without rounding (`verify`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.descent.schedules.straightforward import straightforward
from lemmata.errors import InvalidInput
from lemmata.figures import Axis, Field, Figure, Panel
from lemmata.linalg.definite import rational_matrix

if TYPE_CHECKING:
    from flint import fmpq_mat

    from lemmata.descent.method import Schedule

Rows = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True)
class Certificate:
    """Multipliers lam and gam (t + 2, t + 2) for a pattern of t steps; rows and columns are x*, x_0, ..., x_t.

    Entry (i, j) multiplies f_i >= f_j + <g_j, x_i - x_j> + |g_i - g_j|^2 / 2 (L = 1). Every number is exact: integers,
    fractions, and floats at their binary value are taken as `Fraction`. `rate` is the coefficient c that is claimed;
    with none, whatever is proven is well. `source` says where the certificate is from.

    Raises `InvalidInput` for matrices of the wrong shape, no steps, or what is not a finite number.

    >>> Certificate(["1"], "1/10", [[0] * 3] * 3, [[0] * 3] * 3).steps
    (Fraction(1, 1),)
    """

    steps: tuple[Fraction, ...]
    Delta: Fraction
    lam: Rows = field(repr=False)
    gam: Rows = field(repr=False)
    rate: Fraction | None = field(default=None, kw_only=True)
    source: str = field(default="", kw_only=True)

    def __post_init__(self):
        steps = tuple(exact(step, "a step") for step in self.steps)
        if not steps:
            raise InvalidInput("a certificate of a pattern without steps; give one step at least")
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "Delta", exact(self.Delta, "Delta"))
        object.__setattr__(self, "lam", _square(self.lam, "lam", self.t + 2))
        object.__setattr__(self, "gam", _square(self.gam, "gam", self.t + 2))
        if self.rate is not None:
            object.__setattr__(self, "rate", exact(self.rate, "the claimed rate"))

    @property
    def t(self) -> int:
        """The number of steps of the pattern."""
        return len(self.steps)

    @property
    def average(self) -> Fraction:
        """The average step, of which no rate c can be larger."""
        return sum(self.steps, Fraction(0)) / self.t

    @cached_property
    def lam_matrix(self) -> fmpq_mat:
        """`lam` as a flint matrix."""
        return rational_matrix(self.lam)

    @cached_property
    def gam_matrix(self) -> fmpq_mat:
        """`gam` as a flint matrix."""
        return rational_matrix(self.gam)

    def schedule(self, name: str = "") -> Schedule:
        """The pattern as a cyclic schedule with the guarantee that the claimed rate proves, at every number of steps.

        The guarantee is about the gap given the radius of the level set (`descent.schedules.straightforward`). Raises
        `InvalidInput` without a claimed rate. It is the claim that is used: `verify` first what you did not make.

        >>> from lemmata.descent.certificate import published
        >>> three = published(3).schedule()
        >>> round(three.guarantee.bound(3 * 10**6) * 3 * 10**6 * 7.9 / 3, 2)  # tends to 1
        1.0
        """
        if self.rate is None:
            raise InvalidInput("this certificate claims no rate; take verify(certificate).rate into it")
        below, above = math.nextafter(float(self.Delta), 0), math.nextafter(float(self.average - self.rate), 1)
        steps = [float(step) for step in self.steps]
        name, where = name or f"pattern of {self.t} steps", self.source or "its certificate"
        return straightforward(name, steps, Delta=below, eps=above, where=where, source=where)

    def save(self, path: Path | str) -> Path:
        """Write the certificate as JSON, compressed if the name ends in .xz or .gz; see `stored`."""
        from lemmata.descent.certificate.stored import write

        return write(self, path)

    @staticmethod
    def load(path: Path | str) -> Certificate:
        """Read what `save` wrote. Raises `CorruptFile` for anything else; nothing is believed before `verify`."""
        from lemmata.descent.certificate.stored import read

        return read(path)

    def plot(self) -> Figure:
        """Draw the multipliers lam and lam + Delta gam, a cell a pair (i, j)."""
        lam, gam = np.array(self.lam, dtype=float), np.array(self.gam, dtype=float)
        raised = lam + float(self.Delta) * gam
        limits = (1e-8, max(float(lam.max()), float(raised.max()), 1e-7))
        panels = [
            _pattern(lam, "lam, for a vanishing gap", limits),
            _pattern(raised, "lam + Delta gam, for a gap of Delta", limits),
        ]
        caption = (
            f"Multipliers of the inequality between points i and j (0 is the minimiser, k the iterate "
            f"before step k) of {self.t} steps, average {float(self.average):.5g}. Hatched: zero. Smaller than "
            f"{limits[0]:g}: the lowest colour."
        )
        return Figure(
            name="multipliers", title=f"Certificate of {self.t} steps", caption=caption, panels=panels, one_scale=True
        )


def exact(number: Any, what: str) -> Fraction:
    """Give a number as a `Fraction`: text such as "49/10" or "4.9", integers, fractions, floats as they are in binary.

    >>> exact("4.9", "a step"), exact(0.5, "a step")
    (Fraction(49, 10), Fraction(1, 2))
    """
    if isinstance(number, Fraction):
        return number
    try:
        return Fraction(number.item() if isinstance(number, np.generic) else number)
    except (ValueError, TypeError, OverflowError, ZeroDivisionError):
        raise InvalidInput(f"{what} is {number!r}; give a finite number, a fraction, or text such as '49/10'") from None


def decimal_steps(steps: Any) -> tuple[Fraction, ...]:
    """Give steps as fractions, a float as the shortest decimal that denotes it: 4.9 is 49/10.

    >>> decimal_steps([1.5, 4.9])
    (Fraction(3, 2), Fraction(49, 10))
    """
    steps = getattr(steps, "steps", steps)  # a schedule
    if isinstance(steps, str) or not isinstance(steps, Iterable) or getattr(steps, "ndim", 1) != 1:
        raise InvalidInput(f"the steps are {steps!r:.80}; give numbers (t,), or a Schedule")
    numbers = steps.tolist() if isinstance(steps, np.ndarray) else list(steps)
    return tuple(decimal(h, "a step") for h in numbers)


def decimal(number: Any, what: str) -> Fraction:
    """Give a number as `exact` does, but a float as the shortest decimal that denotes it.

    >>> decimal(0.001, "Delta")
    Fraction(1, 1000)
    """
    return exact(repr(float(number)) if isinstance(number, float) else number, what)


def _square(rows: Sequence[Sequence[Any]], name: str, n: int) -> Rows:
    result = tuple(tuple(exact(entry, f"an entry of {name}") for entry in row) for row in rows)
    lengths = {len(row) for row in result}
    if len(result) != n or lengths != {n}:
        shape = f"{len(result)} rows of lengths {sorted(lengths)}"
        raise InvalidInput(f"{name} has {shape}; {n - 2} steps want ({n}, {n}), for x* and the {n - 1} iterates")
    return result


def _pattern(multipliers: np.ndarray, title: str, limits: tuple[float, float]) -> Panel:
    places = np.arange(len(multipliers))
    cells = Field(label="multiplier", x=places, y=places, z=multipliers, kind="heatmap", log=True, limits=limits)
    return Panel(x=Axis(label="point j"), y=Axis(label="point i"), fields=[cells], title=title, equal=True)
