"""Kernels between two sets of samples as numbers that add and multiply: the algebra that layers are written in.

A kernel k on a block of pairs (x_i, z_j) is held with its diagonals k(x_i, x_i) and k(z_j, z_j), in one of two forms:

    Covariance    the values k(x_i, z_j)
    Deficit       D_ij = 1 - k(x_i, z_j) / sqrt(k(x_i, x_i) k(z_j, z_j)),  between 0 and 2

A deficit keeps its relative accuracy where samples almost coincide, D of 1e-12 say, which is lost once k is stored near
k(x, x). Sums and products of kernels need no subtraction of near numbers: with a, b the two kernels, a_x = a(x, x), and
the unit vector (p_x, q_x) = (sqrt(a_x), sqrt(b_x)) / sqrt(a_x + b_x),

    product:  D = D_a + D_b (1 - D_a)
    sum:      D = p_x p_z D_a + q_x q_z D_b + ((p_x - p_z)^2 + (q_x - q_z)^2) / 2

The last term is 1 - p_x p_z - q_x q_z. Multiplying by a constant leaves D as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Pairs(ABC):
    """A kernel on pairs: `left` (n, 1) and `right` (1, m) hold k(x, x) and k(z, z), `entries` (n, m) its form."""

    left: Tensor
    right: Tensor
    entries: Tensor

    @abstractmethod
    def __add__(self, other: Self) -> Self: ...

    @abstractmethod
    def __mul__(self, other: Self) -> Self: ...

    @abstractmethod
    def scaled(self, factor: float) -> Self:
        """The kernel times a constant."""

    @abstractmethod
    def plus_constant(self, value: float) -> Self:
        """The kernel plus a constant one, as a bias adds it."""

    @abstractmethod
    def over_diagonals_of(self, other: Self) -> Self:
        """k(x, z) / sqrt(other(x, x) other(z, z)); samples for which `other` is 0 give 0."""

    @property
    @abstractmethod
    def values(self) -> Tensor:
        """k(x_i, z_j), shape (n, m)."""


class Covariance(Pairs):
    """A kernel whose entries are its values."""

    def __add__(self, other: Self) -> Self:
        return type(self)(self.left + other.left, self.right + other.right, self.entries + other.entries)

    def __mul__(self, other: Self) -> Self:
        return type(self)(self.left * other.left, self.right * other.right, self.entries * other.entries)

    def scaled(self, factor: float) -> Self:
        """The kernel times a constant."""
        return type(self)(self.left * factor, self.right * factor, self.entries * factor)

    def plus_constant(self, value: float) -> Self:
        """The kernel plus a constant one, as a bias adds it."""
        return type(self)(self.left + value, self.right + value, self.entries + value)

    def over_diagonals_of(self, other: Pairs) -> Self:
        """k(x, z) / sqrt(other(x, x) other(z, z)); samples for which `other` is 0 give 0."""
        left, right = _inverse(other.left), _inverse(other.right)
        return type(self)(self.left * left, self.right * right, self.entries * (left.sqrt() * right.sqrt()))

    @property
    def values(self) -> Tensor:
        """k(x_i, z_j), shape (n, m)."""
        return self.entries


class Deficit(Pairs):
    """A kernel whose entries are D = 1 - k(x, z) / sqrt(k(x, x) k(z, z))."""

    def __add__(self, other: Self) -> Self:
        left, right = self.left + other.left, self.right + other.right
        (p_x, q_x), (p_z, q_z) = shares(self.left, other.left), shares(self.right, other.right)
        apart = (p_x - p_z).square() + (q_x - q_z).square()
        return type(self)(left, right, p_x * p_z * self.entries + q_x * q_z * other.entries + apart / 2)

    def __mul__(self, other: Self) -> Self:
        entries = self.entries + other.entries * (1 - self.entries)
        return type(self)(self.left * other.left, self.right * other.right, entries)

    def scaled(self, factor: float) -> Self:
        """The kernel times a constant."""
        return replace(self, left=self.left * factor, right=self.right * factor)

    def plus_constant(self, value: float) -> Self:
        """The kernel plus a constant one, as a bias adds it."""
        if value == 0:
            return self
        full = torch.full_like
        return self + type(self)(full(self.left, value), full(self.right, value), torch.zeros_like(self.entries))

    def over_diagonals_of(self, other: Pairs) -> Self:
        """k(x, z) / sqrt(other(x, x) other(z, z)); samples for which `other` is 0 give 0."""
        return replace(self, left=self.left * _inverse(other.left), right=self.right * _inverse(other.right))

    @property
    def values(self) -> Tensor:
        """k(x_i, z_j), shape (n, m)."""
        return (self.left * self.right).sqrt() * (1 - self.entries)


def shares(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The unit vectors (sqrt(a), sqrt(b)) / sqrt(a + b), and (1, 0) where both are 0."""
    total = a + b
    inverse = _inverse(total)
    return torch.where(total > 0, (a * inverse).sqrt(), 1.0), (b * inverse).sqrt()


def _inverse(diagonal: Tensor) -> Tensor:
    return torch.where(diagonal > 0, 1 / diagonal.clamp(min=torch.finfo(diagonal.dtype).tiny), 0.0)
