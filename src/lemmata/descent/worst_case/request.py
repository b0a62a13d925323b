"""What is asked of a worst case, checked: the method's matrix, the class of functions, the measure.

Every refusal names what was wrong and what to do about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, get_args

import numpy as np

from lemmata.descent.method import Given, Measure, Method, Schedule
from lemmata.descent.numbers import is_positive
from lemmata.descent.worst_case.bound import Statement
from lemmata.descent.worst_case.program import Program
from lemmata.errors import InvalidInput, UnknownName


@dataclass(frozen=True, eq=False)
class Request:
    """The worst case of the method H (N, N), named `name`, over mu-strongly convex, L-smooth functions."""

    name: str
    H: np.ndarray
    L: float
    mu: float
    of: Measure
    given: Given

    @classmethod
    def read(cls, method: Any, n: int | None, *, L: float, mu: float, of: Measure, given: Given) -> Request:
        """Check everything; see `worst_case` for what is taken."""
        if of not in get_args(Measure):
            raise UnknownName("measure", of, get_args(Measure))
        if given not in get_args(Given):
            raise UnknownName("condition", given, get_args(Given))
        if given == "level":
            raise InvalidInput("given = 'level': a level set is no measure of a program; take 'distance' or 'gap'")
        if not is_positive(L):
            raise InvalidInput(f"L = {L}; the Lipschitz constant of the gradient is a positive number")
        if mu != 0 and not is_positive(mu):
            raise InvalidInput(f"mu = {mu}; functions that are not convex have no worst case here: take 0 <= mu < L")
        if mu >= L:
            raise InvalidInput(
                f"mu = {mu} and L = {L}; the class is empty for mu > L and holds one quadratic for mu = L: take mu < L"
            )
        name, H = _matrix(method, n)
        return cls(name, H, float(L), float(mu), of, given)

    @property
    def statement(self) -> Statement:
        """What a bound is proven of, in units of L = 1."""
        return Statement(self.H, Fraction(self.mu) / Fraction(self.L), self.of, self.given)

    @property
    def program(self) -> Program:
        """The semidefinite program, in units of L = 1."""
        return Program.of(self.H, kappa=self.mu / self.L, of=self.of, given=self.given)

    @property
    def scale(self) -> Fraction:
        """By what a value for L = 1 is multiplied: L, L^2 (gradient by distance) or 1 (gap by gap)."""
        power = (self.of == "gradient") + (self.given == "distance")
        return Fraction(self.L) ** power

    @property
    def steps(self) -> np.ndarray:
        """The steps (N,) if the method is gradient descent; else the diagonal of H."""
        return np.diag(self.H).copy()

    @property
    def is_gradient_descent(self) -> bool:
        """Whether each gradient keeps the weight it first got."""
        return np.array_equal(self.H, np.tril(np.broadcast_to(np.diag(self.H), self.H.shape)))


def _matrix(method: Any, n: int | None) -> tuple[str, np.ndarray]:
    if isinstance(method, Method):
        cycle = len(method) if isinstance(method, Schedule) else None
        count = n if n is not None else method.length or cycle
        if count is None:
            raise InvalidInput(f"{method.name} runs for any number of steps; say how many: worst_case(method, n)")
        return method.name, _checked(np.asarray(method.matrix(_counted(count)), dtype=float))
    try:
        given = np.asarray(None if isinstance(method, str) else method, dtype=float)
    except (TypeError, ValueError):
        given = np.array(np.nan)
    if not given.ndim:
        raise InvalidInput(f"the method is {method!r:.80}; give a Method, steps (N,) or a matrix H (N, N)")
    if given.ndim == 1:
        given = given if n is None else given[: _counted(n)]
        if n is not None and len(given) < n:
            raise InvalidInput(f"{len(given)} steps are given and n = {n} are asked for; give as many")
        return "gradient descent", _checked(np.tril(np.broadcast_to(given, (len(given), len(given)))))
    if given.ndim == 2 and n not in (None, len(given)):
        raise InvalidInput(f"a matrix for {len(given)} steps and n = {n}; leave n out, or give the matrix for n steps")
    return "the given matrix", _checked(given)


def _counted(n: Any) -> int:
    if not (isinstance(n, int | np.integer) and n >= 1):
        raise InvalidInput(f"n = {n!r} steps; take a whole number, at least 1")
    return int(n)


def _checked(H: np.ndarray) -> np.ndarray:
    if H.ndim != 2 or H.shape[0] != H.shape[1] or not H.size:
        raise InvalidInput(f"steps of shape {H.shape}; give a Method, steps (N,) or a matrix H (N, N), with N >= 1")
    if not np.isfinite(H).all():
        raise InvalidInput("a step is NaN or infinite; every step must be finite")
    if np.triu(H, 1).any():
        raise InvalidInput("H has entries above its diagonal; a step cannot use gradients that are not known yet")
    for k, step in enumerate(np.diff(H, axis=0, prepend=0.0)):
        if not step.any():
            raise InvalidInput(f"step {k} has length zero, so that x_{k + 1} = x_{k}; leave it out")
    return np.array(H)
