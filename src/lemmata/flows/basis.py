"""Weights as functions of time: theta(t) = sum_k B_k(t) theta_k, so that depth is a discretisation.

The three bases are B-splines of degree p on m equal pieces of [0, T], clamped at the ends (de Boor): `size` = m + p
functions, 0 or more and summing to 1, of which p + 1 are not 0 at a time.

    PiecewiseConstant   p = 0: each layer its own weights, as in a residual network
    PiecewiseLinear     p = 1: hat functions; theta_k is the value at the k-th of `size` equally spaced times
    Spline              any p: p - 1 continuous derivatives

theta(t) costs p + 1 of the coefficients, whatever their number: nothing here is quadratic in depth.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.flows.required import require_kind
from lemmata.flows.state import known
from lemmata.given import require_number, require_tensor, require_whole

NEAR = 1e-9  # of the way from a time to the inside of its step: what lies nearer to a jump than that lies on it


@dataclass(frozen=True)
class Basis(ABC):
    """`size` functions on [0, T], polynomials of at most `degree` between the `breaks`."""

    size: int
    T: float = 1.0
    degree: int = 0

    @property
    @abstractmethod
    def breaks(self) -> Tensor:
        """Where the pieces begin and end, from 0 to T: float64."""

    @abstractmethod
    def values(self, times: Tensor, inside: Tensor | None = None) -> Tensor:
        """Give B_k at the times (N,): (N, size) float64; where B_k jumps, on the side of `inside` (N,), else the right.

        Before 0 and after T the end's values hold.
        """

    @abstractmethod
    def derivative_gram(self) -> Tensor:
        """Give S with theta^T S theta = int |theta'(t)|^2 dt: (size, size) float64."""

    def evaluate(self, coefficients: Tensor, times: Tensor, inside: Tensor | None = None) -> Tensor:
        """Give sum_k B_k(t) theta_k at the times (N,) for `coefficients` (size, *shape): (N, *shape)."""
        values = self.values(times, inside).to(coefficients)
        return (values @ coefficients.reshape(self.size, -1)).reshape(-1, *coefficients.shape[1:])

    def gram(self) -> Tensor:
        """Give M_jk = int B_j B_k dt: (size, size) float64, exact but for rounding."""
        return self.products(self)

    def products(self, other: Basis) -> Tensor:
        """Give int B_j C_k dt for the functions C_k of another basis on [0, T]: (size, other.size) float64.

        Gauss's rule on each piece that either basis has is exact for the polynomials that these products are.
        """
        self._check_end(other)
        breaks = torch.cat([self.breaks, other.breaks]).unique()
        x, w = (
            torch.from_numpy(part) for part in np.polynomial.legendre.leggauss((self.degree + other.degree) // 2 + 1)
        )
        half, middle = breaks.diff()[:, None] / 2, (breaks[1:] + breaks[:-1])[:, None] / 2
        times, inside = (middle + half * x).reshape(-1), middle.expand(-1, len(x)).reshape(-1)
        weighted = self.values(times, inside).mT * (half * w).reshape(-1)
        return weighted @ other.values(times, inside)

    def project(self, coefficients: Tensor, old: Basis) -> Tensor:
        """Give the coefficients here of what is nearest, in L2, to the function of time with `coefficients` in `old`.

        (old.size, *shape) -> (size, *shape), in their dtype, computed in float64. A basis that contains the old one
        gives the same function of time, to rounding: `refined` bases do. Cost: a solve of `size` equations.

        >>> PiecewiseConstant(4).project(torch.tensor([1.0, 5.0]), PiecewiseConstant(2))
        tensor([1., 1., 5., 5.])
        """
        require_coefficients(coefficients, old)
        right = self.products(old).to(coefficients.device) @ coefficients.detach().double().reshape(old.size, -1)
        solved = torch.linalg.solve(self.gram().to(coefficients.device), right)
        return solved.reshape(self.size, *coefficients.shape[1:]).to(coefficients)

    def _check_end(self, other: Basis) -> None:
        require_basis(other)
        if other.T != self.T:
            raise InvalidInput(f"one basis ends at T = {self.T}, the other at T = {other.T}; give both one end of time")


@dataclass(frozen=True)
class Spline(Basis):
    """Clamped B-splines of a degree: `size` >= degree + 1 of them, on size - degree equal pieces.

    >>> Spline(5, degree=3).values(torch.tensor([0.0, 0.5, 1.0]))
    tensor([[1.0000, 0.0000, 0.0000, 0.0000, 0.0000],
            [0.0000, 0.2500, 0.5000, 0.2500, 0.0000],
            [0.0000, 0.0000, 0.0000, 0.0000, 1.0000]], dtype=torch.float64)
    """

    degree: int = 3

    def __post_init__(self):
        require_whole(self.degree, "degree", least=0)
        require_whole(self.size, "size")
        T = require_number(self.T, "T")
        if not (math.isfinite(T) and T > 0):
            raise InvalidInput(f"T = {self.T}; the end of time is a finite number above 0")
        if self.size <= self.degree:
            raise InvalidInput(
                f"{type(self).__name__} of size {self.size} and degree {self.degree}: give at least {self.degree + 1} "
                f"functions, or PiecewiseConstant({self.size})"
            )
        object.__setattr__(self, "T", T)

    @property
    def pieces(self) -> int:
        """How many pieces [0, T] is cut into."""
        return self.size - self.degree

    @property
    def breaks(self) -> Tensor:
        """Where the pieces begin and end: (pieces + 1,) float64."""
        return torch.arange(self.pieces + 1, dtype=torch.float64) * (self.T / self.pieces)

    @property
    def knots(self) -> Tensor:
        """The breaks, the ends degree + 1 times each: (size + degree + 1,) float64."""
        breaks = self.breaks
        return torch.cat([breaks[:1].expand(self.degree), breaks, breaks[-1:].expand(self.degree)])

    def refined(self, times: int = 2) -> Spline:
        """The splines on pieces cut in `times` parts, which contain these.

        >>> PiecewiseLinear(3).refined()
        PiecewiseLinear(size=5, T=1.0, degree=1)
        """
        size = self.pieces * require_whole(times, "times") + self.degree
        return Spline(size, self.T, self.degree) if type(self) is Spline else type(self)(size, self.T)

    def local(self, times: Tensor, inside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Give the p + 1 functions that are not 0 at the times: the number of the first (N,), and values (N, p + 1)."""
        times = require_times(times, "times").clamp(0.0, self.T)
        if inside is not None and require_times(inside, "inside").shape != times.shape:
            raise InvalidInput(f"inside {tuple(inside.shape)} for times {tuple(times.shape)}; give one for each time")
        towards = times if inside is None else times + NEAR * (inside.to(times) - times)
        piece = (towards * (self.pieces / self.T)).floor().long().clamp(0, self.pieces - 1)
        knots, p = self.knots.to(times.device), self.degree
        values = [torch.ones_like(times)]
        for degree in range(1, p + 1):  # de Boor's recursion, from the functions of a degree to those of the next
            raised, carried = [], torch.zeros_like(times)
            for r, value in enumerate(values):
                left, right = knots[piece + p + r + 1 - degree], knots[piece + p + r + 1]
                share = value / (right - left)
                raised.append(carried + (right - times) * share)
                carried = (times - left) * share
            values = [*raised, carried]
        return piece, torch.stack(values, 1)

    def values(self, times: Tensor, inside: Tensor | None = None) -> Tensor:
        """Give B_k at the times."""
        first, values = self.local(times, inside)
        whole = values.new_zeros(len(first), self.size)
        return whole.scatter_(1, first[:, None] + torch.arange(self.degree + 1, device=first.device), values)

    def evaluate(self, coefficients: Tensor, times: Tensor, inside: Tensor | None = None) -> Tensor:
        """Give sum_k B_k(t) theta_k from the p + 1 terms that are not 0.

        A view, where each time has its own of the coefficients, or all have the only one.
        """
        require_coefficients(coefficients, self)
        if self.size == 1:
            return coefficients.expand(len(times), *coefficients.shape[1:])
        first, values = (part.to(coefficients.device) for part in self.local(times, inside))
        if self.degree == 0:
            own = len(first) == self.size and known((first == torch.arange(self.size, device=first.device)).all())
            return coefficients if own else coefficients.index_select(0, first)
        shape = (-1, *(1,) * (coefficients.ndim - 1))
        terms = [
            coefficients.index_select(0, first + r) * values[:, r].to(coefficients.dtype).reshape(shape)
            for r in range(self.degree + 1)
        ]
        return torch.stack(terms).sum(0)

    def differences(self) -> Tensor:
        """Give D with theta' = sum_k (D theta)_k C_k, C_k those of one degree less: (size - 1, size); degree >= 1."""
        p, knots = self.degree, self.knots
        scale = p / (knots[p + 1 : -1] - knots[1 : -p - 1])
        return scale[:, None] * torch.eye(self.size, dtype=torch.float64).diff(dim=0)

    def derivative_gram(self) -> Tensor:
        """Give S with theta^T S theta = int |theta'(t)|^2 dt: (size, size) float64, exact but for rounding."""
        slopes = self.differences()
        return slopes.mT @ Spline(self.size - 1, self.T, self.degree - 1).gram() @ slopes


class PiecewiseConstant(Spline):
    """1 on the k-th of `size` equal pieces, 0 elsewhere: a layer's weights are its own.

    >>> PiecewiseConstant(2).values(torch.tensor([0.0, 0.5, 1.0]))
    tensor([[1., 0.],
            [0., 1.],
            [0., 1.]], dtype=torch.float64)
    """

    def __init__(self, size: int, T: float = 1.0):
        super().__init__(size, T, degree=0)

    def derivative_gram(self) -> Tensor:
        """Give S with theta^T S theta = (1/h) sum_k |theta_{k+1} - theta_k|^2, h = T / size.

        Jumps have no derivative; this is what stands for it in Haber and Ruthotto (2017), and int |theta'|^2 of the
        broken line through the middles of the pieces.
        """
        jumps = torch.eye(self.size, dtype=torch.float64).diff(dim=0)
        return (self.size / self.T) * (jumps.mT @ jumps)


class PiecewiseLinear(Spline):
    """Hat functions: theta_k is the value at k T / (size - 1), and theta a broken line.

    >>> PiecewiseLinear(3).evaluate(torch.tensor([0.0, 2.0, 1.0]), torch.tensor([0.25, 1.0]))
    tensor([1., 1.])
    """

    def __init__(self, size: int, T: float = 1.0):
        super().__init__(size, T, degree=1)


def require_coefficients(coefficients: Tensor, basis: Basis) -> None:
    """Refuse what is not one coefficient for each function of the basis."""
    require_basis(basis)
    shape = tuple(require_tensor(coefficients, "coefficients").shape)
    if not shape or shape[0] != basis.size or not coefficients.is_floating_point():
        raise InvalidInput(
            f"coefficients {shape} in {coefficients.dtype} for {basis}; give floating ({basis.size}, ...)"
        )


def require_times(times: object, name: str) -> Tensor:
    """Give a vector of finite times back, in float64."""
    own = require_tensor(times, name)
    if own.ndim != 1 or own.is_complex() or known(own.isfinite().all()) is False:
        raise InvalidInput(f"{name} {tuple(own.shape)} in {own.dtype}: a basis wants a vector of finite times")
    return own.double()


def require_basis(basis: object) -> Basis:
    """Give a basis back."""
    return require_kind(basis, Basis, "basis", "flows.PiecewiseConstant(8, T=1.0)")
