"""`Problem`: a convex function with what a bound on a method's progress needs: L, mu, f*, a start and its distance.

    minimise f over R^d,   f convex,   |g(x) - g(y)| <= L |x - y|,   D = |x_0 - x*|

A bound says f_n - f* <= b(n) L D^2, so that it can be held against a run only where L, D and f* are known. Here f* is a
bracket [low, high] and x* is known to a radius: at an approximate minimiser z of a mu-strongly convex function

    f(z) - |g(z)|^2 / (2 mu)  <=  f*  <=  f(z),        |z - x*| <= |g(z)| / mu        (Nesterov, 2004, theorem 2.1.10)

whatever found z. Both hold as far as f and g are computed without error; rounding is about 1e-16 of |f|, and the
methods that compare with f* allow for it. Cost: that of `value` and `gradient`, over all data, at any number of points
at once; memory stays below `MEMORY` by taking the points in blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor

from lemmata.descent.numbers import is_positive
from lemmata.errors import InvalidInput

Kind = Literal["exact", "bound", "estimate"]
Function = Callable[[Tensor], Tensor]
MEMORY = 2**28  # bytes for the intermediate values of the points that are evaluated at once


class Bracket(NamedTuple):
    """An interval that holds a number: [low, high].

    >>> Bracket(1.0, 1.5).width
    0.5
    """

    low: float
    high: float

    @property
    def width(self) -> float:
        """The length of the interval."""
        return self.high - self.low


def start_of(x0: Tensor | None, default: Tensor, *, what: str) -> Tensor:
    """The start as a tensor alike to `default` (d,), which stands in for none; refused if it is of another length.

    >>> start_of(torch.ones(3, 2), torch.zeros(2), what="halves").shape
    torch.Size([3, 2])
    """
    if x0 is None:
        return default
    if not isinstance(x0, Tensor):
        raise InvalidInput(f"{what}: the start is a {type(x0).__name__}; give a tensor, torch.as_tensor(x0)")
    if x0.shape[-1:] != default.shape:
        raise InvalidInput(f"{what}: a start of shape {tuple(x0.shape)}; the function has {len(default)} variables")
    return x0.to(default)


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """A convex function on R^d from one start or from many.

        value, gradient   (..., d) -> (...) and (..., d): at any number of points at once
        x0                (d,) or (S, d): the start, or S starts
        L, mu             the gradient's Lipschitz constant and the modulus of strong convexity (0: none);
                          `L_kind`, `mu_kind` say whether each is exact, a proven bound (of L from above, of mu from
                          below), or an estimate, with which no guarantee is one
        minimum           the bracket of f*;  `minimum_kind` as above
        nearest           start (..., d) -> the minimiser nearest to it, known to `radius`
        per_point         numbers of memory that one point takes while it is evaluated

    `problems.logistic` and its neighbours make them; `descent.problem` makes one of a user's own model.

    >>> halves = Problem(
    ...     name="x^2 / 2", value=lambda x: x.square().sum(-1) / 2, gradient=lambda x: x, x0=torch.tensor([3.0, 4.0]),
    ...     L=1.0, mu=1.0, minimum=Bracket(0.0, 0.0), nearest=torch.zeros_like,
    ... )
    >>> float(halves.D), float(halves.value(halves.x0))
    (5.0, 12.5)
    """

    name: str
    value: Function
    gradient: Function
    x0: Tensor
    L: float
    mu: float = 0.0
    minimum: Bracket
    nearest: Function
    radius: float = 0.0
    L_kind: Kind = "exact"
    mu_kind: Kind = "exact"
    minimum_kind: Kind = "exact"
    per_point: int = 1

    def __post_init__(self):
        if not isinstance(self.x0, Tensor):
            raise InvalidInput(f"{self.name}: the start is a {type(self.x0).__name__}; give a tensor (d,) or (S, d)")
        if self.x0.ndim not in (1, 2) or not self.x0.is_floating_point() or not self.x0.numel():
            raise InvalidInput(
                f"{self.name}: the start is {self.x0.dtype} of shape {tuple(self.x0.shape)}; give floats (d,) or (S, d)"
            )
        if not self.x0.isfinite().all():
            raise InvalidInput(f"{self.name}: the start holds NaN or infinity")
        if not is_positive(self.L):
            raise InvalidInput(f"{self.name}: L = {self.L} is no Lipschitz constant; it must be positive and finite")
        if not 0 <= self.mu <= self.L * (1 + 1e-9):
            raise InvalidInput(f"{self.name}: mu = {self.mu:g} must lie between 0 and L = {self.L:g}")
        if not self.minimum.low <= self.minimum.high:
            raise InvalidInput(f"{self.name}: the bracket of the minimum, {tuple(self.minimum)}, is empty")

    @property
    def d(self) -> int:
        """The number of variables."""
        return self.x0.shape[-1]

    @property
    def starts(self) -> Tensor:
        """The starts as rows (S, d)."""
        return self.x0 if self.x0.ndim == 2 else self.x0[None]

    @property
    def minimiser(self) -> Tensor:
        """The minimiser nearest to the start, of the shape of `x0`; it is known to `radius`."""
        return self.nearest(self.x0)

    @property
    def D(self) -> Tensor:  # noqa: N802 - the literature's letter
        """The distance |x_0 - x*| of each start, () or (S,); within `radius` of the true one."""
        return (self.x0 - self.minimiser).norm(dim=-1)

    @property
    def condition(self) -> float:
        """L / mu; infinite where mu is 0."""
        return self.L / self.mu if self.mu else float("inf")

    def at(self, x0: Tensor) -> Self:
        """The same function from another start (d,), or from S of them (S, d).

        >>> from lemmata.descent import problems
        >>> problems.quadratic([1.0, 2.0]).at(torch.ones(3, 2)).D.shape
        torch.Size([3])
        """
        return replace(self, x0=start_of(x0, self.starts[0], what=self.name))

    def value_at(self, x: Tensor) -> Tensor:
        """The value at points (..., d), in blocks that fit into the memory."""
        return self._in_blocks(self.value, x)

    def gradient_at(self, x: Tensor) -> Tensor:
        """The gradient at points (..., d), in blocks that fit into the memory."""
        return self._in_blocks(self.gradient, x)

    def _in_blocks(self, function: Function, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.d)
        block = max(1, MEMORY // (self.per_point * x.element_size()))
        if len(rows) <= block:
            return function(x)
        found = torch.cat([function(part) for part in rows.split(block)])
        return found.reshape(*x.shape[:-1], *found.shape[1:])
